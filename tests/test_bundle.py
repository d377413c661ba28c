"""A bundle is the judged model in one folder: whole, held to its hashes, kept as the local champion."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tracking_inputs import StubInspector, calibration_of, enrolled, workspace_in

from inspection.errors import CalibrationError, ReferenceSetError
from inspection.recipe import EncoderChoice
from inspection.reference_set import load_reference_set
from pipeline.bundle import read_bundle, write_bundle
from pipeline.champions import keep_champion, read_champion


@pytest.fixture
def workspace(home):
    """A workspace without an MLflow store: these tests need none."""
    return workspace_in(home, with_store=False)


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


def _inspector(workspace, *, good=40):
    reference_set = enrolled(workspace.references) if not workspace.references.exists() else _again(workspace)
    calibration = calibration_of(reference_set, good=good)
    return StubInspector(reference_set, calibration=calibration)


def _again(workspace):
    return load_reference_set(workspace.references, "board")


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
