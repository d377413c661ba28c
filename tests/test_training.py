"""Training from the command line: pairs and products, as a user does it, on small pictures."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.commands import run
from inspection.errors import EvaluationError, TwinError
from inspection.learned.design import TwinDesign
from inspection.learned.fitting import TrainingPlan
from inspection.verdicts import Verdict
from pipeline.bundle import read_bundle, write_bundle
from pipeline.keeping import open_audit
from pipeline.opening import open_inspector
from pipeline.pair_source import ManifestPairs, usable_pairs
from pipeline.pairs import read_pairs
from pipeline.product_training import train_product
from pipeline.scoring import open_labelled
from pipeline.training import train_on_pairs
from pipeline.twins import WEIGHTS, read_twin
from pipeline.workspace import Workspace


def board(seed, *, blob=None):
    """A 128 x 128 plate with bars and noise; `blob` (x, y) puts a bright square of 20 there."""
    rng = np.random.default_rng(seed)
    image = rng.normal(110, 5, (128, 128, 3))
    image[30:36], image[:, 80:88] = 40, 60
    if blob:
        image[blob[1] : blob[1] + 20, blob[0] : blob[0] + 20] = 230
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """16 pairs of five lots, every second with a blob named `spot`; one whose defect nobody marked, one unreadable."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["frame,golden,label,part_id,boxes,group"]
    for number in range(16):
        x, y = 20 + 5 * (number % 8), 50 + 3 * (number % 5)
        spot = number % 2 == 1
        Image.fromarray(board(number, blob=(x, y) if spot else None)).save(folder / f"{number}.png")
        Image.fromarray(board(100 + number)).save(folder / f"{number}_golden.png")
        said = f'spot,P{number},"{x} {y} {x + 20} {y + 20} spot"' if spot else f"good,P{number},"
        rows.append(f"{number}.png,{number}_golden.png,{said},lot {number % 5}")
    rows.append("1.png,1_golden.png,spot,unmarked,,")
    rows.append("missing.png,1_golden.png,good,missing,,")
    manifest = folder / "pairs.csv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return manifest


@pytest.fixture(scope="module")
def home(tmp_path_factory, pairs):
    """A home in which `plate` was trained on the pairs, by command; and what the command said."""
    home = tmp_path_factory.mktemp("home")
    assert run(["--home", str(home), "train", "plate", "--pairs", str(pairs), "--steps", "40", "--json"]) == 0
    return home


