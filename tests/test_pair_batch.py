"""Verdicts on pairs in the records: each on the grounds of its own golden, and none twice."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from flows.commands import run
from inspection.verdicts import Verdict
from pipeline import pair_batch
from pipeline.pair_batch import judge_pair_batch
from pipeline.pair_inspecting import open_pair_judge
from pipeline.records import VerdictRecords

pytestmark = pytest.mark.usefixtures("dead_mlflow")


@pytest.fixture
def dead_mlflow(monkeypatch):
    """Nobody listens there."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


def draw(path, seed, *, spot=False):
    """A 96 x 96 plate with bars and noise, with a bright spot where asked."""
    image = np.random.default_rng(seed).normal(110, 5, (96, 96, 3))
    image[20:26], image[:, 60:68] = 40, 60
    if spot:
        image[50:70, 20:40] = 235
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def manifest(tmp_path):
    """Two pairs and a missing frame; the second frame has a spot."""
    for name, seed in (("a", 1), ("b", 2)):
        draw(tmp_path / f"{name}.png", seed, spot=name == "b")
        draw(tmp_path / f"{name}_golden.png", seed + 10)
    path = tmp_path / "pairs.csv"
    path.write_text("frame,golden\na.png,a_golden.png\nb.png,b_golden.png\nno.png,a_golden.png\n", encoding="utf-8")
    return path


def rows_of(workspace):
    """All recorded rows, by frame."""
    with VerdictRecords(workspace.records_url) as records:
        return records.rows(order="frame")


def test_every_pair_is_recorded_with_its_own_golden(workspace, manifest):
    """A row names the golden by its SHA-256 and the network by its digest; a flagged one has its picture."""
    summary = judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    assert summary.counts[Verdict.CANNOT_INSPECT] == 1
    rows = rows_of(workspace)
    assert [row["frame"] for row in rows] == ["a.png", "b.png", "no.png"]
    goldens = [hashlib.sha256((manifest.parent / f"{name}_golden.png").read_bytes()).hexdigest() for name in "aba"]
    assert [row["reference_set"] for row in rows] == [golden[:12] for golden in goldens]
    judge = open_pair_judge(workspace, "plate", "default")
    assert {row["encoder"] for row in rows} == {judge.provenance("").encoder}
    assert rows[1]["verdict"] == "FLAG"
    assert rows[1]["provisional"]
    assert (workspace.home / rows[1]["evidence"]).is_file()
    assert summary.contact_sheet.is_file()


def test_judging_again_changes_nothing(workspace, manifest, monkeypatch):
    """The same pairs on the same grounds: no row is added, changed or even judged, and the batch is the same."""
    first = judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    rows = rows_of(workspace)
    again = judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    assert (again.batch, again.judged, again.counts) == (first.batch, 0, first.counts)
    assert rows_of(workspace) == rows
    monkeypatch.setattr(VerdictRecords, "known", lambda _self, _keys: set())
    judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    assert rows_of(workspace) == rows


def test_another_golden_is_another_verdict(workspace, manifest):
    """A frame whose golden's bytes changed is judged anew, the others are not."""
    judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    draw(manifest.parent / "b_golden.png", 99, spot=True)
    assert judge_pair_batch(workspace, "plate", "default", manifest=manifest).judged == 1
    assert [row["frame"] for row in rows_of(workspace)].count("b.png") == 2


def test_one_frame_against_two_goldens_has_two_pictures(workspace, manifest):
    """Neither verdict nor evidence of one takes the other's place."""
    for name in ("a", "b"):
        draw(manifest.parent / f"{name}_golden.png", 5 + ord(name))
    manifest.write_text("frame,golden\nb.png,a_golden.png\nb.png,b_golden.png\n", encoding="utf-8")
    judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    rows = rows_of(workspace)
    assert [row["verdict"] for row in rows] == ["FLAG", "FLAG"]
    assert len({row["evidence"] for row in rows}) == 2


def test_a_stopped_batch_goes_on_as_the_same(workspace, manifest, monkeypatch):
    """What was recorded before a kill is not judged again, and both parts are one batch."""

    class Killed(BaseException):
        pass

    whole = pair_batch.inspect_pairs

    def stopped(*arguments, **options):
        for one in whole(*arguments, **options):
            yield one
            raise Killed

    monkeypatch.setattr(pair_batch, "inspect_pairs", stopped)
    with pytest.raises(Killed):
        judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    monkeypatch.setattr(pair_batch, "inspect_pairs", whole)
    assert len(rows_of(workspace)) == 1
    summary = judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    assert (summary.judged, sum(summary.counts.values())) == (2, 3)
    assert {row["batch"] for row in rows_of(workspace)} == {summary.batch}


def test_a_pair_that_breaks_the_judge_stops_nothing(workspace, manifest, monkeypatch):
    """It is CANNOT_INSPECT with what happened; the others are judged."""
    judge = open_pair_judge(workspace, "plate", "default")
    right = judge.judge

    def broken(frame, golden, sha256):
        if frame.max() > 225:
            message = "boom"
            raise RuntimeError(message)
        return right(frame, golden, sha256)

    monkeypatch.setattr(judge, "judge", broken)
    monkeypatch.setattr(pair_batch, "open_pair_judge", lambda *_, **__: judge)
    judge_pair_batch(workspace, "plate", "default", manifest=manifest)
    rows = rows_of(workspace)
    assert rows[1]["reason"] == "not compared: boom"
    assert rows[0]["similarity"] is not None


def test_batch_of_pairs_by_command(workspace, manifest, capsys):
    """`batch PRODUCT --pairs CSV` for machines and people; a second time nothing is judged."""
    arguments = ["--home", str(workspace.home), "batch", "plate", "--pairs", str(manifest)]
    assert run([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["frames"], said["judged"], said["counts"]["CANNOT_INSPECT"]) == (3, 3, 1)
    assert run(arguments) == 0
    told = capsys.readouterr().out
    assert "0 of 3 frames" in told
    assert "goldentwin train plate" in told


@pytest.mark.parametrize("given", [[], ["--frames", "x", "--pairs", "y.csv"]])
def test_frames_or_pairs(given, tmp_path):
    """Neither and both are usage errors."""
    assert run(["--home", str(tmp_path), "batch", "plate", *given]) == 2
