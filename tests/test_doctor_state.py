"""The doctor's look at what is kept and at the servers: home, records, products, outbox, MLflow, Prefect."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from answering_server import answering
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from inspection.calibration import Binding, Calibration, Policy
from inspection.recipe import EncoderChoice, Recipe
from inspection.reference_set import Golden, ReferenceSet, load_reference_set
from pipeline.doctor import Finding, Status, services, state
from pipeline.workspace import Workspace


def the_only(findings: Sequence[Finding]) -> Finding:
    """The one finding there is."""
    (finding,) = findings
    return finding


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_address[1]


@pytest.fixture
def prefect_server() -> Iterator[str]:
    """The address of a server that lives like Prefect's."""
    with answering(lambda _path, _login: (200, b"true")) as address:
        yield f"{address}/api"


def test_a_home_that_is_a_file_fails(workspace: Workspace) -> None:
    """The state needs a folder."""
    workspace.home.write_text("not a folder", encoding="utf-8")
    assert the_only(state.examine_home(workspace)).status is Status.FAIL
    assert the_only(state.examine_disk(workspace)).name == "disk"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody can write to")
def test_a_home_that_cannot_be_written_fails() -> None:
    """Tried by writing, for not even root can write everywhere."""
    finding = the_only(state.examine_home(Workspace.locate(home=Path("/proc/self"))))
    assert finding.status is Status.FAIL
    assert "--home" in finding.remedy


