"""Shadow mode: a challenger judges the champion's frames beside it, decides nothing, and what differs is shown."""

from __future__ import annotations

import csv
import io
import logging
from dataclasses import replace

import pytest
from drawn_line import PLATES, calibrated, enrol, write
from drawn_night import PRODUCT, draw_part
from life_samples import USUAL, calibrate_at, scratched
from plate_samples import DEAD_MLFLOW

from pipeline import shadow
from pipeline.batch import judge_chunk
from pipeline.champions import challenger_shelf
from pipeline.inspecting import inspect_frames
from pipeline.opening import keep_inspector
from pipeline.planning import plan_batch
from pipeline.reading import list_frames
from pipeline.records import ShadowRecords, VerdictRecords
from pipeline.shadow import shadow_chunk
from pipeline.shadow_report import shadow_report
from pipeline.workspace import Workspace

NIGHT = "night-1"


@pytest.fixture
def line(plates, home, monkeypatch):
    """A line of plates with a champion at 0.86; MLflow is down."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_MLFLOW)
    workspace = plates.copy(home)
    calibrate_at(workspace, USUAL)
    return workspace


@pytest.fixture
def files(tmp_path):
    """Six good plates, four scratched ones, the first hardly, and a file that is no picture."""
    folder = write(tmp_path / "frames", [draw_part(10 + number) for number in range(6)])
    write(folder, [scratched(number) for number in range(4)], first=6)
    (folder / "broken.png").write_text("no image")
    return list_frames([folder])


def judged_night(workspace, files, *, shadowed=True):
    """Let the champion judge, and the challenger beside it, as a batch does; gives the champion's verdicts."""
    inspector = keep_inspector(workspace, PRODUCT, "default", engine="onnx")
    verdicts = [replace(one, frame=replace(one.frame, image=None)) for one in inspect_frames(inspector, files)]
    if shadowed:
        shadow_chunk(workspace, PRODUCT, "default", "onnx", NIGHT, files, verdicts)
    with VerdictRecords(workspace.records_url) as records:
        records.add(verdicts, batch=NIGHT)
    return verdicts


def rows_of(workspace):
    """Every frame with both verdicts."""
    with ShadowRecords(workspace.records_url) as records:
        return records.beside_champion(product=PRODUCT, view="default", batch=NIGHT)


def test_without_a_challenger_there_is_no_shadow(line, files):
    """Nothing is recorded, and there is nothing to report."""
    judged_night(line, files)
    assert rows_of(line) == []
    assert shadow_report(line, PRODUCT, "default", NIGHT) is None


def test_another_threshold_is_decided_anew_without_inspecting_again(line, files, monkeypatch):
    """The similarity is the champion's; only the frame that comes out otherwise is looked at again, for its picture."""
    challenger = calibrate_at(line, 0.78, challenger=True)
    again = []

    def counted(inspector, chosen, **options):
        again.extend(file.frame for file in chosen)
        return inspect_frames(inspector, chosen, **options)

    monkeypatch.setattr(shadow, "inspect_frames", counted)
    verdicts = judged_night(line, files)
    assert again == ["06.png"]
    rows = {row["frame"]: row for row in rows_of(line)}
    assert len(rows) == 11
    assert {row["challenger"] for row in rows.values()} == {challenger.digest}
    for one in verdicts:
        row = rows[one.frame.frame]
        assert row["shadow_similarity"] == one.judgement.similarity
        assert row["shadow_threshold"] == 0.78
        assert row["shadow_verdict"] == ("PASS" if row["frame"] == "06.png" else one.judgement.verdict)
    assert rows["broken.png"]["shadow_reason"].startswith("unreadable")
    assert (line.home / rows["06.png"]["shadow_evidence"]).read_bytes().startswith(b"\xff\xd8")


def test_other_goldens_and_recipe_inspect_every_frame(line, files, tmp_path):
    """What the challenger says is what it would say by itself."""
    tried = Workspace(home=line.home, references=tmp_path / "tried")
    enrol(tried, PRODUCT, [draw_part(3), draw_part(4)], replace(PLATES, image_size=96))
    calibrated(tried, PRODUCT)
    bundle = calibrate_at(tried, 0.938, challenger=True)
    judged_night(line, files)
    alone = inspect_frames(bundle.open(cache=line.cache, engine="onnx"), files)
    expected = {one.frame.frame: one.to_dict() for one in alone}
    rows = rows_of(line)
    assert len(rows) == len(expected) == 11
    for row in rows:
        told = expected[row["frame"]]
        assert (row["shadow_verdict"], row["shadow_similarity"]) == (told["verdict"], told["similarity"])
    assert any(row["similarity"] != row["shadow_similarity"] for row in rows)


