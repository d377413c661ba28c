"""A plant's night: many products, in shards that all workers take; each product is told of once it is judged."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger, runtime
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict

from flows.artifacts import NightProgress, prefect_may_fail, publish_night, tell_drift
from flows.fanning_out import POLL_SECONDS, FanOut, ShardOrder, wait_for_leftovers
from flows.killed_runs import take_over_killed_runs
from flows.night import Night
from flows.night_page import headline
from flows.night_tasks import plan_night, summarise_night, unvisited
from inspection.errors import GoldentwinError
from pipeline.batch import BatchSummary
from pipeline.planning import BatchPlan
from pipeline.workspace import Workspace

SHARDS = "night-shard/night-shard"


class ProductNight(BaseModel):
    """What a plant's night judges of one product: the folder of frames as coordinator and workers alike see it."""

    model_config = ConfigDict(extra="forbid")

    product: str
    frames: str
    view: str = "default"

    @property
    def name(self) -> str:
        """`bottle/default`."""
        return f"{self.product}/{self.view}"


def plant_name() -> str:
    """`plant night 2026-11-23`: the day the run was due, in this machine's time zone."""
    return f"plant night {runtime.flow_run.scheduled_start_time.astimezone():%Y-%m-%d}"


@flow(name="plant-night", flow_run_name=plant_name)
def plant_night(  # noqa: PLR0913 - a flow's parameters are its form in the Prefect UI
    products: list[ProductNight],
    *,
    frames_a_shard: int = 250,
    shards: str = SHARDS,
    queue: str | None = None,
    home: str | None = None,
    references: str | None = None,
    chunk_size: int = 64,
    engine: str = "auto",
) -> State[list[BatchSummary]]:
    """Judge the frames of all products on all workers, and tell of each product what was found.

    A shard whose worker is lost is begun again by another; a product that can't be judged fails the run at its end,
    and holds no other up. Killed and run again, it judges what is left.

    Args:
        products: what to judge.
        frames_a_shard: about so many frames go to a worker at once.
        shards: the deployment of the flow `night-shard`.
        queue: the work queue that shards go to; the deployment's own by default.
        home: the folder of goldentwin's state, handed to the shards too; by default everyone's `GOLDENTWIN_HOME`.
        references: the folder of reference images; by default the one that goes with `home`.
        chunk_size: frames per task within a shard.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`.
    """
    with prefect_may_fail("killed runs stay running in Prefect"):
        take_over_killed_runs()
    night = _PlantNight(FanOut(shards, queue))
    given = {"home": home, "references": references, "chunk_size": chunk_size, "engine": engine}
    try:
        for product in products:
            night.begin(product, given, frames_a_shard)
        night.follow()
    except BaseException:
        with prefect_may_fail("shards of a night that has ended go on"):
            night.fan_out.cancel()
        raise
    return night.outcome()


@dataclass
class _Product:
    """A product whose shards are out; `lacking` says of each shard that was not judged why."""

    plan: BatchPlan
    shards: int
    started: float
    lacking: list[str]


class _PlantNight:
    """The products of a night, from their plans to their summaries."""

    def __init__(self, fan_out: FanOut) -> None:
        self.fan_out = fan_out
        self._out: dict[str, _Product] = {}
        self._done: list[BatchSummary] = []
        self._failed: dict[str, str] = {}

    def begin(self, product: ProductNight, given: dict[str, Any], frames_a_shard: int) -> None:
        """Plan a product and send its shards out."""
        name = product.name if product.name not in self._out else f"{product.name} in {product.frames}"
        try:
            plan = _planned(product, given)
        except GoldentwinError as error:
            self._failed[name] = str(error)
            get_run_logger().error("%s: %s", name, error)
            return
        left = sum(map(len, plan.chunks))
        count = math.ceil(left / frames_a_shard)
        self._out[name] = _Product(plan=plan, shards=count, started=time.monotonic(), lacking=[])
        for number in range(1, count + 1):
            own = {"number": number, "of": count, "batch": plan.batch, "key": plan.key}
            named = {"product": product.product, "view": product.view, "frames": product.frames}
            self.fan_out.start(ShardOrder(order=name, parameters={**given, **named, **own}))
        get_run_logger().info("%s: %d of %d frames, in %d shards", name, left, plan.total, count)

    def follow(self) -> None:
        """Until every shard has ended; each product is summarised as soon as its own have."""
        left = Counter({name: product.shards for name, product in self._out.items()})
        total = sum(left.values())
        progress = NightProgress(total, key="plant-night-progress", what="shards of all products judged")
        for name in [name for name, count in left.items() if not count]:
            self._summarise(name)
        while self.fan_out.unfinished:
            for order, state in self.fan_out.ended():
                if not state.is_completed():
                    self._out[order.order].lacking.append(f"{order.name}: {state.name}: {state.message}")
                left[order.order] -= 1
                progress.show(total - sum(left.values()))
                if not left[order.order]:
                    self._summarise(order.order)
            time.sleep(POLL_SECONDS)

    def outcome(self) -> State[list[BatchSummary]]:
        """What became of the night: failed where a product, or a shard of one, could not be judged."""
        said = [headline(summary) for summary in self._done]
        if self._failed:
            problems = [f"{name}: {why}" for name, why in self._failed.items()]
            return Failed(message="; ".join([*problems, *said]), data=self._done)
        return Completed(message="; ".join(said) or "no products", data=self._done)

    def _summarise(self, name: str) -> None:
        product = self._out.pop(name)
        if product.lacking:
            self._failed[name] = "; ".join(product.lacking)
        try:
            summary = summarise_night(unvisited(product.plan), time.monotonic() - product.started)
        except Exception as error:  # noqa: BLE001 - its verdicts are recorded, and no other product is to wait for it
            self._failed[name] = "; ".join([*product.lacking, f"not summarised: {error}"])
            get_run_logger().error("%s: not summarised: %s", name, error)
            return
        with prefect_may_fail("a product's page or event is not in Prefect"):
            publish_night(summary)
        tell_drift(summary)
        self._done.append(summary)


def _planned(product: ProductNight, given: dict[str, Any]) -> BatchPlan:
    """The plan of a product, once shards that an earlier run of this night left behind have ended."""
    home, references = (Path(given[name]) if given[name] else None for name in ("home", "references"))
    night = Night(
        workspace=Workspace.locate(home, references),
        product=product.product,
        frames=Path(product.frames),
        view=product.view,
        chunk_size=given["chunk_size"],
        engine=given["engine"],
    )
    plan = plan_night(night)
    return plan_night(night) if wait_for_leftovers(plan.batch) else plan
