"""The audit names what is wrong with a picture before it becomes a golden, and is quiet about good ones."""

import cv2
import numpy as np
import pytest
from bad_inputs import drawn_part, encoded

from inspection.audit import Fault, Level, audit, odd_findings, odd_ones
from inspection.candidate import examine
from inspection.errors import ReferenceSetError

SIDE = 240


def part(seed: int, turn: float = 0, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """A part on an even ground with jitter of pose and light, and sensor noise."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), 140, np.uint8)
    image[70:170, 60:180] = cv2.resize(drawn_part(), (120, 100))
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), turn + rng.normal(0, 1), 1)
    matrix[:, 2] += rng.normal(0, 2, 2) + np.array(shift) * SIDE
    image = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.clip(image * rng.uniform(0.95, 1.05) + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def candidate(name: str, image: np.ndarray):
    """The picture as the audit sees it."""
    return examine(name, encoded(image, "PNG"))


def good(count: int, spread: float = 0):
    """So many good pictures, turned at random by up to `spread` degrees."""
    turns = np.random.default_rng(7).uniform(-spread, spread, count)
    return [candidate(f"{index}.png", part(index, turns[index])) for index in range(count)]


def found(candidates) -> list[tuple[str, Fault, Level]]:
    """The findings without their wording."""
    return [(finding.picture, finding.fault, finding.level) for finding in audit(candidates)]


@pytest.mark.parametrize("spread", [0, 180], ids=["fixed pose", "free pose"])
@pytest.mark.parametrize("count", [1, 2, 4, 16])
def test_good_pictures_pass_without_a_word(count, spread):
    """Jitter, light and, for a part of free pose, any turn are no faults."""
    assert found(good(count, spread)) == []


SPOILED = {
    Fault.BLURRED: lambda: cv2.GaussianBlur(part(50), (0, 0), 5),
    Fault.DARK: lambda: (part(50) * 0.5).astype(np.uint8),
    Fault.BRIGHT: lambda: np.clip(part(50) * 1.9, 0, 255).astype(np.uint8),
    Fault.MISFRAMED: lambda: part(50, shift=(0.22, 0)),
    Fault.NEAR_DUPLICATE: lambda: np.clip(part(0).astype(int) + 3, 0, 255).astype(np.uint8),
    Fault.OTHER_SIZE: lambda: cv2.resize(part(50), (SIDE * 2, SIDE * 2)),
}


@pytest.mark.parametrize("count", [3, 15])
@pytest.mark.parametrize("fault", SPOILED)
def test_a_spoiled_picture_is_warned_of_by_name(fault, count):
    """Among good ones the spoiled one is named, for what is wrong with it, and no other."""
    assert found([*good(count), candidate("bad.png", SPOILED[fault]())]) == [("bad.png", fault, Level.WARN)]


def test_a_part_cut_by_the_frame_is_misframed():
    """Also where the pose is free, so that no shift can be told."""
    assert ("bad.png", Fault.MISFRAMED, Level.WARN) in found(
        [*good(8, spread=180), candidate("bad.png", part(50, shift=(0.35, 0.1)))]
    )


REFUSED = {
    Fault.UNREADABLE: lambda: examine("bad.png", encoded(part(50), "PNG")[:500]),
    Fault.DUPLICATE: lambda: candidate("bad.png", part(0)),
    Fault.BLANK: lambda: candidate("bad.png", np.full((SIDE, SIDE, 3), 120, np.uint8)),
    Fault.OTHER_ASPECT: lambda: candidate("bad.png", part(50)[: SIDE * 3 // 4]),
}


@pytest.mark.parametrize("count", [1, 3, 15])
@pytest.mark.parametrize("fault", REFUSED)
def test_a_useless_picture_is_refused_by_name(fault, count):
    """It does not become a golden, and the others are not blamed for it."""
    assert found([*good(count), REFUSED[fault]()]) == [("bad.png", fault, Level.REFUSE)]


def test_noise_without_a_part_is_blank():
    """Against the others' contrast, noise is nothing."""
    noise = np.random.default_rng(1).normal(120, 30, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    assert found([*good(3), candidate("bad.png", noise)]) == [("bad.png", Fault.BLANK, Level.REFUSE)]


def test_with_two_goldens_only_nonsense_is_told():
    """One of two can't be the odd one: a darker picture passes, a black one does not."""
    dimmer = candidate("dim.png", (part(50) * 0.6).astype(np.uint8))
    black = candidate("black.png", (part(50) * 0.1).astype(np.uint8))
    assert found([*good(1), dimmer]) == []
    assert ("black.png", Fault.DARK, Level.WARN) in found([*good(1), black])


def test_a_finding_reads_as_one_line_with_the_remedy():
    """Name, fault, figures and what to do."""
    (finding,) = audit([*good(3), REFUSED[Fault.DUPLICATE]()])
    assert str(finding) == "bad.png: duplicate (the same file as 0.png); dropped, nothing to do"


def distances(*places: float) -> np.ndarray:
    """Distances between goldens that lie on a line."""
    line = np.array(places)
    return np.abs(line[:, None] - line[None])


def test_the_odd_one_lies_far_from_all_others():
    """Five near each other and one away: the one."""
    assert odd_ones(distances(0, 0.1, 0.2, 0.3, 0.4, 3)) == (5,)


def test_two_odd_ones_do_not_hide_each_other():
    """Two wrong parts that are alike are both told: the median looks past the partner."""
    assert odd_ones(distances(0, 0.1, 0.2, 0.3, 0.4, 0.5, 5, 5.1)) == (6, 7)


def test_even_variety_has_no_odd_one():
    """Goldens that all differ alike are left alone, also where their distances hardly scatter."""
    assert odd_ones(1 - np.eye(8)) == ()
    assert odd_ones(distances(*range(8))) == ()


def test_three_goldens_have_no_odd_one():
    """Too few to say which of them is wrong."""
    assert odd_ones(distances(0, 0.1, 9)) == ()


def test_the_odd_one_is_told_by_name():
    """As a warning, for a person to look at."""
    (finding,) = odd_findings(["a", "b", "c", "d", "e"], distances(0, 0.1, 9, 0.2, 0.3))
    assert (finding.picture, finding.fault, finding.level) == ("c", Fault.ODD_ONE_OUT, Level.WARN)


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), np.full((4, 4), np.nan)], ids=["not square", "not finite"])
def test_a_matrix_that_is_none_is_refused(matrix):
    """A mistake of the caller is not taken for 'no odd one'."""
    with pytest.raises(ReferenceSetError, match="distances between goldens must be"):
        odd_ones(matrix)
