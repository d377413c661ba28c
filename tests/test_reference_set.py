"""Goldens are enrolled as numbered versions, held to their hashes, and an older version can be brought back."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from bad_inputs import drawn_part, encoded
from enrolment_samples import enrol, write_pictures

from inspection.audit import Fault
from inspection.errors import NotEnrolledError, ReferenceSetError
from inspection.recipe import Recipe, RegistrationMethod
from inspection.reference_set import current_version, list_enrolled, list_versions, load_reference_set
from inspection.reference_store import history, restore_version

ROOT = Path(__file__).parents[1]


@pytest.fixture
def pictures(tmp_path):
    """Six pictures of good parts."""
    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def references(tmp_path):
    """The folder of reference images, not made yet."""
    return tmp_path / "reference_images"


def mask_file(folder: Path, image: np.ndarray) -> Path:
    """A mask picture on disk."""
    path = folder / "drawn_mask.png"
    path.write_bytes(encoded(image, "PNG"))
    return path


def test_enrolled_goldens_come_back_as_they_were(references, pictures):
    """The images, in the order given, with names, sizes, hash and who added them."""
    enrol(references, [pictures[2], pictures[0]])
    found = load_reference_set(references, "gear")
    assert [golden.name for golden in found.goldens] == ["2.png", "0.png"]
    assert {(golden.width, golden.height, golden.added_by) for golden in found.goldens} == {(96, 72, "anna")}
    assert np.array_equal(found.images()[0], cv2.imread(str(pictures[2]))[..., ::-1])
    assert (found.product, found.view, found.version, found.recipe) == ("gear", "default", 1, Recipe())


def test_goldens_are_copies(references, pictures):
    """The pictures may be deleted after enrolment."""
    enrol(references, pictures[:2])
    shutil.rmtree(pictures[0].parent)
    assert len(load_reference_set(references, "gear").images()) == 2


def test_enrolling_again_holds_exactly_the_goldens_given(references, pictures):
    """A new version replaces the old goldens; the old version stays stored."""
    enrol(references, pictures[:3])
    report = enrol(references, pictures[2:5])
    assert (report.created, report.reference_set.version) == (True, 2)
    assert [golden.name for golden in report.reference_set.goldens] == ["2.png", "3.png", "4.png"]
    assert list_versions(references, "gear") == [1, 2]
    assert len(load_reference_set(references, "gear", version=1).goldens) == 3


def test_adding_keeps_the_old_goldens(references, pictures):
    """With `add` the current ones come first, then those that are new; who added which is kept."""
    enrol(references, pictures[:2])
    report = enrol(references, pictures[1:4], add=True, added_by="ben")
    assert [(golden.name, golden.added_by) for golden in report.reference_set.goldens] == [
        ("0.png", "anna"), ("1.png", "anna"), ("2.png", "ben"), ("3.png", "ben"),
    ]  # fmt: skip
    assert [(finding.picture, finding.fault) for finding in report.findings] == [("1.png", Fault.DUPLICATE)]


def test_added_goldens_are_held_against_the_old_ones(references, pictures, tmp_path):
    """A picture of another aspect ratio does not slip in by being added alone."""
    enrol(references, pictures[:2])
    odd = tmp_path / "odd.png"
    odd.write_bytes(encoded(drawn_part(96, 96), "PNG"))
    report = enrol(references, [odd], add=True)
    assert [(finding.picture, finding.fault) for finding in report.refused] == [("odd.png", Fault.OTHER_ASPECT)]
    assert (report.created, len(report.reference_set.goldens)) == (False, 2)


def test_the_same_set_again_makes_no_version(references, pictures):
    """Enrolment can be repeated without a trace, under other file names too."""
    enrol(references, pictures[:2])
    renamed = [path.rename(path.with_name(f"again_{path.name}")) for path in pictures[:2]]
    report = enrol(references, renamed)
    assert (report.created, list_versions(references, "gear")) == (False, [1])


def test_another_order_is_another_version_with_another_digest(references, pictures):
    """The first golden gives the coordinates, so order counts."""
    first = enrol(references, pictures[:2]).reference_set
    second = enrol(references, pictures[1::-1]).reference_set
    assert (second.version, len({first.digest, second.digest})) == (2, 2)


def test_an_older_version_is_brought_back_with_its_digest(references, pictures):
    """What was calibrated for it fits again, and the history tells who did it."""
    old = enrol(references, pictures[:2]).reference_set
    enrol(references, pictures[2:4], added_by="ben")
    assert restore_version(references, "gear", "default", 1, "carla").digest == old.digest
    assert current_version(references, "gear") == 1
    assert [(change.version, change.by, change.action) for change in history(references, "gear")] == [
        (1, "anna", "enrol"), (2, "ben", "enrol"), (1, "carla", "restore"),
    ]  # fmt: skip
    assert enrol(references, pictures[4:6]).reference_set.version == 3


def test_a_version_that_does_not_exist_is_not_restored(references, pictures):
    """The message lists those that do."""
    enrol(references, pictures[:2])
    with pytest.raises(ReferenceSetError, match="no version 7; stored are 1"):
        restore_version(references, "gear", "default", 7, "anna")


def test_views_and_products_are_apart(references, pictures):
    """Each view of each product has goldens and versions of its own."""
    enrol(references, pictures[:2])
    enrol(references, pictures[2:4], view="top")
    enrol(references, pictures[4:6], product="nut")
    assert list_enrolled(references) == [("gear", "default"), ("gear", "top"), ("nut", "default")]
    assert load_reference_set(references, "gear", "top").goldens[0].name == "2.png"


def test_what_is_not_enrolled_names_the_command(references, pictures):
    """A product without goldens, and a view without, each with what mends it."""
    with pytest.raises(NotEnrolledError, match="goldentwin enrol gear --from DIR"):
        load_reference_set(references, "gear")
    enrol(references, pictures[:2])
    with pytest.raises(NotEnrolledError, match="only default; `goldentwin enrol gear --view top"):
        load_reference_set(references, "gear", "top")


@pytest.mark.parametrize("name", ["..", "../x", "a/b", ".hidden", "", "a b", "a\nb", "x" * 101, "a\\b", "dot."])
@pytest.mark.parametrize("word", ["product", "view"])
def test_a_name_that_leaves_the_folder_is_refused(references, pictures, word, name):
    """Names become folders, so they hold only plain letters; nothing is written."""
    with pytest.raises(ReferenceSetError, match=f"{word} name"):
        enrol(references, pictures[:2], **{word: name})
    assert not references.exists()


def test_the_word_auto_is_no_product(references, pictures):
    """It means 'recognise the product' on the command line."""
    with pytest.raises(ReferenceSetError, match="another name"):
        enrol(references, pictures[:2], product="auto")


def test_the_recipe_is_kept_unless_one_is_given(references, pictures):
    """Enrolling again does not undo what was set for the view."""
    enrol(references, pictures[:2], recipe=Recipe(registration=RegistrationMethod.RIGID))
    assert enrol(references, pictures[2:4]).reference_set.recipe.registration is RegistrationMethod.RIGID
    assert enrol(references, pictures[2:4], recipe=Recipe()).reference_set.recipe == Recipe()


def test_the_audit_keeps_bad_pictures_out_and_names_them(references, pictures, tmp_path):
    """A broken and a doubled file are refused by name; the good ones are enrolled."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"junk")
    report = enrol(references, [*pictures[:3], broken, pictures[0], tmp_path / "gone.png"])
    assert len(report.reference_set.goldens) == 3
    assert [(finding.fault, finding.picture) for finding in report.refused] == [
        (Fault.UNREADABLE, "broken.png"), (Fault.UNREADABLE, "gone.png"), (Fault.DUPLICATE, "pictures/0.png (2)"),
    ]  # fmt: skip


