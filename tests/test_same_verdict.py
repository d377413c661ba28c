"""Promise 2: the same frame gets the same verdict from `inspect`, batch, evaluation and the served model."""

from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from drawn_night import PRODUCT
from plate_samples import enrolled_plate, labelled_plates, write_plates
from tracking_inputs import workspace_in

from flows.commands import run
from flows.night import Night
from flows.run_now import run_plainly
from inspection.calibration import Policy
from pipeline.calibrating import calibrate_product
from pipeline.opening import open_inspector
from pipeline.reading import read_frame
from pipeline.records import VerdictRecords
from pipeline.scoring import open_labelled, score_frames

COMPARED = ("verdict", "similarity", "distance", "threshold", "regions", "encoder", "reference_set", "recipe")


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A calibrated plate, registered in an MLflow of its own, and eight frames of it, good and scratched."""
    folder = tmp_path_factory.mktemp("line")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        enrolled_plate(folder / "home")
        workspace = workspace_in(folder / "home")
        policy = Policy(max_overkill=0.05)
        done = calibrate_product(workspace, PRODUCT, "default", labelled=labelled_plates(), policy=policy)
    assert done.tracked
    write_plates(folder / "frames" / "good", 5, first=300)
    write_plates(folder / "frames" / "scratch", 3, first=400, scratched=True)
    return SimpleNamespace(workspace=workspace, frames=folder / "frames", calibration=done.calibration)


@pytest.fixture(scope="module")
def expected(line):
    """Each frame's verdict, judged alone, by its path in the folder."""
    found = {}
    for labelled in open_labelled(line.frames, open_inspector(line.workspace, PRODUCT)).frames:
        inspector = open_inspector(line.workspace, PRODUCT)
        (scored,) = score_frames(inspector, [labelled])
        found[labelled.file.frame] = compared(scored.verdict.to_dict())
    assert {verdict["verdict"] for verdict in found.values()} == {"PASS", "FLAG"}
    return found


def compared(row):
    """What has to be equal, of an object of `inspect --json`."""
    return {name: row[name] for name in (*COMPARED, "calibration")}


def test_inspect_gives_the_same(line, expected, capsys):
    """The command, over the whole folder."""
    arguments = ["inspect", PRODUCT, str(line.frames), "--json", "--home", str(line.workspace.home)]
    assert run(arguments) == 0
    rows = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert {row["frame"]: compared(row) for row in rows} == expected


def test_batch_records_the_same(line, expected):
    """The nightly steps, in portions of three."""
    run_plainly(Night(workspace=line.workspace, product=PRODUCT, frames=line.frames, chunk_size=3))
    with VerdictRecords(line.workspace.records_url) as records:
        rows = records.rows(product=PRODUCT)
    assert {row["frame"]: compared(row) for row in rows} == expected


def test_evaluation_judges_the_same(line, expected):
    """The frames as a labelled set, judged one after the other."""
    inspector = open_inspector(line.workspace, PRODUCT)
    scored = score_frames(inspector, open_labelled(line.frames, inspector).frames, keep_images=True)
    assert {one.labelled.file.frame: compared(one.verdict.to_dict()) for one in scored} == expected


def test_served_champion_gives_the_same(line, expected):
    """The registered champion, loaded as pyfunc, judges the pictures as one batch."""
    import mlflow.pyfunc

    from pipeline.tracking.connection import connected
    from pipeline.tracking.models import registered_name

    inspector = open_inspector(line.workspace, PRODUCT)
    files = [labelled.file for labelled in open_labelled(line.frames, inspector).frames]
    images = np.stack([read_frame(file).image for file in files])
    with connected(line.workspace):
        model = mlflow.pyfunc.load_model(f"models:/{registered_name(PRODUCT, 'default')}@champion")
        rows = model.predict(images)
    found = {file.frame: compared(row) for file, row in zip(files, rows, strict=True)}
    assert found == expected
    assert {row["calibration"] for row in rows} == {line.calibration.digest}


def test_local_champion_gives_the_same_where_the_goldens_are_away(line, expected, tmp_path):
    """The share with the reference images is gone: the champion kept at home judges."""
    away = type(line.workspace)(home=line.workspace.home, references=tmp_path / "gone")
    inspector = open_inspector(away, PRODUCT)
    for name, verdict in expected.items():
        image = cv2.imread(str(line.frames / name))[..., ::-1]
        (judgement,) = inspector.judge([np.ascontiguousarray(image)])
        assert (judgement.verdict, judgement.similarity) == (verdict["verdict"], verdict["similarity"])
