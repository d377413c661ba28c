"""The pair network travels as one folder: to MLflow's registry, and back into an inspector that says the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import mlflow.pyfunc
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from tracking_inputs import workspace_in

from inspection.errors import TwinError
from inspection.learned.architecture import Architecture
from inspection.learned.design import TrainedTwin, Twin, TwinDesign
from inspection.learned.fitting import TrainingPlan
from inspection.learned.pair_inspector import PairInspector
from pipeline import outbox
from pipeline.pair_bundle import ABOUT, WEIGHTS, read_pair_bundle, write_pair_bundle
from pipeline.tracking.connection import connected
from pipeline.tracking.models import registered_name
from pipeline.tracking.pair_models import pair_model_name, write_pair_model
from pipeline.training import training_log

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
NAME = "goldentwin.plate.default.pairs"


@pytest.fixture
def workspace(home):
    """A workspace with an empty store."""
    return workspace_in(home)


def network(*, threshold=0.5, seed=0):
    """A small network that nobody trained, as a trained one."""
    torch.manual_seed(seed)
    twin = Twin(TwinDesign(architecture=Architecture.TWO_CHANNEL, types=("dent", "spot"))).eval()
    twin.requires_grad_(requires_grad=False)
    return TrainedTwin(twin=twin, side=96, threshold=threshold, trained_on="0123456789ab")


def log_of(workspace, trained):
    """The training's log, as `train --pairs` posts it."""
    bundle = write_pair_bundle(workspace.twins / trained.digest, "plate", "default", trained)
    pairs = [("a.png", "spot", "1")]
    plan = TrainingPlan(steps=1)
    return training_log("plate", "default", trained, plan, [], began=BEGAN, pictures=[], pairs=pairs, bundle=bundle)


def versions(workspace):
    """All registered versions of the pair network."""
    with connected(workspace) as client:
        return client.search_model_versions(f"name = '{NAME}'")


def plates():
    """Two frames of 96 x 128, the second with a spot, and their goldens of another size."""
    rng = np.random.default_rng(1)
    frames, goldens = (np.clip(rng.normal(110, 9, (2, *size, 3)), 0, 255).astype(np.uint8) for size in ((96, 128),) * 2)
    frames[:, 20:26], goldens[:, 20:26] = 40, 40
    frames[1, 50:70, 20:40] = 235
    return frames, np.repeat(np.repeat(goldens, 2, axis=1), 2, axis=2)


def test_a_training_registers_a_version_that_names_what_it_is(workspace):
    """Network, threshold and data by hash; logged twice it is one version."""
    trained = network()
    outbox.post(workspace, log_of(workspace, trained))
    outbox.post(workspace, log_of(workspace, trained))
    (version,) = versions(workspace)
    grounds = PairInspector(trained).provenance("")
    assert version.tags["encoder"] == trained.digest == grounds.encoder
    assert version.tags["calibration"] == version.tags["bundle"] == grounds.calibration
    assert version.tags["recipe"] == grounds.recipe
    assert version.tags["training_data"] == "0123456789ab"


def test_the_network_trained_last_is_champion(workspace):
    """Also where an older training's job is delivered later."""
    older, newer = (log_of(workspace, network(seed=seed)) for seed in (1, 2))
    for log in (newer, older):
        assert outbox.post(workspace, log)
    with connected(workspace) as client:
        champion = client.get_model_version_by_alias(NAME, "champion")
    assert len(versions(workspace)) == 2
    assert champion.tags["encoder"] == newer.twin


def test_served_pairs_are_judged_as_the_library_judges_them(workspace):
    """From the registry and from the library: the same verdicts to the last digit, goldens of any size."""
    trained = network()
    outbox.post(workspace, log_of(workspace, trained))
    with connected(workspace):
        served = mlflow.pyfunc.load_model(f"models:/{NAME}@champion", model_config={"engine": "onnx"})
    frames, goldens = plates()
    verdicts = served.predict({"frame": frames, "golden": goldens})
    inspector = PairInspector(trained, engine="onnx")
    expected = [inspector.judge(frame, golden, "") for frame, golden in zip(frames, goldens, strict=True)]
    assert [one["verdict"] for one in verdicts] == [one.verdict.value for one in expected]
    assert [one["similarity"] for one in verdicts] == [one.similarity for one in expected]
    assert [len(one["regions"]) for one in verdicts] == [len(one.regions) for one in expected]
    assert {one["calibration"] for one in verdicts} == {expected[0].provenance.calibration}
    assert verdicts[0]["reference_set"] != verdicts[1]["reference_set"]


def test_the_model_holds_no_pickle_and_takes_pairs_alone(workspace):
    """Nothing can execute on loading but one script, ours; a frame without its golden is refused."""
    bundle = write_pair_bundle(workspace.home / "bundle", "plate", "default", network())
    write_pair_model(bundle, workspace.home / "model")
    files = [path.name for path in (workspace.home / "model").rglob("*") if path.is_file()]
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".joblib"))]
    assert [name for name in files if name.endswith(".py")] == ["served_pair_model.py"]
    served = mlflow.pyfunc.load_model(str(workspace.home / "model"))
    with pytest.raises(MlflowException):
        served.predict({"frame": plates()[0]})


def test_an_altered_network_is_refused(tmp_path):
    """Neither other weights nor another threshold pass for what was written."""
    bundle = write_pair_bundle(tmp_path / "bundle", "plate", "default", network())
    assert read_pair_bundle(bundle).trained.threshold == 0.5
    about = json.loads((bundle / ABOUT).read_text(encoding="utf-8"))
    (bundle / ABOUT).write_text(json.dumps({**about, "threshold": 0.01}), encoding="utf-8")
    with pytest.raises(TwinError, match="not the one that was written"):
        read_pair_bundle(bundle)
    (bundle / WEIGHTS).unlink()
    with pytest.raises(TwinError, match="can't be read"):
        read_pair_bundle(bundle)


def test_names_never_meet():
    """The pairs of a view and another view that is called like that have models of their own."""
    assert pair_model_name("plate", "default") == NAME != registered_name("plate", "default.pairs")
