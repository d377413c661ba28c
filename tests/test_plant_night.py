"""A plant's night on a real Prefect server: shards on several workers, one of them lost, each frame judged once."""

from __future__ import annotations

import pytest
from drawn_line import PLATES, calibrated, enrol
from drawn_night import PRODUCT, draw_part, recorded_frames, write_frames
from prefect_site import kill_host, prefect_site

from flows import sites
from flows.night import Night
from flows.run_now import run_plainly
from flows.sites import Product, Site, deployments
from inspection.errors import CalibrationError, RecordsError
from pipeline.planning import plan_batch
from pipeline.sharding import Shard, ShardError

FRAMES = 60
SECOND = "second"


def test_shards_share_the_frames_out(plates, tmp_path):
    """Each frame is in one shard, whatever folder it is listed from; a shard of another number is refused."""
    workspace = plates.copy(tmp_path / "home")
    frames = write_frames(tmp_path / "frames", 30)
    whole = plan_batch(workspace, PRODUCT, "default", frames)
    shards = [
        plan_batch(workspace, PRODUCT, "default", frames, shard=Shard(number=n, of=3, batch=whole.batch, key=whole.key))
        for n in (1, 2, 3)
    ]
    names = [file.frame for plan in shards for chunk in plan.chunks for file in chunk]
    assert sorted(names) == sorted(file.frame for chunk in whole.chunks for file in chunk)
    assert {plan.batch for plan in shards} == {whole.batch}
    assert min(plan.total for plan in shards) > 0
    with pytest.raises(ShardError, match="no shard 4 of 3"):
        Shard(number=4, of=3)


def test_a_worker_with_other_goldens_judges_nothing(plates, tmp_path):
    """A shard says on what grounds its batch was planned; a worker that sees others refuses."""
    workspace = plates.copy(tmp_path / "home")
    shard = Shard(number=1, of=2, batch="b", key="other grounds")
    with pytest.raises(CalibrationError, match="other goldens"):
        plan_batch(workspace, PRODUCT, "default", write_frames(tmp_path / "frames", 2), shard=shard)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
def test_a_product_that_can_not_be_judged_holds_no_other_up(plates, tmp_path, monkeypatch):
    """The run fails and says which and why; the others are told of, also where one's summary fails."""
    from flows import night_tasks, plant

    workspace = plates.copy(tmp_path / "home")
    monkeypatch.setattr(night_tasks.summarise_night, "retry_delay_seconds", [0, 0])
    summarise = night_tasks.summarise_batch
    frames = {name: write_frames(tmp_path / name, 3) for name in ("whole", "broken")}
    for folder in frames.values():
        run_plainly(Night(workspace=workspace, product=PRODUCT, frames=folder))

    def fail(plan, seconds):
        if "broken" in plan.source:
            message = "the disk is full"
            raise RecordsError(message)
        return summarise(plan, seconds)

    monkeypatch.setattr(night_tasks, "summarise_batch", fail)
    products = [
        plant.ProductNight(product="ghost", frames=str(tmp_path)),
        *(plant.ProductNight(product=PRODUCT, frames=str(folder)) for folder in frames.values()),
    ]
    state = plant.plant_night(products, home=str(workspace.home), return_state=True)
    assert state.is_failed()
    assert "ghost/default: ghost/default has no reference set" in state.message
    assert "broken: not summarised: the disk is full" in state.message
    assert f"{PRODUCT}/default: 3 frames" in state.message


@pytest.fixture
def plant(plates, tmp_path):
    """A server with a plant of two products, no worker yet."""
    workspace = plates.copy(tmp_path / "home")
    enrol(workspace, SECOND, [draw_part(0), draw_part(1)], PLATES)
    calibrated(workspace, SECOND)
    products = [
        Product(product=name, frames=str(write_frames(tmp_path / f"frames of {name}", FRAMES)))
        for name in (PRODUCT, SECOND)
    ]
    site = Site(timezone="Europe/Berlin", products=products, night=sites.Night(frames_a_shard=30))
    night, shard = (one for one in deployments(site) if one["name"] in {"plant-night", "night-shard"})
    night["parameters"]["chunk_size"] = 4
    with prefect_site(workspace.home, tmp_path, GOLDENTWIN_CORES="1") as server:
        server.deploy([night, shard])
        yield server


def ended(plant):
    """How the plant's night ended, once it has."""
    under_way = {"Scheduled", "Late", "Pending", "Running", "Cancelling"}
    return plant.wait_for(lambda: [name for name in plant.states("plant-night") if name not in under_way], 500)[0]


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_night_outlives_the_loss_of_a_worker(plant):
    """Both workers take shards; one is killed with all it does, the other does its work, and nothing is done twice."""
    first, _second = (plant.start_worker("gpu-pool", "gpu") for _ in range(2))
    plant.start_worker("gpu-pool", "plant")
    plant.prefect("deployment", "run", "plant-night/plant-night")
    plant.wait_for(lambda: len(recorded_frames(plant.home)) > 4)
    kill_host(first)
    assert ended(plant) == "Completed", plant.runs("plant-night")[0]["state"]["message"]
    assert sorted(recorded_frames(plant.home)) == sorted(2 * [f"part{i:04}.png" for i in range(FRAMES)])
    assert plant.states("night-shard").count("Completed") == 4
    message = plant.runs("plant-night")[0]["state"]["message"]
    assert f"{PRODUCT}/default: {FRAMES} frames" in message
    assert f"{SECOND}/default: {FRAMES} frames" in message


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cancelled_night_takes_its_shards_with_it(plant):
    """Nobody goes on with a night that was ended."""
    plant.start_worker("gpu-pool", "gpu", "plant", limit=2)
    plant.prefect("deployment", "run", "plant-night/plant-night")
    plant.wait_for(lambda: len(recorded_frames(plant.home)) > 4)
    plant.prefect("flow-run", "cancel", plant.runs("plant-night")[0]["id"])
    done = {"Cancelled", "Completed"}
    plant.wait_for(lambda: set(plant.states("night-shard")) <= done, said=lambda: plant.states("night-shard"))
    assert len(recorded_frames(plant.home)) < 2 * FRAMES
    assert ended(plant) == "Cancelled"
