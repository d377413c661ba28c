"""The judged model travels as one folder: to the local champion, to MLflow's registry, and back into an inspector."""

import sys
from types import ModuleType

import cv2
import mlflow.pyfunc
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from tracking_inputs import StubInspector, calibration_log, calibration_of, enrolled, workspace_in

from inspection.calibration import Binding, Policy, calibrate_scores
from inspection.errors import CalibrationError, TrackingError
from inspection.recipe import Recipe, RegistrationMethod
from inspection.reference_set import load_reference_set
from pipeline import outbox
from pipeline.bundle import write_bundle
from pipeline.champions import keep_champion, read_champion
from pipeline.enrolment import enrol_goldens
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
    return load_reference_set(workspace.references, "board")


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


@pytest.mark.slow
def test_served_twin_is_the_twin_itself(workspace, tmp_path):
    """The real inspector, from the registry and from the library: the same verdicts to the last digit."""
    Inspector = pytest.importorskip("inspection.inspector").Inspector  # noqa: N806 - a class
    frames = _enrol_drawn_parts(workspace, tmp_path)
    reference_set = load_reference_set(workspace.references, "board")
    provenance = Inspector(reference_set, calibration=None, cache=workspace.cache).provenance
    binding = Binding(encoder=provenance.encoder, reference_set=provenance.reference_set, recipe=provenance.recipe)
    calibration = calibrate_scores(np.linspace(0.5, 0.9, 40), np.array([0.1]), policy=Policy(), binding=binding)
    inspector = Inspector(reference_set, calibration=calibration, cache=workspace.cache)
    folder = write_bundle(tmp_path / "bundle", inspector)
    log_calibration(workspace, calibration_log(calibration=calibration, bundle=folder))
    with connected(workspace):
        name = "models:/goldentwin.board.default@champion"
        served = mlflow.pyfunc.load_model(name, model_config={"engine": "onnx"})
    expected, kept = inspector.judge(frames), keep_champion(workspace, folder).open(cache=workspace.cache).judge(frames)
    verdicts = served.predict(np.stack(frames))
    assert (
        [each["verdict"] for each in verdicts] == [each.verdict.value for each in expected] == [v.verdict for v in kept]
    )
    assert [each["similarity"] for each in verdicts] == [each.similarity for each in expected]
    assert verdicts[0]["similarity"] > verdicts[-1]["similarity"]


def _enrol_drawn_parts(workspace, folder):
    """Enrol two textured pictures as goldens; give two frames, the second with a hole."""
    generator = np.random.default_rng(7)
    part = cv2.GaussianBlur(generator.integers(0, 255, (160, 160, 3), np.uint8), (0, 0), 2) * 2
    pictures = [np.clip(part + generator.normal(0, 3, part.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    files = [folder / f"golden{number}.png" for number in range(2)]
    for file, image in zip(files, pictures[:2], strict=True):
        cv2.imwrite(str(file), image[:, :, ::-1])
    recipe = Recipe(image_size=128, registration=RegistrationMethod.NONE)
    enrol_goldens(workspace.references, product="board", files=files, recipe=recipe, added_by="test")
    pictures[3][60:100, 60:100] = 255
    return pictures[2:]
