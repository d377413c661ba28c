"""The examination: every check at once, each within its time, none able to end the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.doctor import libraries, machine, room, services, state
from pipeline.doctor.finding import Finding, fail
from pipeline.evidence_store import URL_VARIABLE
from pipeline.workspace import Workspace

CHECK_SECONDS = 90.0  # the first import of torch or mlflow after an installation takes long on a slow disk


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: what it is called, how it looks, and what to do should it hang."""

    name: str
    look: Callable[[Workspace], Sequence[Finding]]
    if_hung: str


CHECKS = (
    Check(name="python", look=machine.examine_python, if_hung="install anew: make clean install"),
    Check(name="processor", look=machine.examine_processor, if_hung="restart the machine"),
    Check(name="clock", look=machine.examine_clock, if_hung="install the time zone data: pip install tzdata"),
    Check(name="torch", look=libraries.examine_torch, if_hung="check the CUDA driver: nvidia-smi"),
    Check(name="onnxruntime", look=libraries.examine_onnxruntime, if_hung=libraries.REINSTALL),
    Check(name="opencv", look=libraries.examine_opencv, if_hung=libraries.REINSTALL),
    Check(name="encoder", look=libraries.examine_encoder, if_hung="check that the disk with .venv answers"),
    Check(name="home", look=state.examine_home, if_hung="check that the disk of the home folder answers (df)"),
    Check(name="disk", look=state.examine_disk, if_hung="check that the disk of the home folder answers (df)"),
    Check(name="room", look=room.examine_room, if_hung="check that the disk of the home folder answers (df)"),
    Check(name="records", look=state.examine_records, if_hung="check the server that GOLDENTWIN_DATABASE_URL names"),
    Check(name="mlflow", look=services.examine_mlflow, if_hung="check the server that MLFLOW_TRACKING_URI names"),
    Check(name="prefect", look=services.examine_prefect, if_hung="check the server that PREFECT_API_URL names"),
    Check(name="evidence", look=services.examine_evidence, if_hung=f"check the server that {URL_VARIABLE} is kept by"),
    Check(name="products", look=state.examine_products, if_hung="check that the disk of the goldens answers (df)"),
    Check(name="outbox", look=state.examine_outbox, if_hung="check that the disk of the home folder answers (df)"),
)


def examine(workspace: Workspace, *, checks: Sequence[Check] = CHECKS, seconds: float = CHECK_SECONDS) -> list[Finding]:
    """Look at everything goldentwin needs, all at once, and say what was found, in the order of `checks`.

    It never raises, makes no files but those of an opened database, and returns after `seconds` at the latest.
    """
    findings: dict[str, Sequence[Finding]] = {}
    threads = [threading.Thread(target=_look, args=(check, workspace, findings), daemon=True) for check in checks]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [finding for check in checks for finding in findings.get(check.name) or [_hung(check, seconds)]]


def _look(check: Check, workspace: Workspace, findings: dict[str, Sequence[Finding]]) -> None:
    try:
        findings[check.name] = check.look(workspace)
    except Exception as error:  # noqa: BLE001 - whatever is broken, the other checks are still wanted
        detail = f"the check itself failed: {type(error).__name__}: {error}"
        findings[check.name] = [fail(check.name, detail, libraries.REINSTALL)]


def _hung(check: Check, seconds: float) -> Finding:
    return fail(check.name, f"no answer within {seconds:g} s", check.if_hung)
