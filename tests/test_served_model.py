"""The judged model travels as one folder: to the local champion, to MLflow's registry, and back into an inspector."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import mlflow.pyfunc
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from tracking_inputs import StubInspector, calibration_log, calibration_of, enrolled, workspace_in

from inspection.errors import CalibrationError, ReferenceSetError, TrackingError
from inspection.recipe import EncoderChoice
from pipeline import bundle as bundles
from pipeline import outbox
from pipeline.bundle import read_bundle, write_bundle
from pipeline.champions import keep_champion, read_champion
from pipeline.tracking.connection import connected
from pipeline.tracking.models import model_requirements, pull_champion, registered_name, set_champion, write_model
from pipeline.tracking.runs import log_calibration

IMAGES = np.stack([np.full((32, 48, 3), shade, np.uint8) for shade in (60, 250)])


@pytest.fixture
def workspace(home):
    """A workspace with an empty store."""
    return workspace_in(home)


@pytest.fixture
def inspector(workspace):
    """A stub inspector of two goldens, calibrated."""
    return _inspector(workspace)


@pytest.fixture
def folder(inspector, tmp_path):
    """The bundle of that inspector."""
    return write_bundle(tmp_path / "bundle", inspector)


@pytest.fixture
def stubbed(monkeypatch):
    """Bundles open with the stub inspector."""
    module = ModuleType("inspection.inspector")
    module.Inspector = StubInspector
    monkeypatch.setitem(sys.modules, "inspection.inspector", module)


def _inspector(workspace, *, created_at=None, provisional=False, good=40):
    reference_set = enrolled(workspace.references) if not workspace.references.exists() else _again(workspace)
    calibration = calibration_of(reference_set, created_at=created_at, provisional=provisional, good=good)
    return StubInspector(reference_set, calibration=calibration)


def _again(workspace):
    return bundles.load_reference_set(workspace.references, "board")


def _logged(workspace, tmp_path, created_at, good=40, **options):
    inspector = _inspector(workspace, created_at=created_at, good=good)
    folder = write_bundle(tmp_path / f"bundle-{created_at}", inspector)
    log = calibration_log(calibration=inspector.calibration, bundle=folder, **options)
    log_calibration(workspace, log)
    return log


def _champion(workspace):
    with connected(workspace) as client:
        return client.get_model_version_by_alias(registered_name("board", "default"), "champion")


def _versions(workspace):
    with connected(workspace) as client:
        return client.search_model_versions(f"name = '{registered_name('board', 'default')}'")


def test_bundle_reads_back_as_it_was(folder, inspector):
    """Goldens, recipe, calibration and provenance survive the way through the folder."""
    found = read_bundle(folder)
    assert found.provenance == inspector.provenance
    assert found.calibration == inspector.calibration
    assert found.reference_set.digest == inspector.reference_set.digest
    assert found.reference_set.recipe == inspector.reference_set.recipe
    assert all(
        np.array_equal(a, b)
        for a, b in zip(found.reference_set.images(), inspector.reference_set.images(), strict=True)
    )


def test_bundle_needs_nothing_beside_it(folder, workspace, tmp_path):
    """It is read after the references are gone and it was moved."""
    workspace.references.rename(tmp_path / "gone")
    moved = folder.rename(tmp_path / "moved")
    assert len(read_bundle(moved).reference_set.images()) == 2


def test_own_weights_travel_along(workspace, tmp_path):
    """A weights file that the recipe names is in the bundle; where it lies changes no digest."""
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(b"tensors")
    reference_set = enrolled(workspace.references)
    recipe = replace(reference_set.recipe, encoder=EncoderChoice(weights=str(weights)))
    (reference_set.folder / "recipe.json").write_text(recipe.to_json())
    inspector = _inspector(workspace)
    folder = write_bundle(tmp_path / "bundle", inspector)
    weights.unlink()
    found = read_bundle(folder)
    assert Path(found.reference_set.recipe.encoder.weights).read_bytes() == b"tensors"
    assert found.reference_set.recipe.digest == inspector.provenance.recipe


@pytest.mark.parametrize("name", ["calibration.json", "references/board/default/recipe.json", "goldens"])
def test_altered_bundle_is_refused(folder, name):
    """A changed byte in any file is found before anything is judged, and the file is named."""
    path = folder / name if name != "goldens" else next(folder.glob("references/board/default/goldens/*"))
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ReferenceSetError, match=path.name):
        read_bundle(folder)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 7}'])
def test_damaged_manifest_is_refused(folder, text):
    """A manifest that can't be read is a typed error that names what mends it."""
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ReferenceSetError, match="calibrate"):
        read_bundle(folder)


