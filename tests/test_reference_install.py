"""Installing goldens that were tried elsewhere: with masks, network and weights, once, and as the version they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_line import PLATES, enrol
from drawn_night import PRODUCT, draw_part

from inspection.errors import ReferenceSetError
from inspection.recipe import EncoderChoice, Recipe
from inspection.reference_install import install_version, is_installed
from inspection.reference_set import list_versions, load_reference_set, twin_files
from inspection.reference_store import history
from pipeline.workspace import Workspace

TWIN = "0123456789ab"


@pytest.fixture
def line(tmp_path):
    """A line with two goldens."""
    workspace = Workspace(home=tmp_path / "home", references=tmp_path / "line")
    enrol(workspace, PRODUCT, [draw_part(0), draw_part(1)], PLATES)
    return workspace


@pytest.fixture
def tried(tmp_path):
    """Another golden with a mask, a trained network and encoder weights of its own, tried in another folder."""
    workspace = Workspace(home=tmp_path / "home", references=tmp_path / "tried")
    mask = np.zeros((128, 128, 3), np.uint8)
    mask[20:100, 20:100] = 255
    enrol(workspace, PRODUCT, [draw_part(3)], PLATES, mask)
    found = load_reference_set(workspace.references, PRODUCT)
    for number, file in enumerate(twin_files(found.folder, TWIN)):
        file.write_bytes(b"network %d" % number)
    (tmp_path / "backbone.safetensors").write_bytes(b"weights")
    encoder = EncoderChoice(weights=str(tmp_path / "backbone.safetensors"))
    (found.folder / "recipe.json").write_text(replace(found.recipe, twin=TWIN, encoder=encoder).to_json())
    return load_reference_set(workspace.references, PRODUCT)


def install(line, source):
    """Install it for the line."""
    return install_version(line.references, source, by="anna", action="promote")


def test_all_that_judges_is_installed(line, tried):
    """Golden, mask, network and weights lie in the line's own folder, byte for byte."""
    assert not is_installed(line.references, tried)
    found = install(line, tried)
    assert is_installed(line.references, tried)
    assert (found.version, found.digest, found.recipe.digest) == (2, tried.digest, tried.recipe.digest)
    assert np.array_equal(found.roi(), tried.roi())
    assert [file.read_bytes() for file in twin_files(found.folder, TWIN)] == [b"network 0", b"network 1"]
    assert found.recipe.encoder.weights.startswith(str(line.references))
    assert Path(found.recipe.encoder.weights).read_bytes() == b"weights"


def test_installing_what_is_there_does_nothing(line, tried):
    """No version and no entry in the history is made twice."""
    install(line, tried)
    before = history(line.references, PRODUCT)
    install(line, tried)
    assert history(line.references, PRODUCT) == before


def test_what_was_there_before_is_made_current_again(line, tried, tmp_path):
    """Going back gives the old version its old number."""
    old = load_reference_set(line.references, PRODUCT)
    kept = Workspace(home=tmp_path / "home", references=tmp_path / "kept")
    enrol(kept, PRODUCT, [draw_part(0), draw_part(1)], PLATES)
    install(line, tried)
    found = install(line, load_reference_set(kept.references, PRODUCT))
    assert (found.version, found.digest) == (1, old.digest)
    assert list_versions(line.references, PRODUCT) == [1, 2]
    assert [change.version for change in history(line.references, PRODUCT)] == [1, 2, 1]


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "a/b.png"])
def test_a_mask_that_leads_elsewhere_is_refused(line, tried, name):
    """A recipe that came from a registry writes nowhere but into the view's folder."""
    with pytest.raises(ReferenceSetError, match="no plain file name"):
        install(line, replace(tried, recipe=replace(tried.recipe, roi_mask=name)))
    assert load_reference_set(line.references, PRODUCT).version == 1


def test_a_view_that_was_never_enrolled_is_made(tmp_path, tried):
    """Installing needs no goldens to be there."""
    found = install_version(tmp_path / "empty", tried, by="anna", action="rollback")
    assert found.version == 1
    assert isinstance(found.recipe, Recipe)
    assert history(tmp_path / "empty", PRODUCT)[-1].action == "rollback"
