"""No name that comes from outside (a manifest, a reviewer, a parameter, a frame) leads out of its folder."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import pytest
from drawn_line import write
from drawn_night import PRODUCT, draw_part
from reviewed_night import judged_night
from tracking_inputs import enrolled

from flows.commands import run
from inspection.errors import GoldentwinError, ReferenceSetError
from inspection.learned.product import read_product_twin
from inspection.recipe import Recipe
from inspection.reference_set import load_reference_set
from pipeline.batch import judge_chunk
from pipeline.cameras.sidecar import read_sidecar
from pipeline.line.settings import LineSettings
from pipeline.pair_batch import judge_pair_batch
from pipeline.planning import plan_batch
from pipeline.records import ReviewRecords, VerdictRecords
from pipeline.review.exporting import export_labelled
from pipeline.review.items import DEFECT, DEFECT_TYPE, VERDICT, Answer
from pipeline.sharding import Shard, ShardError
from pipeline.twins import read_twin
from pipeline.watch.hold import release_pass

UPWARD = ("..", "../x", "../../x", "a/../../x", "/etc", "a/b", "a\\b", ".", "", ".hidden", "a\nb", "a\0b")


def files_below(folder: Path) -> set[Path]:
    """All there is."""
    return {path for path in folder.rglob("*") if path.is_file()}


def rows_of(workspace):
    """All verdicts."""
    with VerdictRecords(workspace.records_url) as records:
        return records.rows()


@pytest.mark.parametrize(
    "file", ["../../../secret.png", "goldens/../../secret.png", "secret.png", "/secret.png", "goldens/", 7]
)
def test_a_manifest_names_only_goldens(tmp_path, file):
    """A manifest whose golden lies elsewhere is refused, though hash and picture are right."""
    enrolled(tmp_path / "references")
    folder = tmp_path / "references" / "board" / "default"
    data = cv2.imencode(".png", draw_part(0))[1].tobytes()
    for place in (tmp_path, folder):
        (place / "secret.png").write_bytes(data)
    manifest = json.loads((folder / "versions" / "0001.json").read_text())
    manifest["goldens"][0] |= {"file": file, "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "versions" / "0001.json").write_text(json.dumps(manifest))
    with pytest.raises(ReferenceSetError, match="outside of goldens/"):
        load_reference_set(tmp_path / "references", "board")


@pytest.mark.parametrize("name", ["../mask.png", "/etc/hostname", "a/../../mask.png"])
def test_a_recipe_names_only_its_masks(tmp_path, name):
    """A mask elsewhere is refused before it is read, and so is a network."""
    found = enrolled(tmp_path / "references")
    with pytest.raises(ReferenceSetError, match="no plain file name"):
        _ = replace(found, recipe=replace(found.recipe, roi_mask=name)).digest
    path = found.folder / "recipe.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"twin": name}))
    with pytest.raises(ReferenceSetError, match="no digest"):
        read_product_twin(replace(found, recipe=Recipe.load(path)))


def test_a_trained_network_is_the_one_that_was_named(workspace, tmp_path):
    """`current.json` that points elsewhere finds nothing."""
    folder = workspace.twins / "nut" / "top"
    folder.mkdir(parents=True)
    (folder / "current.json").write_text(json.dumps({"twin": "../../../elsewhere"}))
    assert read_twin(workspace, "nut", "top") is None
    assert tmp_path.exists()


@pytest.mark.parametrize("name", UPWARD)
def test_no_product_or_view_leads_out(plates, tmp_path, name, capsys):
    """Each command and flow that takes one refuses it in one line, or finds nothing; no file comes, goes or changes."""
    home = plates.copy(tmp_path / "deep" / "home").home
    (tmp_path / "deep" / "x.json").write_text("no hold")
    (tmp_path / "x.json").write_text("no hold")
    frames = write(tmp_path / "frames", [draw_part(1)])
    before = {path: path.read_bytes() for path in files_below(tmp_path) if ".db" not in path.name}
    commands = (
        ["watch", name, "--release"],
        ["watch", PRODUCT, "--view", name, "--release"],
        ["inspect", name, str(frames)],
        ["inspect", PRODUCT, str(frames), "--view", name],
        ["versions", name],
        ["rollback", name],
        ["promote", name, "--labelled", str(frames)],
        ["evaluate", name, "--labelled", str(frames)],
        ["calibrate", name, "--labelled", str(frames)],
        ["enrol", name, "--from", str(frames)],
        ["review", "export", name, "--to", str(tmp_path / "out")],
    )
    for command in commands:
        assert run([*command, "--home", str(home)]) in {1, 2}, command
    assert "Traceback" not in capsys.readouterr().err
    after = {path: path.read_bytes() for path in files_below(tmp_path) if ".db" not in path.name}
    assert after == before


@pytest.mark.parametrize("name", ["..", "../x", "a/b"])
def test_a_hold_is_no_way_to_remove_files(workspace, name):
    """Releasing a hold once removed any JSON file that is no hold."""
    (workspace.home / "holds" / "y").mkdir(parents=True)
    victim = workspace.home / "x.json"
    victim.write_text("precious")
    with pytest.raises(ReferenceSetError, match="name"):
        release_pass(workspace, "y", f"../../{name}/x")
    with pytest.raises(ReferenceSetError, match="name"):
        release_pass(workspace, name, "x")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("batch", [name for name in UPWARD if name])
def test_no_shard_names_a_batch_that_leads_out(batch):
    """The flow's parameter becomes part of paths and keys."""
    with pytest.raises(ShardError, match="no batch is called"):
        Shard(number=1, of=2, batch=batch, key="k")