def test_bundle_can_not_reach_outside_of_itself(folder):
    """A manifest that names a file outside is refused."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../secret"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ReferenceSetError, match="outside"):
        read_bundle(folder)


def test_file_that_was_slipped_in_is_refused(folder):
    """A file that the manifest does not name is found."""
    (folder / "weights.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ReferenceSetError, match=r"weights\.pkl"):
        read_bundle(folder)


@pytest.mark.usefixtures("stubbed")
def test_another_encoder_is_an_error_not_a_verdict(folder, monkeypatch):
    """Opened where another encoder is installed, a bundle says so instead of judging."""
    monkeypatch.setattr("tracking_inputs.ENCODER", "f" * 12)
    with pytest.raises(CalibrationError, match="encoder ffffffffffff"):
        read_bundle(folder).open()


def test_champion_is_kept_and_replaced_whole(workspace, folder, tmp_path):
    """The local champion is the last one kept; a few older ones stay, and leftovers of a kill harm nothing."""
    assert read_champion(workspace, "board", "default") is None
    first = keep_champion(workspace, folder)
    assert read_champion(workspace, "board", "default") == first
    for good in range(41, 46):
        second = keep_champion(workspace, write_bundle(tmp_path / str(good), _inspector(workspace, good=good)))
    (workspace.champions / "board" / "default" / ".half-written").write_text("{")
    assert read_champion(workspace, "board", "default") == second
    assert second.digest != first.digest
    assert sum(path.is_dir() for path in (workspace.champions / "board" / "default").iterdir()) == 3


def test_kill_while_keeping_leaves_the_old_champion(workspace, folder, tmp_path, monkeypatch):
    """Until the pointer is replaced, the old champion judges."""
    first = keep_champion(workspace, folder)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.champions._point", killed)
    other = write_bundle(tmp_path / "other", _inspector(workspace, good=50))
    with pytest.raises(KeyboardInterrupt):
        keep_champion(workspace, other)
    assert read_champion(workspace, "board", "default") == first


def test_provisional_is_never_champion(workspace, tmp_path):
    """Neither locally nor in the registry, whatever is asked for."""
    inspector = _inspector(workspace, provisional=True)
    folder = write_bundle(tmp_path / "bundle", inspector)
    with pytest.raises(CalibrationError, match="provisional"):
        keep_champion(workspace, folder)
    log_calibration(workspace, calibration_log(calibration=inspector.calibration, bundle=folder))
    assert _versions(workspace) == []


def test_calibration_registers_a_version_and_makes_it_champion(workspace, tmp_path):
    """The registered version names everything it rests on."""
    log = _logged(workspace, tmp_path, "2026-11-01T00:00:00+00:00")
    champion = _champion(workspace)
    assert champion.tags["encoder"] == log.calibration.binding.encoder
    assert champion.tags["reference_set"] == log.calibration.binding.reference_set
    assert champion.tags["recipe"] == log.calibration.binding.recipe
    assert champion.tags["calibration"] == log.calibration.digest
    assert champion.tags["provisional"] == "false"
    assert champion.tags["training_data"] == log.entry().note.dataset.digest


def test_newest_calibration_is_champion_whatever_the_order(workspace, tmp_path):
    """A job that waited long does not take the crown from a later calibration; one logged twice is one version."""
    newer = _logged(workspace, tmp_path, "2026-11-02T00:00:00+00:00", good=41)
    _logged(workspace, tmp_path, "2026-11-01T00:00:00+00:00", good=40)
    log_calibration(workspace, newer)
    assert len(_versions(workspace)) == 2
    assert _champion(workspace).tags["calibration"] == newer.calibration.digest


def test_champion_can_be_set_by_hand(workspace, tmp_path):
    """`set_champion` takes a version's number, and refuses one that is not there."""
    _logged(workspace, tmp_path, "2026-11-01T00:00:00+00:00", good=40, make_champion=False)
    (only,) = _versions(workspace)
    set_champion(workspace, "board", "default", str(only.version))
    assert _champion(workspace).version == only.version
    with pytest.raises(TrackingError, match="no version 99"):
        set_champion(workspace, "board", "default", "99")