def judged(home, capsys, *arguments):
    """What a command prints with --json, line by line."""
    capsys.readouterr()
    assert run(["--home", str(home), *arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_pairs_are_judged_by_the_trained_network(home, pairs, capsys):
    """Blobs are flagged with region and type, good pairs pass, the unreadable one is neither; nothing is lost."""
    rows = judged(home, capsys, "inspect", "plate", "--pairs", str(pairs))
    assert len(rows) == 18
    assert rows[-1]["verdict"] == "CANNOT_INSPECT"
    right = sum((row["verdict"] == "FLAG") == (number % 2 == 1) for number, row in enumerate(rows[:16]))
    assert right >= 14
    regions = [row["regions"][0] for row in rows[1:16:2] if row["regions"]]
    assert all(region["type"] == "spot" or region["type"] is None for region in regions)
    assert {row["encoder"] for row in rows} == {read_twin(Workspace.locate(home), "plate", "default").digest}


@pytest.mark.slow
def test_pairs_are_evaluated_with_boxes(home, pairs, capsys):
    """All keys of the contract are there, and most blobs are found."""
    figures = judged(home, capsys, "evaluate", "plate", "--pairs", str(pairs))[0]
    assert figures["not_inspected"] == 1
    assert figures["image_auroc"] > 0.9
    assert figures["boxes"]["recall"] > 0.5
    assert figures["boxes"]["per_type"]["spot"]["n"] == 8
    assert figures["escape"]["n"] == 9
    assert figures["overkill"]["n"] == 8


@pytest.mark.slow
def test_pairs_without_training_are_judged_by_their_golden(pairs, tmp_path, capsys):
    """No product, no training: provisional verdicts, with the same keys."""
    rows = judged(tmp_path, capsys, "inspect", "--pairs", str(pairs))
    assert len(rows) == 18
    assert all(row["provisional"] for row in rows[:16])
    assert [row["verdict"] for row in rows[1:16:2]] == ["FLAG"] * 8
    assert rows[-1]["verdict"] == "CANNOT_INSPECT"


@pytest.mark.slow
def test_training_is_in_mlflow(home):
    """A run with a curve per figure, the pictures, and the pairs it was made from."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("goldentwin/plate/default")
    runs = client.search_runs([experiment.experiment_id])
    assert runs[0].data.params["architecture"] == "siamese"
    assert client.get_metric_history(runs[0].info.run_id, "validation_loss")
    names = {file.path for file in client.list_artifacts(runs[0].info.run_id)}
    assert any(name.startswith("training-") for name in names)
    assert any(name.startswith("pairs-") for name in names)


@pytest.mark.slow
def test_training_holds_out_a_whole_lot(home):
    """Its name is in the run, so that the figures can be read for what they are."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("goldentwin/plate/default")
    held_out = client.search_runs([experiment.experiment_id])[0].data.params["held_out_groups"]
    assert held_out in {f"lot {number}" for number in range(1, 5)}  # lot 0 is larger


@pytest.mark.slow
def test_the_network_of_a_training_is_registered(home):
    """Trained by command, it is the champion among the networks of this product's pairs."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    champion = client.get_model_version_by_alias("goldentwin.plate.default.pairs", "champion")
    assert champion.tags["encoder"] == read_twin(Workspace.locate(home), "plate", "default").digest


def test_unusable_pairs_are_named(pairs):
    """A defect nobody marked and a missing file take no part, each with its reason."""
    usable, unusable, side = usable_pairs(read_pairs(pairs))
    assert len(usable) == 16
    assert [one.reason.split(";")[0] for one in unusable] == ["it is not known where its defect is", unusable[1].reason]
    assert "no such file" in unusable[1].reason
    assert side == 128


def test_pairs_become_targets(pairs):
    """The box's places bear the type's number, all others none."""
    usable, _, side = usable_pairs(read_pairs(pairs))
    pair = ManifestPairs(usable, ["other", "spot"], side).pair(1, np.random.default_rng(0))
    assert (pair.target == 2).sum() == 400
    assert set(np.unique(pair.target)) == {0, 2}


def test_too_few_pairs(tmp_path):
    """A typed error that says why none can be used."""
    Image.fromarray(board(1)).save(tmp_path / "a.png")
    (tmp_path / "p.csv").write_text("frame,golden,label\na.png,a.png,scratch\n", encoding="utf-8")
    with pytest.raises(TwinError, match="not known where its defect is"):
        train_on_pairs(
            Workspace.locate(tmp_path / "home"),
            "x",
            "default",
            manifest=tmp_path / "p.csv",
            design=TwinDesign(),
            plan=TrainingPlan(steps=1),
        )


def test_a_damaged_network_is_told(home):
    """Altered weights are refused; where nothing was trained there is none."""
    workspace = Workspace.locate(home)
    assert read_twin(workspace, "nothing", "default") is None
    trained = read_twin(workspace, "plate", "default")
    file = workspace.twins / "plate" / "default" / trained.digest / WEIGHTS
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(TwinError, match="altered"):
            read_twin(workspace, "plate", "default")
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "x"],
        ["train", "x", "--pairs", "a.csv", "--labelled", "b"],
        ["inspect", "x"],
        ["inspect", "x", "frame.png", "--pairs", "a.csv"],
        ["evaluate", "x"],
        ["evaluate", "--labelled", "b"],
        ["train", "x", "--pairs", "a.csv", "--loss", "none"],
    ],
)
def test_wrong_usage(arguments, tmp_path):
    """Exit code 2 and nothing done."""
    assert run(["--home", str(tmp_path), *arguments]) == 2


def test_a_missing_manifest_is_one_line(tmp_path, capsys):
    """Exit code 1 and the file's name."""
    assert run(["--home", str(tmp_path), "inspect", "--pairs", str(tmp_path / "none.csv")]) == 1
    assert "none.csv" in capsys.readouterr().err


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """A home in which `plate` is enrolled with two goldens and trained on six good parts."""
    home = tmp_path_factory.mktemp("product")
    for folder, seeds in (("goldens", (1, 2)), ("labelled/good", range(10, 16))):
        (home / folder).mkdir(parents=True)
        for seed in seeds:
            Image.fromarray(board(seed)).save(home / folder / f"{seed}.png")
    arguments = ["--home", str(home / "home")]
    assert run([*arguments, "enrol", "plate", "--from", str(home / "goldens"), "--json"]) == 0
    workspace = Workspace.locate(home / "home")
    done = train_product(
        workspace,
        "plate",
        "default",
        labelled=home / "labelled",
        design=TwinDesign(),
        plan=TrainingPlan(steps=30, patch=128, epoch=15),
        by="anna",
    )
    return workspace, done


@pytest.mark.slow
def test_a_trained_product_judges_by_its_network(product, tmp_path):
    """The recipe names the network, verdicts are provisional, a blob is flagged, and the bundle judges the same."""
    workspace, done = product
    inspector = open_inspector(workspace, "plate")
    assert inspector.reference_set.recipe.twin == done.twin.digest
    assert inspector.calibration.provisional
    frames = [board(30), board(31, blob=(30, 60))]
    judged = inspector.judge(frames)
    assert judged[1].verdict is Verdict.FLAG
    assert judged[1].distance > judged[0].distance
    alone = [inspector.judge([frame])[0].similarity for frame in frames]
    assert alone == [one.similarity for one in judged]
    bundle = read_bundle(write_bundle(tmp_path / "bundle", inspector))
    assert [one.similarity for one in bundle.open().judge(frames)] == alone


@pytest.mark.slow
def test_a_training_is_on_record(product):
    """After the enrolment: by whom, which network, of which data and goldens, by hash."""
    workspace, done = product
    with open_audit(workspace) as audit:
        assert audit.verify() is None
        enrolled, trained = audit.rows()
    assert (enrolled.action, trained.action, trained.who) == ("enrol", "train", "anna")
    assert (trained.facts["twin"], trained.facts["data"]) == (done.twin.digest, done.twin.trained_on)
    assert trained.facts["reference_set"] == enrolled.facts["reference_set"]
    assert trained.facts["before"] is None


@pytest.mark.slow
def test_parts_that_were_learned_from_are_no_sample(product):
    """They are left out of a labelled set with the reason; a set of nothing else is an error."""
    workspace, done = product
    labelled = workspace.home.parent / "labelled"
    hashes = {file.name: sha256(file.read_bytes()).hexdigest() for file in labelled.rglob("*.png")}
    known = {name for name, digest in hashes.items() if digest in done.twin.learned_from}
    assert known
    inspector = open_inspector(workspace, "plate")
    Image.fromarray(board(40)).save(labelled / "good" / "new.png")
    sample = open_labelled(labelled, inspector)
    assert {Path(one.frame).name for one in sample.known} == known
    assert all("learned from it" in one.reason for one in sample.known)
    for file in labelled.rglob("*.png"):
        if file.name not in known:
            file.unlink()
    with pytest.raises(EvaluationError, match="learned from all good parts"):
        open_labelled(labelled, inspector)


@pytest.mark.slow
def test_training_changes_what_verdicts_rest_on(product):
    """Another recipe by its digest: no calibration made before holds, and a lost network is a typed error."""
    workspace, done = product
    inspector = open_inspector(workspace, "plate")
    assert done.calibration.binding == inspector.binding
    weights = next(inspector.reference_set.folder.glob("twin-*.safetensors"))
    moved = weights.rename(weights.with_suffix(".gone"))
    try:
        with pytest.raises(TwinError, match="goldentwin train plate"):
            open_inspector(workspace, "plate")
    finally:
        moved.rename(weights)
