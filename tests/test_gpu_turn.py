"""One job at a time on a GPU, by Prefect's own limit; the place of a killed holder comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from prefect_site import PROJECT, prefect_site

from flows import gpu_turn
from flows.gpu_turn import gpu_limit, turn_on_gpu

HOLDER = """
import time
from prefect import flow
from flows.gpu_turn import turn_on_gpu

@flow(name="holder")
def hold():
    with turn_on_gpu(needed=True):
        print("held", flush=True)
        time.sleep({seconds})

hold()
"""


@pytest.fixture
def limit(monkeypatch):
    """The name of a limit of this test's own."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"0,{os.getpid()}")
    return gpu_limit()


def places(site, limit):
    """How many places of the limit are taken, of how many; None where there is no such limit."""
    found = [one for one in site.post("v2/concurrency_limits/filter", {}) if one["name"] == limit]
    return (found[0]["active_slots"], found[0]["limit"]) if found else None


def holder(site, seconds):
    """A process that holds the GPU for so long."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(seconds=seconds)],
        env=site.environment | {"CUDA_VISIBLE_DEVICES": os.environ["CUDA_VISIBLE_DEVICES"]},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_each_gpu_of_each_machine_has_a_limit(limit, monkeypatch):
    """Hosts, and devices of one host, do not wait for each other; without devices the host's name is enough."""
    assert limit.startswith("gpu-")
    assert limit.endswith(f"-0-{os.getpid()}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert limit.startswith(gpu_limit())


def test_nothing_is_held_without_a_gpu(monkeypatch):
    """On a CPU nothing waits for anything, and Prefect is not asked."""
    monkeypatch.setattr(gpu_turn, "get_client", None)
    with turn_on_gpu(needed=False):
        pass


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_second_job_waits_and_a_killed_holder_gives_its_gpu_back(limit, tmp_path):
    """The limit is made when it is first wanted, with one place; its lease runs out with its holder's life."""
    with prefect_site(tmp_path / "home", tmp_path) as site:
        assert places(site, limit) is None
        first = holder(site, 3600)
        assert first.stdout.readline() == "held\n"
        assert places(site, limit) == (1, 1)
        second = holder(site, 0)
        time.sleep(5)
        assert second.poll() is None
        first.kill()
        first.communicate()
        assert second.stdout.readline() == "held\n"
        second.communicate(timeout=60)
        assert second.returncode == 0