def test_champion_is_pulled_once_and_kept(workspace, tmp_path):
    """Another machine fetches the registry's champion, keeps it, and fetches nothing when it has it."""
    log = _logged(workspace, tmp_path, "2026-11-01T00:00:00+00:00")
    assert pull_champion(workspace, "camera", "default") is None
    pulled = pull_champion(workspace, "board", "default")
    assert pulled.calibration == log.calibration
    assert pull_champion(workspace, "board", "default") == pulled == read_champion(workspace, "board", "default")


def test_model_holds_no_pickle(folder, tmp_path):
    """Nothing in the logged model can execute on loading but the one script, which is ours."""
    write_model(folder, tmp_path / "model")
    names = [path.name for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".cloudpickle", ".pt", ".pth", ".joblib"))]
    assert [name for name in names if name.endswith(".py")] == ["served_model.py"]


def test_model_names_its_requirements():
    """Goldentwin and its main dependencies are pinned; extras are left out."""
    requirements = model_requirements()
    assert requirements[0].startswith("goldentwin==")
    assert {"torch", "onnxruntime", "mlflow"} <= {line.split("==")[0] for line in requirements}
    assert all("==" in line for line in requirements)
    assert "pytest" not in {line.split("==")[0] for line in requirements}


@pytest.mark.usefixtures("stubbed")
def test_served_model_judges_as_the_library_does(workspace, folder, inspector):
    """Images in, verdicts out, with the keys of `goldentwin inspect --json`, equal to the library's."""
    log_calibration(workspace, calibration_log(calibration=inspector.calibration, bundle=folder))
    with connected(workspace):
        served = mlflow.pyfunc.load_model("models:/goldentwin.board.default@champion")
    verdicts = served.predict(IMAGES)
    expected = inspector.judge(list(IMAGES))
    assert [each["verdict"] for each in verdicts] == [each.verdict.value for each in expected] == ["FLAG", "PASS"]
    assert [each["similarity"] for each in verdicts] == [each.similarity for each in expected]
    keys = [
        "frame",
        "part_id",
        "product",
        "view",
        "verdict",
        "similarity",
        "distance",
        "threshold",
        "regions",
        "reason",
    ]
    assert list(verdicts[0])[:10] == keys
    assert verdicts[0]["calibration"] == inspector.calibration.digest


@pytest.mark.usefixtures("stubbed")
def test_served_model_refuses_what_is_no_image(workspace, folder):
    """The signature holds callers to uint8 (N, H, W, 3)."""
    write_model(folder, workspace.home / "model")
    served = mlflow.pyfunc.load_model(str(workspace.home / "model"))
    with pytest.raises(MlflowException):
        served.predict(np.zeros((1, 8, 8), np.uint8))


def test_model_waits_in_the_outbox_with_its_bundle(workspace, folder, inspector, monkeypatch, tmp_path):
    """Calibrated while MLflow is down, the model is registered once it is up, even if the bundle is gone by then."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert not outbox.post(workspace, calibration_log(calibration=inspector.calibration, bundle=folder))
    folder.rename(tmp_path / "gone")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert outbox.deliver(workspace).delivered == 1
    assert _champion(workspace).tags["calibration"] == inspector.calibration.digest