def test_the_challenger_decides_nothing(line, files):
    """The champion's rows are the same with and without it."""
    calibrate_at(line, 0.78, challenger=True)
    judged_night(line, files)
    with VerdictRecords(line.records_url) as records:
        found = {row["frame"]: row["verdict"] for row in records.rows(product=PRODUCT)}
    assert found["06.png"] == "FLAG"
    assert len(found) == 11


def test_doing_it_again_changes_nothing(line, files):
    """A chunk that was killed before its verdicts were recorded is judged again, and has one row a frame."""
    calibrate_at(line, 0.78, challenger=True)
    judged_night(line, files[:5])
    before = rows_of(line)
    judged_night(line, files)
    after = rows_of(line)
    assert [row for row in after if row["frame"] in {one["frame"] for one in before}] == before
    assert len(after) == 11


def test_report_shows_where_they_differ(line, files):
    """A table, the pictures of the differences, figures and a paragraph; missed by the challenger first."""
    challenger = calibrate_at(line, 0.78, challenger=True)
    judged_night(line, files)
    report = shadow_report(line, PRODUCT, "default", NIGHT)
    assert (report.challenger, report.frames) == (challenger.digest, 11)
    assert report.metrics == {
        "shadow_frames": 11,
        "shadow_differs": 1,
        "shadow_flags_more": 0,
        "shadow_passes_more": 1,
    }
    (row,) = csv.DictReader(io.StringIO(report.texts["shadow/differences.csv"]))
    assert (row["frame"], row["champion"], row["challenger"]) == ("06.png", "FLAG", "PASS")
    assert float(row["champion_similarity"]) == float(row["challenger_similarity"]) == pytest.approx(0.785, abs=0.002)
    assert (row["champion_threshold"], row["challenger_threshold"]) == ("0.86", "0.78")
    ((name, picture),) = report.evidence.items()
    assert name == "shadow/01_FLAG_PASS_06.png.jpg"
    assert picture.startswith(b"\xff\xd8")
    assert "differs on 1 of 11 frames" in report.description
    assert "| FLAG | PASS | 1 |" in report.description


def test_report_without_differences_says_so(line, files):
    """No table rows, no pictures."""
    calibrate_at(line, 0.87, challenger=True)
    judged_night(line, files)
    report = shadow_report(line, PRODUCT, "default", NIGHT)
    assert "differs on 0 of 11 frames" in report.description
    assert report.evidence == {}
    assert len(report.texts["shadow/differences.csv"].splitlines()) == 1


def test_a_new_challenger_is_followed_and_reported(line, files):
    """The one before keeps its rows; the report is about the present one."""
    calibrate_at(line, 0.78, challenger=True)
    judged_night(line, files[:6])
    second = calibrate_at(line, 0.938, challenger=True)
    judged_night(line, files)
    report = shadow_report(line, PRODUCT, "default", NIGHT)
    assert report.challenger == second.digest
    assert report.frames == 11
    assert report.counts["PASS", "FLAG"] > 0
    assert len({row["challenger"] for row in rows_of(line)}) == 2


def test_a_damaged_challenger_stops_no_night(line, files, caplog):
    """One warning, and the champion's verdicts are recorded."""
    calibrate_at(line, 0.78, challenger=True)
    for document in challenger_shelf(line, PRODUCT, "default").folder.rglob("calibration.json"):
        document.write_text("{}")
    with caplog.at_level(logging.WARNING):
        judged_night(line, files)
    assert "the challenger of plate/default did not judge 11 frames" in caplog.text
    assert rows_of(line) == []
    with VerdictRecords(line.records_url) as records:
        assert len(records.rows(product=PRODUCT)) == 11


def test_a_file_that_changed_meanwhile_has_no_shadow_of_its_own(line, files, tmp_path):
    """A picture of another part is no evidence: the verdict stands by the similarity, without one."""
    calibrate_at(line, 0.78, challenger=True)
    inspector = keep_inspector(line, PRODUCT, "default", engine="onnx")
    verdicts = list(inspect_frames(inspector, files))
    write(tmp_path / "frames", [draw_part(500)], first=6)
    shadow_chunk(line, PRODUCT, "default", "onnx", NIGHT, files, verdicts)
    with VerdictRecords(line.records_url) as records:
        records.add(verdicts, batch=NIGHT)
    (row,) = [row for row in rows_of(line) if row["frame"] == "06.png"]
    assert (row["shadow_verdict"], row["shadow_evidence"]) == ("PASS", None)


def test_a_batch_is_planned_and_judged_as_ever_beside_a_challenger(line, files):
    """Registering a challenger leaves the batch's grounds, and so its verdicts, what they were."""
    before = plan_batch(line, PRODUCT, "default", files[0].path.parent, engine="onnx").provenance
    calibrate_at(line, 0.78, challenger=True)
    plan = plan_batch(line, PRODUCT, "default", files[0].path.parent, engine="onnx")
    assert plan.provenance == before
    assert judge_chunk(plan, plan.chunks[0]).counts["FLAG"] == 4