@pytest.mark.parametrize(("free", "status"), [(10**8, Status.FAIL), (10**9, Status.WARN), (10**10, Status.OK)])
def test_little_room_is_told(free: int, status: Status, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 5 GB it is a warning, below 500 MB a failure."""
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(state.shutil, "disk_usage", lambda _folder: usage)
    assert the_only(state.examine_disk(workspace)).status is status


def test_an_mlflow_that_is_down_is_a_warning(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspection goes on without MLflow."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://clerk:secret@127.0.0.1:{free_port()}")
    finding = the_only(services.examine_mlflow(workspace))
    assert finding.status is Status.WARN
    assert finding.remedy
    assert "secret" not in finding.detail + finding.remedy


def test_without_an_address_prefect_is_ephemeral(workspace: Workspace) -> None:
    """No server is needed."""
    finding = the_only(services.examine_prefect(workspace))
    assert finding.status is Status.OK
    assert "ephemeral" in finding.detail


def test_a_prefect_server_that_answers_is_ok(
    prefect_server: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked at its health address."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    assert the_only(services.examine_prefect(workspace)).status is Status.OK


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/api", "http://127.0.0.1:{port}", "file:///etc/api", "nonsense"]
)
def test_a_prefect_address_that_leads_nowhere_fails(
    url: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens there, or it is no address of Prefect."""
    monkeypatch.setenv("PREFECT_API_URL", url.format(port=free_port()))
    finding = the_only(services.examine_prefect(workspace))
    assert finding.status is Status.FAIL
    assert "PREFECT_API_URL" in finding.remedy


@pytest.mark.parametrize(
    ("fastapi", "status"),
    [("0.150.9", Status.OK), ("0.151.0", Status.FAIL), ("0.149.3", Status.FAIL), (None, Status.FAIL)],
)
def test_a_fastapi_that_breaks_prefect_is_found(
    fastapi: str | None, status: Status, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect 3.8's server refuses its own client from FastAPI 0.151 on, and does not start from 0.155 on."""
    monkeypatch.setattr(services, "_installed", {"prefect": "3.8.8", "fastapi": fastapi}.get)
    finding = the_only(services.examine_prefect(workspace))
    assert finding.status is status
    assert status is Status.OK or "fastapi>=0.150,<0.151" in finding.remedy


def test_the_doctor_knows_the_fastapi_that_we_ask_for() -> None:
    """The versions it takes for sound are those of pyproject.toml."""
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    asked = next(Requirement(d) for d in pyproject["project"]["dependencies"] if d.startswith("fastapi"))
    low, high = (".".join(map(str, bound)) for bound in services.FASTAPI_WITH_PREFECT_3_8)
    assert asked.specifier == SpecifierSet(f">={low},<{high}")


def test_the_outbox_is_counted(workspace: Workspace) -> None:
    """What waits for MLflow is told."""
    assert the_only(state.examine_outbox(workspace)).status is Status.OK
    for name in ("a", "b"):
        (workspace.outbox / name).mkdir(parents=True)
    finding = the_only(state.examine_outbox(workspace))
    assert finding.status is Status.WARN
    assert finding.detail.startswith("2 entries waiting")


def test_what_mlflow_refused_is_told(workspace: Workspace) -> None:
    """Nobody would look for it otherwise."""
    refused = workspace.outbox / "rejected" / "a"
    refused.mkdir(parents=True)
    (refused / "reason.txt").write_text("no such experiment", encoding="utf-8")
    finding = the_only(state.examine_outbox(workspace))
    assert finding.status is Status.WARN
    assert finding.detail.startswith("1 entry refused")


@pytest.fixture
def goldens(workspace: Workspace) -> ReferenceSet:
    """A product with one drawn golden, enrolled by hand."""
    folder = workspace.references / "gear" / "default"
    (folder / "goldens").mkdir(parents=True)
    (folder / "versions").mkdir()
    picture = cv2.imencode(".png", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
    (folder / "goldens" / "one.png").write_bytes(picture)
    golden = Golden(
        name="one.png",
        sha256=hashlib.sha256(picture).hexdigest(),
        width=8,
        height=8,
        file="goldens/one.png",
        added_at="2026-11-01T00:00:00+00:00",
        added_by="me",
    )
    (folder / "recipe.json").write_text(Recipe().to_json(), encoding="utf-8")
    (folder / "versions" / "0001.json").write_text(json.dumps({"goldens": [asdict(golden)]}), encoding="utf-8")
    (folder / "current.json").write_text('{"version": 1}', encoding="utf-8")
    return load_reference_set(workspace.references, "gear")


def keep_calibration(workspace: Workspace, *, reference_set: str, provisional: bool) -> None:
    """Put a calibration where calibrations lie."""
    binding = Binding(encoder="e" * 12, reference_set=reference_set, recipe=Recipe().digest)
    calibration = Calibration(
        threshold=0.5,
        provisional=provisional,
        binding=binding,
        policy=Policy(),
        good=20,
        defective=0,
        overkill=None,
        escape=None,
        statement="made up",
        warnings=(),
        created_at="2026-11-01T00:00:00+00:00",
    )
    folder = workspace.calibrations / "gear" / "default"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{calibration.digest}.json").write_text(calibration.to_json(), encoding="utf-8")


def test_without_products_the_first_step_is_named(workspace: Workspace) -> None:
    """A new user learns how to enrol."""
    assert "goldentwin enrol" in the_only(state.examine_products(workspace)).remedy


@pytest.mark.parametrize(
    ("kept", "status", "words"),
    [
        ([], Status.WARN, "not calibrated"),
        ([("other", False)], Status.WARN, "not calibrated"),
        ([("same", True)], Status.WARN, "provisionally"),
        ([("same", True), ("same", False)], Status.OK, "version 1, 1 golden, calibrated"),
    ],
    ids=["never", "for other goldens", "provisionally", "calibrated"],
)
def test_product_says_whether_it_is_calibrated(
    kept: list[tuple[str, bool]], status: Status, words: str, goldens: ReferenceSet, workspace: Workspace
) -> None:
    """Only a calibration bound to the current goldens and recipe counts."""
    for whose, provisional in kept:
        digest = goldens.digest if whose == "same" else "0" * 12
        keep_calibration(workspace, reference_set=digest, provisional=provisional)
    finding = the_only(state.examine_products(workspace))
    assert (finding.name, finding.status) == ("gear/default", status)
    assert words in finding.detail


def test_an_altered_golden_fails(goldens: ReferenceSet, workspace: Workspace) -> None:
    """A golden that is not the one approved is found."""
    (goldens.folder / goldens.goldens[0].file).write_bytes(b"another picture")
    finding = the_only(state.examine_products(workspace))
    assert finding.status is Status.FAIL
    assert "altered" in finding.detail
    assert "enrol" in finding.remedy


def test_missing_weights_of_a_recipe_fail(goldens: ReferenceSet, workspace: Workspace) -> None:
    """A product with an encoder of its own can't judge without its file."""
    encoder = EncoderChoice(name="resnet18", weights="resnet18.safetensors")
    (goldens.folder / "recipe.json").write_text(Recipe(encoder=encoder).to_json(), encoding="utf-8")
    finding = the_only(state.examine_products(workspace))
    assert finding.status is Status.FAIL
    assert str(goldens.folder / "resnet18.safetensors") in finding.detail
    (goldens.folder / "resnet18.safetensors").write_bytes(b"weights")
    assert the_only(state.examine_products(workspace)).status is Status.WARN
