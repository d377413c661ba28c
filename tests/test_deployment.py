"""Deployments: what a site's file asks for is there, what it says wrong is named, and a worker takes a night."""

from __future__ import annotations

import inspect
import os
import signal
from pathlib import Path

import pytest
import yaml
from drawn_night import PRODUCT, missing_and_doubled, recorded_frames, write_frames
from prefect_site import PROJECT, prefect_site

from flows.sites import Product, Site, SiteError, deployments, prefect_file, read_site

EXAMPLE = PROJECT / "flows" / "site.yaml"
FILE = PROJECT / "flows" / "prefect.yaml"
FRAMES = 80


@pytest.fixture(scope="module")
def written():
    """The example's deployments, by name."""
    return {one["name"]: one for one in yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"]}


def test_the_example_is_written_anew():
    """flows/prefect.yaml is what the command makes of flows/site.yaml."""
    own, site = Path("flows/prefect.yaml"), Path("flows/site.yaml")
    assert prefect_file(read_site(EXAMPLE), site_path=site, own_path=own) == FILE.read_text(encoding="utf-8")


def test_every_deployment_asks_for_parameters_the_flow_has(written):
    """A misspelt parameter would be found at two in the morning otherwise."""
    from importlib import import_module

    for one in written.values():
        module, name = one["entrypoint"].removesuffix(".py").replace(".py:", ":").replace("/", ".").split(":")
        flow = getattr(import_module(module), name)
        bound = inspect.signature(flow.fn).bind_partial(**one.get("parameters", {}))
        if one["name"] != "night-shard":  # the plant's night gives its parameters
            inspect.signature(flow.fn).bind(**bound.arguments)


def test_everything_has_its_queue_and_its_hour(written):
    """What comes round has cron and time zone, GPUs and CPUs have queues, lines a pool of their own and their host."""
    queues = {name: (one["work_pool"]["name"], one["work_pool"]["work_queue_name"]) for name, one in written.items()}
    assert queues == {
        "plant-night": ("gpu-pool", "plant"),
        "night-shard": ("gpu-pool", "gpu"),
        "bottle-night": ("gpu-pool", "gpu"),
        "bottle-training": ("gpu-pool", "gpu"),
        "bottle-calibration": ("gpu-pool", "gpu"),
        "board-top-night": ("gpu-pool", "gpu"),
        "line1": ("line-pool", "hall1"),
        "review": ("gpu-pool", "plant"),
        "retention": ("gpu-pool", "plant"),
    }
    hours = {name: one["schedules"][0]["cron"] for name, one in written.items() if "schedules" in one}
    assert hours == {"plant-night": "0 2 * * *", "review": "20 * * * *", "retention": "30 5 * * *"}
    assert {one["schedules"][0]["timezone"] for one in written.values() if "schedules" in one} == {"Europe/Berlin"}


def test_a_line_has_the_parameters_of_its_command(written):
    """What the file says of it and nothing else; its tag lets it be found again."""
    assert written["line1"]["parameters"] == {
        "line": "line1",
        "product": "bottle",
        "source": "gige:192.168.1.20?trigger=Line1",
        "signals": ["mqtt://127.0.0.1:1883/plant?ack=1"],
        "deadline_ms": 250,
        "page_port": 8765,
    }
    assert "line:line1" in written["line1"]["tags"]


def test_file_names_no_folder_of_this_machine():
    """The project's folder comes from the worker's environment."""
    text = FILE.read_text(encoding="utf-8")
    assert "{{ $GOLDENTWIN_PROJECT }}" in text
    assert str(PROJECT) not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timezone: Mars/North\nproducts: []", "timezone: .*no time zone"),
        ("timezone: UTC\nproducts: []\nnight: {cron: at two}", "night.cron: .*no cron expression"),
        ("timezone: UTC\nproducts: []\nnihgt: {}", "nihgt: Extra inputs"),
        ("timezone: UTC\nproducts: [{product: ../x, frames: /f}]", "products.0.product: .*pattern"),
        ("timezone: UTC\nproducts: [{product: a, frames: f}, {product: a, frames: g}]", "are called 'a'"),
        ("timezone: [", "is no YAML"),
        ("", "Input should be"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    """The place in the file, and what is wrong there."""
    file = tmp_path / "site.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SiteError, match=said):
        read_site(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    """One line, no traceback."""
    with pytest.raises(SiteError, match=r"site.yaml can't be read"):
        read_site(tmp_path / "site.yaml")


def run_process(site):
    """The number of the process that the worker started for a run of this site, once it is there."""
    for entry in Path("/proc").iterdir():
        try:
            if (
                b"prefect.engine" in (entry / "cmdline").read_bytes()
                and str(site.home).encode() in (entry / "environ").read_bytes()
            ):
                return int(entry.name)
        except (OSError, ValueError):
            continue
    return None


@pytest.mark.server
@pytest.mark.slow
def test_what_has_an_hour_is_scheduled(tmp_path):
    """The server itself makes the runs that are due: a schedule that nobody keeps is a night that never comes."""
    plant = Site(timezone="Europe/Berlin", products=[])
    with prefect_site(tmp_path / "home", tmp_path) as site:
        site.deploy([one for one in deployments(plant) if one["name"] in {"plant-night", "review"}])
        for flow in ("plant-night", "review"):
            due = site.wait_for(lambda flow=flow: site.runs(flow))
            assert {run["state_name"] for run in due} == {"Scheduled"}
        assert all(run["expected_start_time"].endswith((":20:00Z", ":20:00+00:00")) for run in site.runs("review"))


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_finishes_a_killed_night(plates, tmp_path):
    """A worker takes a run; killed with -9 halfway and run again by hand, every frame has one row."""
    home = plates.copy(tmp_path / "home").home
    frames = write_frames(tmp_path / "frames", FRAMES)
    plant = Site(timezone="Europe/Berlin", products=[Product(product=PRODUCT, frames=str(frames))])
    with prefect_site(home, tmp_path) as site:
        (night,) = [one for one in deployments(plant) if one["name"] == f"{PRODUCT}-night"]
        night["parameters"]["chunk_size"] = 4
        site.deploy([night])
        site.start_worker("gpu-pool", "gpu")
        run = ("deployment", "run", f"nightly-inspection/{PRODUCT}-night")
        site.prefect(*run)
        site.wait_for(lambda: recorded_frames(home))
        os.kill(run_process(site), signal.SIGKILL)
        assert 0 < len(recorded_frames(home)) < FRAMES
        assert "Completed" in site.prefect(*run, "--watch", "--watch-timeout", "140")
        assert missing_and_doubled(recorded_frames(home), frames) == (set(), set())
