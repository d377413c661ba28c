"""The simulated line: repeatable boards, eight kinds of defects with honest masks, files that can be resumed."""

import csv
from itertools import combinations, pairwise

import cv2
import numpy as np
import pytest

from inspection.errors import GoldentwinError
from pipeline.simulator import DefectKind, LineSimulator, write_line
from pipeline.simulator.assembly import good_mounting
from pipeline.simulator.defects import spoil_mounting
from pipeline.simulator.layout import lay_out
from pipeline.simulator.routing import CELL

SIZE = 256
COUNTS = {"goldens": 2, "calibration_good": 1, "calibration_defects_per_kind": 1, "night_frames": 12}


@pytest.fixture(scope="module")
def line():
    """A small line, drawn once."""
    return LineSimulator(7, SIZE)


def grown(mask, pixels):
    """The mask, wider by so many pixels."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)) > 0


def test_a_frame_depends_on_its_number_alone(line):
    """The same number gives the same picture from another simulator and in another order; another number another."""
    first = line.frame(3).image
    line.frame(8)
    assert np.array_equal(LineSimulator(7, SIZE).frame(3).image, first)
    assert not np.array_equal(line.frame(4).image, first)


def test_another_seed_is_another_line(line):
    """Seeds change the copper and the variation."""
    assert not np.array_equal(LineSimulator(8, SIZE).frame(3).image, line.frame(3).image)


def test_a_good_frame_is_rgb_and_has_no_mask(line):
    """A good board's picture is (H, W, 3) uint8, mostly green in its middle, its mask empty."""
    frame = line.frame(0)
    assert frame.image.shape == (SIZE, SIZE, 3)
    assert frame.image.dtype == np.uint8
    assert frame.mask.shape == (SIZE, SIZE)
    assert frame.mask.dtype == np.bool_
    assert not frame.mask.any()
    assert frame.defect is None
    red, green, blue = np.median(frame.image[20:-20, 20:-20].reshape(-1, 3), axis=0)
    assert green > red + 20
    assert green > blue + 20


@pytest.mark.parametrize("kind", list(DefectKind))
def test_a_defect_shows_where_its_mask_says(line, kind):
    """Against the same board without it, a defect changes its mask clearly and hardly anything away from it."""
    for number in range(5, 11):
        good, bad = line.frame(number), line.frame(number, kind)
        change = np.abs(good.image.astype(int) - bad.image).max(axis=2)
        near = grown(bad.mask, 9)  # shadows and JPEG blocks reach a little farther than the defect
        assert bad.defect is kind
        assert 12 <= bad.mask.sum() < 0.06 * SIZE**2
        assert np.percentile(change[bad.mask], 85) > 20
        assert np.percentile(change[~near], 99.9) <= 8


def test_good_placements_stay_far_from_misplaced_ones():
    """What a good line does to a part's place is a fraction of what counts as misplaced."""
    placements = lay_out(7).placements
    for number in range(40):
        random = np.random.default_rng(number)
        good = good_mounting(placements, random)
        assert max(np.hypot(m.dx, m.dy) for m in good) < 0.13
        assert max(abs(m.angle) for m in good) < 1.3
        (bad,) = (m for m in spoil_mounting(DefectKind.MISPLACED_PART, good, random) if m.faulty)
        assert np.hypot(bad.dx, bad.dy) > 0.4 or abs(bad.angle) > 4.5 or bad.turn != bad.placement.turn


def test_the_copper_of_two_nets_never_touches():
    """Traces keep apart: no two of them cross on the board, where they do not share a land."""
    layout = lay_out(7)
    assert len(layout.traces) > 60
    ways = [{p for a, b in pairwise(trace.points) for p in steps(a, b)} for trace in layout.traces]
    ends = [(trace.points[0], trace.points[-1]) for trace in layout.traces]
    for i, j in combinations(range(len(ways)), 2):
        shared = ways[i] & ways[j]
        assert all(min(np.hypot(*np.subtract(p, e)) for e in (*ends[i], *ends[j])) < 1.6 for p in shared)


def steps(start, end):
    """Grid places from one corner to the next."""
    count = max(round(max(abs(end[0] - start[0]), abs(end[1] - start[1])) / CELL), 1)
    return [tuple(np.round(np.add(start, np.subtract(end, start) * i / count), 2)) for i in range(count + 1)]