def test_nothing_fit_to_be_a_golden_changes_nothing(references, pictures, tmp_path):
    """With no picture left, the error names each and the old version stays."""
    enrol(references, pictures[:2])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    with pytest.raises(ReferenceSetError, match=r"broken\.png: unreadable \(the file is empty"):
        enrol(references, [broken])
    with pytest.raises(ReferenceSetError, match="no picture given"):
        enrol(references, [])
    assert current_version(references, "gear") == 1


def test_a_mask_is_kept_at_the_goldens_size(references, pictures, tmp_path):
    """White is inspected; a mask drawn at another scale is brought to the golden's; it changes the digest."""
    plain = enrol(references, pictures[:2]).reference_set
    assert plain.roi() is None
    mask = np.zeros((144, 192, 3), np.uint8)
    mask[:72] = 255
    report = enrol(references, pictures[:2], mask=mask_file(tmp_path, mask))
    roi = report.reference_set.roi()
    assert (roi.shape, roi.dtype, roi[:36].all(), roi[36:].any()) == ((72, 96), np.bool_, True, False)
    assert (report.created, report.reference_set.recipe.roi_mask) == (False, "roi.png")
    assert report.reference_set.digest != plain.digest
    assert np.array_equal(enrol(references, pictures[2:4]).reference_set.roi(), roi)


def test_what_is_ignored_is_taken_out_of_the_roi(references, pictures):
    """ROI less ignore mask; nothing left is an error."""
    reference_set = enrol(references, pictures[:2], recipe=Recipe(ignore_mask="ignore.png")).reference_set
    path = references / "gear" / "default" / "ignore.png"
    ignored = np.zeros((72, 96, 3), np.uint8)
    ignored[:, :10] = 255
    path.write_bytes(encoded(ignored, "PNG"))
    assert not reference_set.roi()[:, :10].any()
    assert reference_set.roi()[:, 10:].all()
    path.write_bytes(encoded(np.full_like(ignored, 255), "PNG"))
    with pytest.raises(ReferenceSetError, match="nothing to inspect"):
        reference_set.roi()


@pytest.mark.parametrize(
    ("mask", "message"),
    [(np.zeros((72, 96, 3), np.uint8), "black all over"), (np.full((96, 96, 3), 255, np.uint8), "96 x 96 px")],
    ids=["all black", "other aspect"],
)
def test_a_mask_that_can_not_fit_is_refused(references, pictures, tmp_path, mask, message):
    """And nothing is enrolled."""
    with pytest.raises(ReferenceSetError, match=message):
        enrol(references, pictures[:2], mask=mask_file(tmp_path, mask))
    assert not references.exists()


def test_a_missing_or_foreign_mask_is_told(references, pictures):
    """A mask that the recipe names must lie beside it, nowhere else."""
    missing = enrol(references, pictures[:2], recipe=Recipe(ignore_mask="ignore.png")).reference_set
    with pytest.raises(ReferenceSetError, match=r"mask 'ignore\.png'.* can't be read"):
        missing.roi()
    outside = enrol(references, pictures[:2], recipe=Recipe(roi_mask="../../x.png")).reference_set
    with pytest.raises(ReferenceSetError, match="no plain file name"):
        outside.roi()


def test_the_manifest_is_readable_by_people(references, pictures):
    """Plain JSON with who, when, sizes and hashes."""
    enrol(references, pictures[:1])
    manifest = json.loads((references / "gear" / "default" / "versions" / "0001.json").read_text())
    assert (manifest["product"], manifest["version"], manifest["created_by"]) == ("gear", 1, "anna")
    assert sorted(manifest["goldens"][0]) == ["added_at", "added_by", "file", "height", "name", "sha256", "width"]
