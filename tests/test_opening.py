"""Opening inspectors: current goldens with their own calibration, the local champion, and no stale ones."""

from __future__ import annotations

import gc
import json
import os
import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import timm
from drawn_line import PLATES, calibrated, enrol
from drawn_night import PRODUCT, draw_part
from safetensors.torch import save_file

from inspection.calibration import Policy, calibrate_scores
from inspection.errors import CalibrationError, NotEnrolledError
from inspection.recipe import EncoderChoice, Recipe
from inspection.verdicts import Verdict
from pipeline import opening
from pipeline.bundle import write_bundle
from pipeline.champions import keep_champion
from pipeline.opening import BOUND, CURRENT, keep_calibration, keep_inspector, open_inspector, read_calibration
from pipeline.workspace import Workspace


@pytest.fixture
def line(plates, home):
    """A home of the test's own with enrolled and calibrated plates."""
    return plates.copy(home)


@pytest.fixture(autouse=True)
def _none_kept():
    """No inspector is left open from another test, or for one."""
    opening._opened.cache_clear()
    yield
    opening._opened.cache_clear()


def kept(workspace):
    """The inspector kept open of the plates."""
    return keep_inspector(workspace, PRODUCT, "default", engine="onnx")


def labelled_calibration(inspector, shift=0.0):
    """A calibration as labelled parts give it; `shift` moves its threshold."""
    good, defective = np.linspace(0.7, 0.95, 40) + shift, np.linspace(0.05, 0.4, 20) + shift
    return calibrate_scores(good, defective, policy=Policy(), binding=inspector.binding)


def test_current_goldens_judge(line, plates):
    """What is opened stands on the current goldens and the calibration bound to them."""
    inspector = open_inspector(line, PRODUCT, engine="onnx")
    assert inspector.provenance == plates.inspector.provenance
    assert inspector.calibration == read_calibration(line, PRODUCT, "default")


def test_unknown_product_is_not_enrolled(line):
    """Neither goldens nor a champion: the error names the command."""
    with pytest.raises(NotEnrolledError, match="goldentwin enrol nut"):
        open_inspector(line, "nut")


def test_calibration_of_older_goldens_is_left_aside(line):
    """After goldens changed, the old calibration is not used: there is none until it is made anew."""
    enrol(line, PRODUCT, [draw_part(7)])
    inspector = open_inspector(line, PRODUCT, engine="onnx")
    assert inspector.calibration is None
    assert inspector.judge([draw_part(9)])[0].verdict is Verdict.CANNOT_INSPECT


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"calibration": 3', "\0"])
def test_damaged_calibration_is_told(line, content):
    """A pointer that can't be read is an error with its remedy, not a missing calibration."""
    (line.calibrations / PRODUCT / "default" / CURRENT).write_text(content)
    with pytest.raises(CalibrationError, match="goldentwin calibrate plate"):
        open_inspector(line, PRODUCT, engine="onnx")


def test_calibrations_are_kept(line):
    """A new calibration becomes the current one in one step; the older stays beside it, nothing unfinished does."""
    folder = line.calibrations / PRODUCT / "default"
    older = read_calibration(line, PRODUCT, "default")
    newer = labelled_calibration(open_inspector(line, PRODUCT, engine="onnx"))
    path = keep_calibration(line, PRODUCT, "default", newer)
    assert read_calibration(line, PRODUCT, "default") == newer
    assert path.is_file()
    documents = {CURRENT, f"{older.digest}.json", f"{newer.digest}.json"}
    assert {file.name for file in folder.rglob("*") if file.parent.name != BOUND} == {BOUND, *documents}
    assert json.loads((folder / CURRENT).read_text()) == {"calibration": newer.digest}


def test_goldens_tried_in_another_folder_leave_the_line_calibrated(line, tmp_path):
    """The last calibration of all is bound to the tried goldens, and the line still judges by its own."""
    before = open_inspector(line, PRODUCT, engine="onnx").calibration
    tried = Workspace(home=line.home, references=tmp_path / "tried")
    enrol(tried, PRODUCT, [draw_part(7)], PLATES)
    calibrated(tried, PRODUCT)
    assert read_calibration(line, PRODUCT, "default") != before
    assert open_inspector(line, PRODUCT, engine="onnx").calibration == before
    assert kept(line).calibration == before