@pytest.mark.parametrize("line", [name for name in UPWARD if name])
def test_no_line_is_called_so(workspace, line):
    """A line's name is part of its spool's path and its batches' names."""
    with pytest.raises(GoldentwinError, match="line"):
        LineSettings(workspace=workspace, product=PRODUCT, line=line)


@pytest.mark.parametrize("kind", ["../../../outside", "/tmp/outside", "good", "a/b", "ground_truth", "..", "a\nb"])  # noqa: S108 - a reviewer's word
def test_what_a_reviewer_writes_is_no_path(plates, tmp_path, kind):
    """A type that no folder may be called is none: the part is exported as a defect, and nothing lies outside."""
    line = plates.copy(tmp_path / "home")
    judged_night(line, tmp_path / "night")
    with ReviewRecords(line.records_url) as records:
        items = [item for item in records.items() if item.kind == "flagged"]
        told = {"reviewer": "eve", "comment": "../../../x", "answered_at": datetime.now(UTC)}
        for number, (question, value) in enumerate(((VERDICT, DEFECT), (DEFECT_TYPE, kind))):
            records.add_answers([Answer(id=f"{number}", key=items[0].key, question=question, value=value, **told)])
    before = files_below(tmp_path)
    done = export_labelled(line, PRODUCT, "default", tmp_path / "out")
    assert done.counts == {"defect": 1}
    (made,) = {path for path in files_below(tmp_path) - before if ".db" not in path.name}
    assert made.parent == tmp_path / "out" / "defect"


@pytest.mark.parametrize("part", ["../../../part", "/etc/part", "..", "a\0b\n../c"])
def test_a_part_id_is_no_path(plates, tmp_path, part):
    """From a sidecar or a pair manifest: judged and shown, its picture lies among the evidence under a plain name."""
    line = plates.copy(tmp_path / "home")
    folder = write(tmp_path / "frames", [draw_part(300, scratched=True), draw_part(301)])
    (folder / "00.json").write_text(json.dumps({"part_id": part}))
    assert "\n" not in read_sidecar(folder / "00.png").part_id
    with (tmp_path / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["frame", "golden", "part_id"])
        table.writerow(["frames/../frames/00.png", "frames/01.png", part.replace("\0", "")])
    before = files_below(tmp_path / "frames")
    judge_pair_batch(line, PRODUCT, "default", manifest=tmp_path / "pairs.csv", engine="onnx")
    (row,) = rows_of(line)
    assert row["verdict"] in {"FLAG", "PASS"}
    pictures = files_below(line.evidence)
    assert all(path.is_relative_to(line.evidence) and ".." not in path.parts for path in pictures)
    assert {path.parent.parent for path in pictures} <= {line.evidence / PRODUCT / "default"}
    assert files_below(tmp_path / "frames") == before


def test_a_manifest_that_leads_to_no_picture_is_no_verdict(plates, tmp_path):
    """`../` in a pair manifest may lead to a picture elsewhere; what is none is CANNOT_INSPECT and is not told."""
    line = plates.copy(tmp_path / "home")
    write(tmp_path / "frames", [draw_part(301)])
    (tmp_path / "secret.txt").write_text("a secret")
    (tmp_path / "frames" / "pairs.csv").write_text(
        "frame,golden\n../secret.txt,00.png\n../../../../etc/passwd,00.png\n"
    )
    judge_pair_batch(line, PRODUCT, "default", manifest=tmp_path / "frames" / "pairs.csv", engine="onnx")
    rows = rows_of(line)
    assert [row["verdict"] for row in rows] == ["CANNOT_INSPECT"] * 2
    assert not [row for row in rows if "a secret" in str(row) or "root:" in str(row)]
    assert files_below(line.evidence) == set()


def test_a_frame_whose_name_looks_like_a_path_stays_a_name(plates, tmp_path):
    """A link out of the folder is a frame like any other; the picture of it lies among the evidence."""
    line = plates.copy(tmp_path / "home")
    folder = write(tmp_path / "frames", [draw_part(301)])
    (folder / "x..%2f..%2fx.png").write_bytes(
        cv2.imencode(".png", draw_part(300, scratched=True)[..., ::-1])[1].tobytes()
    )
    (folder / "passwd.png").symlink_to("/etc/passwd")
    plan = plan_batch(line, PRODUCT, "default", folder, engine="onnx")
    for chunk in plan.chunks:
        judge_chunk(plan, chunk)
    told = {row["frame"]: row["verdict"] for row in rows_of(line)}
    assert told == {"x..%2f..%2fx.png": "FLAG", "00.png": "PASS", "passwd.png": "CANNOT_INSPECT"}
    assert {path.parents[3] for path in files_below(line.evidence)} <= {line.evidence, line.evidence / PRODUCT}
