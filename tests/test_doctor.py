"""The doctor: finds what is broken, names a remedy, and is never broken itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence

import pytest

from pipeline.doctor import Finding, Status, examine, libraries, machine
from pipeline.doctor.examining import CHECKS, Check
from pipeline.doctor.finding import ok
from pipeline.doctor.probe import Answer, ask_python
from pipeline.workspace import Workspace


def the_only(findings: Sequence[Finding]) -> Finding:
    """The one finding there is."""
    (finding,) = findings
    return finding


def check(name: str, look: object) -> Check:
    """A check made up for a test."""
    return Check(name=name, look=look, if_hung="pull the plug")  # type: ignore[arg-type]


def test_examination_of_this_installation_finds_nothing_that_stops(workspace: Workspace) -> None:
    """On a sound installation no check fails, every trouble has a remedy, and no state is made."""
    findings = examine(workspace)
    assert [finding for finding in findings if finding.status is Status.FAIL] == []
    assert [finding for finding in findings if finding.status is not Status.OK and not finding.remedy] == []
    assert {"python", "torch", "onnxruntime", "opencv", "encoder", "records", "mlflow", "prefect"} <= {
        finding.name for finding in findings
    }
    assert not workspace.home.exists()


def test_a_check_that_raises_is_a_finding_and_the_others_go_on(workspace: Workspace) -> None:
    """Whatever a check raises becomes a finding in its place."""

    def broken(_workspace: Workspace) -> list[Finding]:
        message = "no such luck"
        raise RuntimeError(message)

    findings = examine(workspace, checks=(check("one", broken), check("two", lambda _: [ok("two", "fine")])))
    assert [(finding.name, finding.status) for finding in findings] == [("one", Status.FAIL), ("two", Status.OK)]
    assert "RuntimeError: no such luck" in findings[0].detail


def test_a_check_that_hangs_does_not_hold_up_the_examination(workspace: Workspace) -> None:
    """What does not answer in time is a failure with the remedy for that."""
    release = threading.Event()

    def hanging(_workspace: Workspace) -> list[Finding]:
        release.wait(30)
        return []

    begin = time.monotonic()
    finding = the_only(examine(workspace, checks=(check("stuck", hanging),), seconds=0.1))
    release.set()
    assert time.monotonic() - begin < 5
    assert (finding.status, finding.remedy) == (Status.FAIL, "pull the plug")


def test_checks_have_names_of_their_own() -> None:
    """Two checks of one name would hide one another."""
    assert len({known.name for known in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("import os; os.abort()", "crashed with SIGABRT"),
        ("import time; time.sleep(60)", "no answer within 1 s"),
        ("from inspection.errors import WeightsError; raise WeightsError('no weights')", "WeightsError: no weights"),
    ],
    ids=["missing", "crashing", "hanging", "raising"],
)
def test_a_broken_library_is_told_apart(code: str, problem: str) -> None:
    """A library that is missing, crashes or hangs takes only the process that tries it with it."""
    answer = ask_python(code, seconds=1 if "sleep" in code else 60)
    assert answer.problem is not None
    assert problem in answer.problem


def test_chatter_before_the_answer_is_ignored() -> None:
    """Only the last line that is printed counts."""
    assert ask_python("print('loading ...'); print('42')") == Answer(said="42", problem=None)


@pytest.mark.parametrize(
    "look",
    [libraries.examine_torch, libraries.examine_onnxruntime, libraries.examine_opencv, libraries.examine_encoder],
)
def test_a_library_that_cannot_be_imported_fails_with_a_remedy(
    look: object, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding repeats what the library said."""
    monkeypatch.setattr(libraries, "ask_python", lambda _code: Answer(said="", problem="libGL.so.1 is missing"))
    finding = the_only(look(workspace))  # type: ignore[operator]
    assert finding.status is Status.FAIL
    assert "libGL.so.1 is missing" in finding.detail
    assert finding.remedy


@pytest.mark.parametrize(
    ("said", "driver", "status", "words"),
    [
        ({"built_for": "13.0", "device": None}, None, Status.OK, "none: the CPU engine is used"),
        ({"built_for": "13.0", "device": None}, "nvidia-smi", Status.WARN, "built for CUDA 13.0"),
        ({"built_for": None, "device": None}, "nvidia-smi", Status.WARN, "built for CPUs"),
        ({"built_for": "13.0", "device": "H100"}, "nvidia-smi", Status.OK, "H100, 78 GiB"),
    ],
    ids=["no GPU", "driver too old", "torch for CPUs", "GPU"],
)
def test_cuda_is_told(
    said: dict[str, object], driver: str | None, status: Status, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No GPU is fine; a GPU that torch can't use is a warning."""
    line = json.dumps({"version": "2", "threads": 2, "memory": 78 * 2**30, **said})
    monkeypatch.setattr(libraries, "ask_python", lambda _code: Answer(said=line, problem=None))
    monkeypatch.setattr(libraries.shutil, "which", lambda _name: driver)
    cuda = libraries.examine_torch(Workspace.locate())[1]
    assert cuda.status is status
    assert words in cuda.detail


def test_opencv_without_ffmpeg_is_a_warning(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are still read without it."""
    said = json.dumps({"version": "5", "threads": 1, "ffmpeg": False})
    monkeypatch.setattr(libraries, "ask_python", lambda _code: Answer(said=said, problem=None))
    assert the_only(libraries.examine_opencv(workspace)).status is Status.WARN


def test_a_setting_that_limits_threads_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """OMP_NUM_THREADS below the number of cores makes the network slow."""
    for name in machine.THREAD_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "cores", lambda: 4)
    assert the_only(machine.examine_processor(workspace)).status is Status.OK
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    finding = the_only(machine.examine_processor(workspace))
    assert finding.status is Status.WARN
    assert "OMP_NUM_THREADS=1" in finding.detail


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd"])
def test_an_unknown_time_zone_is_a_warning(zone: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule in local time would run at a wrong hour."""
    monkeypatch.setenv("TZ", zone)
    finding = the_only(machine.examine_clock(workspace))
    assert finding.status is Status.WARN
    assert zone in finding.detail