@pytest.fixture
def champion(line, tmp_path):
    """The plates' line with a local champion, whose threshold is one of labelled parts."""
    inspector = open_inspector(line, PRODUCT, engine="onnx")
    inspector.calibration = labelled_calibration(inspector)
    keep_champion(line, write_bundle(tmp_path / "bundle", inspector))
    return inspector


def test_champion_judges_while_goldens_are_away(line, champion):
    """A share that is gone stops no line: the champion kept locally gives the verdicts it always gave."""
    frames = [draw_part(100), draw_part(101, scratched=True)]
    expected = [one.similarity for one in champion.judge(frames)]
    shutil.rmtree(line.references)
    inspector = open_inspector(line, PRODUCT, engine="onnx")
    assert inspector.provenance == champion.provenance
    assert [one.similarity for one in inspector.judge(frames)] == expected


def test_champion_judges_while_the_share_hangs(line, champion, monkeypatch):
    """A share that answers with an error is as good as gone; without a champion the error says what to mount."""

    def stale(*_):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(opening, "load_reference_set", stale)
    assert open_inspector(line, PRODUCT, engine="onnx").provenance == champion.provenance
    assert kept(line).provenance == champion.provenance
    shutil.rmtree(line.champions)
    with pytest.raises(NotEnrolledError, match=r"Stale file handle.*mount"):
        open_inspector(line, PRODUCT, engine="onnx")


def test_kept_open_while_nothing_changes(line):
    """Asked again, it is the same inspector: nothing is loaded twice."""
    assert kept(line) is kept(line)


def test_kept_inspector_follows_a_calibration(line):
    """A recalibration counts for the next chunk already."""
    before = kept(line)
    calibration = labelled_calibration(before)
    keep_calibration(line, PRODUCT, "default", calibration)
    after = kept(line)
    assert after is not before
    assert after.provenance.calibration == calibration.digest
    keep_calibration(line, PRODUCT, "default", before.calibration)
    assert kept(line).provenance == before.provenance


def test_kept_inspector_follows_goldens_and_recipe(line):
    """Enrolling other goldens, or writing another recipe, is seen at once."""
    first = kept(line)
    enrol(line, PRODUCT, [draw_part(7)])
    second = kept(line)
    assert second.provenance.reference_set != first.provenance.reference_set
    (line.references / PRODUCT / "default" / "recipe.json").write_text(Recipe(image_size=96).to_json())
    assert kept(line).provenance.recipe != second.provenance.recipe


def test_kept_inspector_follows_its_weights(line, tmp_path):
    """Other weights at the same path, or another path, are another encoder."""
    names = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path in names:
        save_file(timm.create_model("resnet10t", pretrained=False).state_dict(), path)
    recipes = [
        Recipe(image_size=64, encoder=EncoderChoice(name="resnet10t", weights=str(path), out_indices=(1,)))
        for path in names
    ]
    recipe_file = line.references / PRODUCT / "default" / "recipe.json"
    encoders = []
    for recipe in recipes:
        recipe_file.write_text(recipe.to_json())
        encoders.append(kept(line).provenance.encoder)
    os.replace(names[0], names[1])  # noqa: PTH105 - says what it does
    encoders.append(kept(line).provenance.encoder)
    assert encoders[0] != encoders[1]
    assert encoders[2] == encoders[0]


def test_kept_inspector_follows_the_champion(line, champion, tmp_path):
    """While goldens are away, a new local champion takes over, and goldens that come back do."""
    old = champion.provenance
    champion.calibration = labelled_calibration(champion, shift=0.04)
    newer, away = write_bundle(tmp_path / "newer", champion), line.home / "away"
    line.references.rename(away)
    assert kept(line).provenance == old
    keep_champion(line, newer)
    assert kept(line).provenance == champion.provenance
    away.rename(line.references)
    assert kept(line).provenance.calibration == read_calibration(line, PRODUCT, "default").digest


def test_threads_share_one_inspector(line):
    """Many that ask at once for an inspector wait for one, instead of opening one each."""
    with ThreadPoolExecutor(6) as pool:
        assert len({id(one) for one in pool.map(lambda _: kept(line), range(6))}) == 1


def test_products_kept_open_are_few(line):
    """Inspectors of earlier states are let go."""
    first = weakref.ref(kept(line))
    folder = line.references / PRODUCT / "default" / "recipe.json"
    for focus in (0.1, 0.11, 0.12, 0.13):
        recipe = Recipe.from_json(folder.read_text())
        folder.write_text(replace(recipe, quality=replace(recipe.quality, min_focus=focus)).to_json())
        kept(line)
    gc.collect()
    assert first() is None
