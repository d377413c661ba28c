"""A bad hour in half a minute: camera, broker, MLflow and disk fail while the line runs; each part is accounted for."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest
from drawn_night import PRODUCT, write_frames
from line_samples import ListSink, settings_of
from signal_receivers import Subscriber, free_port, running_broker, wait_for

from inspection.verdicts import Verdict
from pipeline.cameras.replayed import ReplayCamera
from pipeline.cameras.trigger import Outage
from pipeline.line.events import EventKind
from pipeline.line.line import Line
from pipeline.line.settings import Policy
from pipeline.records import LineEventRecords, VerdictRecords
from pipeline.signals import open_sink

SMALL_DISK = "40m"


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 40 MB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(command, check=False, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("a small file system can't be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path):
    """Fill the file system to the last byte with this file, which is there already."""
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 65_536):
            pass


def run_line(workspace, frames, sinks, *, seconds, outages=(), rate=20.0, meanwhile=lambda _line: None):
    """Run a line for some seconds while things happen to it; its summary and what its page would have shown."""
    camera = ReplayCamera(frames, frames_per_second=rate, loop=True, outages=outages)
    settings = settings_of(workspace, PRODUCT, seconds=seconds, policy=Policy.SKIP)
    seen = []
    with Line(settings, camera, sinks) as line:
        threading.Thread(target=meanwhile, args=[line], daemon=True).start()
        summary = line.run(lambda snapshot: seen.append(snapshot))  # noqa: PLW0108 - a list's append says less
    return summary, seen


def down(seen):
    """What the page showed as away, at any moment."""
    return {health.what for snapshot in seen for health in snapshot.health if not health.up}


def recorded(workspace):
    """Rows and events."""
    with VerdictRecords(workspace.records_url) as records, LineEventRecords(workspace.records_url) as events:
        return records.rows(), events.events("line1", limit=10_000)


@pytest.mark.server
@pytest.mark.slow
def test_a_line_outlives_camera_broker_and_mlflow(plates, tmp_path, monkeypatch):
    """The camera is lost five times, the broker stopped, MLflow away throughout: all parts told once, and recorded."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    workspace = plates.copy(tmp_path / "home")
    frames = write_frames(tmp_path / "frames", 40)
    outages = [Outage(at=at, seconds=seconds) for at, seconds in ((2, 1), (5, 0.7), (8, 2), (13, 1), (17, 1.5))]
    with running_broker(tmp_path / "broker") as broker:
        plant = Subscriber(broker.port, ("plant/line1/verdict",))

        def stop_broker(_line):
            time.sleep(9)
            broker.stop()
            time.sleep(4)
            broker.start()

        sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/plant", line="line1")
        summary, seen = run_line(workspace, frames, [sink], seconds=24, outages=outages, meanwhile=stop_broker)
        wait_for(lambda: len({one["sequence"] for one in plant.of("verdict")}) == summary.snapshot.captured)
        plant.close()
    rows, events = recorded(workspace)
    told = Counter(one["sequence"] for one in plant.of("verdict"))
    assert summary.complete
    assert sorted(told) == list(range(1, summary.snapshot.captured + 1))
    assert len(rows) == summary.snapshot.captured > 150
    kinds = Counter(event.kind for event in events)
    assert kinds[EventKind.CAMERA_LOST] == kinds[EventKind.CAMERA_BACK] == 5
    assert kinds[EventKind.SIGNAL_LOST] == kinds[EventKind.SIGNAL_BACK] == 1
    assert kinds[EventKind.FRAMES_MISSED] >= 1
    assert kinds[EventKind.MLFLOW_LOST] == 1
    assert down(seen) >= {"camera", "signal", "MLflow"}


@pytest.mark.slow
def test_a_line_outlives_a_full_disk(plates, tmp_path, small_disk):
    """Parts go on to be told; what can't be written down does not pass; afterwards every part has its record."""
    workspace = plates.copy(small_disk / "home")
    frames = write_frames(tmp_path / "frames", 40, scratched_every=5)
    sink = ListSink()

    def trouble(line):
        ballast, second = (small_disk / name for name in ("ballast", "second ballast"))
        second.touch()
        time.sleep(3)
        ballast.touch()
        fill(ballast)
        wait_for(lambda: not line._spool.roomy)  # the spool gave up its reserve
        fill(second)
        wait_for(lambda: not line._spool.durable)
        time.sleep(2)
        ballast.unlink()
        second.unlink()
        time.sleep(4)
        line.stop("the trouble is over")

    summary, seen = run_line(workspace, frames, [sink], seconds=90, meanwhile=trouble)
    rows, events = recorded(workspace)
    captured = summary.snapshot.captured
    assert summary.complete
    assert [signal.sequence for signal in sink.signals] == list(range(1, captured + 1))
    assert len(rows) == captured > 150
    told = {signal.frame: signal.verdict.value for signal in sink.signals}
    assert told == {row["frame"]: row["verdict"] for row in rows}
    kinds = [event.kind for event in events]
    assert EventKind.RECORDS_LOST in kinds
    assert EventKind.RECORDS_BACK in kinds
    assert down(seen) & {"disk", "records"}
    unwritten = [signal for signal in sink.signals if str(signal.reason).startswith("not recorded: ")]
    assert 0 < len(unwritten) < captured
    assert Verdict.PASS not in {signal.verdict for signal in unwritten}