def test_less_light_and_a_moved_camera_change_the_picture_as_told(line):
    """`light` scales the grey values, `camera_shift` moves the picture by its share of the side."""
    plain = line.frame(2).image.astype(np.float32)
    dark = LineSimulator(7, SIZE, light=0.8).frame(2).image
    assert dark.mean() / plain.mean() == pytest.approx(0.8, abs=0.01)
    moved = LineSimulator(7, SIZE, camera_shift=(0.05, 0.0)).frame(2).image
    (dx, dy), _ = cv2.phaseCorrelate(plain.mean(axis=2), moved.astype(np.float32).mean(axis=2))
    assert (dx, dy) == (pytest.approx(0.05 * SIZE, abs=1), pytest.approx(0, abs=1))


@pytest.fixture(scope="module")
def written(line, tmp_path_factory):
    """Files of a small line, written once."""
    folder = tmp_path_factory.mktemp("line") / "demo"
    return write_line(folder, simulator=line, night_defect_rate=0.5, **COUNTS)


def test_a_written_line_has_the_promised_layout(written):
    """Goldens, labelled parts, masks in the sibling folder, night frames and their truth all lie where design says."""
    assert len(list(written.goldens.glob("*.jpg"))) == 2
    assert {p.name for p in written.labelled.iterdir()} == {"good", *DefectKind}
    for kind in DefectKind:
        (picture,) = (written.labelled / kind).iterdir()
        mask = cv2.imread(str(written.ground_truth / kind / f"{picture.stem}_mask.png"), cv2.IMREAD_GRAYSCALE)
        assert mask.shape == (SIZE, SIZE)
        assert set(np.unique(mask)) == {0, 255}
    assert (written.night / "frame_0001.jpg").exists()
    assert not list(written.folder.rglob("*.part"))


def test_the_night_truth_names_every_frame_and_some_defects(written):
    """One row a frame in order; at this rate good and defective ones are both there."""
    rows = list(csv.DictReader(written.night_truth.read_text(encoding="utf-8").splitlines()))
    assert [row["frame"] for row in rows] == [p.name for p in sorted(written.night.iterdir())]
    defects = {row["defect"] for row in rows}
    assert "" in defects
    assert len(defects) > 1
    assert defects - {""} <= set(DefectKind)


def test_no_picture_of_a_line_occurs_twice(written):
    """Goldens, calibration and night never share a frame."""
    pictures = [p.read_bytes() for p in written.folder.rglob("*.jpg")]
    assert len(pictures) == 2 + 1 + 8 + 12
    assert len(set(pictures)) == len(pictures)


def test_only_what_is_missing_is_drawn_again(line, written):
    """A second run keeps all that is complete and gives the missing picture back as it was."""
    lost = written.night / "frame_0002.jpg"
    before = lost.read_bytes()
    lost.unlink()
    again = write_line(written.folder, simulator=line, night_defect_rate=0.5, **COUNTS)
    assert (again.drawn, again.kept) == (1, written.drawn - 1)
    assert lost.read_bytes() == before


def test_a_longer_night_begins_like_the_shorter_one(line, written, tmp_path):
    """Frames and truth of a night do not depend on its length."""
    longer = write_line(
        tmp_path / "longer",
        simulator=line,
        night_defect_rate=0.5,
        goldens=0,
        calibration_good=0,
        calibration_defects_per_kind=0,
        night_frames=13,
    )
    assert longer.night_truth.read_text().startswith(written.night_truth.read_text())
    assert (longer.night / "frame_0012.jpg").read_bytes() == (written.night / "frame_0012.jpg").read_bytes()


def test_a_folder_of_another_line_is_refused(written, tmp_path):
    """Pictures of two lines are never mixed, and foreign folders are left alone."""
    with pytest.raises(GoldentwinError, match="another simulated line"):
        write_line(written.folder, simulator=LineSimulator(8, SIZE), night_defect_rate=0.5, **COUNTS)
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(GoldentwinError, match="not empty"):
        write_line(tmp_path, simulator=LineSimulator(8, SIZE), night_defect_rate=0.5, **COUNTS)


def test_impossible_counts_are_refused(line, tmp_path):
    """A defect rate above 1 is named in the error."""
    with pytest.raises(GoldentwinError, match=r"1\.5"):
        write_line(tmp_path / "x", simulator=line, night_defect_rate=1.5, **COUNTS)


def test_frames_too_small_for_their_defects_are_refused():
    """A size at which defects would vanish is an error that names the smallest."""
    with pytest.raises(GoldentwinError, match="192"):
        LineSimulator(7, 128)
