"""Pair manifests: ours and NVIDIA TAO's, and what is wrong with a bad one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from inspection.boxes import Box
from inspection.errors import PairsError
from pipeline.pairs import digest_of_pairs, read_pair, read_pairs


@pytest.fixture
def pictures(tmp_path):
    """`frame.png` and `golden.png` of 64 x 48."""
    for name, grey in (("frame.png", 90), ("golden.png", 120)):
        Image.fromarray(np.full((48, 64, 3), grey, np.uint8)).save(tmp_path / name)
    return tmp_path


def manifest(folder, text):
    """A manifest with this text."""
    path = folder / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_columns(pictures):
    """Label, part and boxes are read; paths are relative to the manifest."""
    (pictures / "boxes.txt").write_text("1 2 10 12 3\n20,20,30,40,short\n")
    pair = read_pairs(
        manifest(pictures, "frame,golden,label,part_id,boxes\nframe.png,golden.png,short,P7,boxes.txt\n")
    )[0]
    assert pair.frame.frame == "frame.png"
    assert pair.frame.part_id == "P7"
    assert pair.label == "short"
    assert pair.defective is True
    assert pair.boxes == (Box(1, 2, 10, 12, "3"), Box(20, 20, 30, 40, "short"))
    frame, golden = read_pair(pair)
    assert frame.image.shape == golden.image.shape == (48, 64, 3)


def test_boxes_in_the_cell(pictures):
    """Parted by semicolons, with and without a type."""
    text = 'frame,golden,boxes\nframe.png,golden.png,"1 2 10 12 open; 20 20 30 40"\n'
    assert read_pairs(manifest(pictures, text))[0].boxes == (Box(1, 2, 10, 12, "open"), Box(20, 20, 30, 40, None))


@pytest.mark.parametrize(
    ("label", "defective", "read"),
    [
        ("1", False, "good"),
        ("good", False, "good"),
        ("PASS", False, "good"),
        ("0", True, "defect"),
        ("NO_PASS", True, "defect"),
        ("missing", True, "missing"),
        ("", None, None),
    ],
)
def test_one_is_same(pictures, label, defective, read):
    """1 = same (good), 0 = defect; anything else names the type of defect."""
    pair = read_pairs(manifest(pictures, f"frame,golden,label\nframe.png,golden.png,{label}\n"))[0]
    assert (pair.defective, pair.label) == (defective, read)


def test_without_a_label_boxes_tell(pictures):
    """Boxes without a label: a defect. Neither: not known."""
    assert read_pairs(manifest(pictures, 'frame,golden,boxes\nframe.png,golden.png,"1 1 5 5"\n'))[0].defective
    assert read_pairs(manifest(pictures, "frame,golden\nframe.png,golden.png\n"))[0].defective is None


def test_tao_manifest(pictures):
    """TAO names folders, and the part's picture in them by `object_name`."""
    for folder in ("in", "gold"):
        (pictures / folder).mkdir()
        Image.new("RGB", (32, 32)).save(pictures / folder / "R101_LightA.jpg")
        Image.new("RGB", (32, 32)).save(pictures / folder / "R1011_LightA.jpg")
    text = "input_path,golden_path,label,object_name\nin,gold,PASS,R101\n"
    pair = read_pairs(manifest(pictures, text))[0]
    assert pair.frame.path == pictures / "in" / "R101_LightA.jpg"
    assert pair.golden == pictures / "gold" / "R101_LightA.jpg"
    assert pair.frame.part_id == "R101"
    assert pair.defective is False


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("frame,label\na.png,good\n", "no column 'golden'"),
        ("frame,golden\n", "names no pair"),
        ("frame,golden\nframe.png,\n", "line 2 .* names no golden"),
        ("frame,golden,boxes\nframe.png,golden.png,none.txt\n", "can't be read"),
        ('frame,golden,boxes\nframe.png,golden.png,"9 9 3 3 short"\n', "is no box"),
        ("", "no column 'frame'"),
    ],
)
def test_bad_manifests_are_told_apart(pictures, text, told):
    """One line that names what is wrong and where."""
    with pytest.raises(PairsError, match=told):
        read_pairs(manifest(pictures, text))


def test_no_manifest(tmp_path):
    """A missing file, a folder and binary data are typed errors."""
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    for path in (tmp_path / "none.csv", tmp_path, tmp_path / "binary.csv"):
        with pytest.raises(PairsError, match="can't be read"):
            read_pairs(path)


def test_digest_tells_pictures_apart(pictures):
    """The same manifest over other pixels is other data; a missing picture is no error here."""
    path = manifest(pictures, "frame,golden\nframe.png,golden.png\nnone.png,golden.png\n")
    before = digest_of_pairs(read_pairs(path), path)
    Image.new("RGB", (64, 48), (1, 2, 3)).save(pictures / "frame.png")
    assert digest_of_pairs(read_pairs(path), path) != before
