"""One job at a time on a GPU: a global concurrency limit of Prefect, whose places come back from killed holders."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.artifacts import prefect_may_fail

LEASE_SECONDS = 60  # a killed process gives its GPU back after this


def gpu_limit() -> str:
    """The limit of this process's GPU: `gpu-HOST`, or `gpu-HOST-DEVICES` where CUDA_VISIBLE_DEVICES names some."""
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(",", "-")
    return "-".join(part for part in ("gpu", socket.gethostname(), devices) if part)


@contextmanager
def turn_on_gpu(*, needed: bool) -> Iterator[None]:
    """Hold this machine's GPU for the block, once whoever has it gives it back; nothing is held where none is needed.

    The limit is made with one place where there is none: `prefect gcl update NAME --limit 2` lets two jobs share a GPU.
    Where Prefect does not answer, the work goes on without a turn.
    """
    with ExitStack() as stack:
        if needed:
            with prefect_may_fail("working without a turn on the GPU"):
                name = gpu_limit()
                _make_sure_of(name)
                stack.enter_context(concurrency(name, lease_duration=LEASE_SECONDS))
        yield


def _make_sure_of(name: str) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):  # where another worker was quicker
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
