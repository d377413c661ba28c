"""Which frames of a video are parts, on drawn belts and tables."""

from __future__ import annotations

import gc
import math
import weakref

import cv2
import numpy as np
import pytest
from belt_samples import RATE, SIZE, Drawn, Gated, across, gated, pictures, shots

from pipeline.parts import GateSettings, GateSettingsError, PartGate


def covers(found: Gated, middle: tuple[float, float], radius: float) -> bool:
    """Whether a part's box is that of a disc, within a few pixels."""
    box, slack = found.part.box, 12
    wanted = (middle[0] - radius, middle[1] - radius, 2 * radius, 2 * radius)
    return all(abs(a - b) <= slack for a, b in zip(box, wanted, strict=True))


def shows(found: Gated, one: Drawn) -> bool:
    """Whether the part's frame shows that disc fully in view, in its box."""
    middle = one.path(found.number)
    if middle is None:
        return False
    inside = all(one.radius <= at <= most - one.radius for at, most in zip(middle, SIZE[::-1], strict=True))
    return inside and covers(found, middle, one.radius)


@pytest.mark.parametrize("speed", [1.5, 4, 9, 20, 35])
def test_a_part_that_passes_is_given_once_and_fully_in_view(speed):
    """From creeping to a part's width in two frames."""
    disc = across(speed)
    (found,) = gated(shots(pictures([disc], 20 + int(740 / speed))))
    assert shows(found, disc)


@pytest.mark.parametrize("speed", [4, 12])
def test_a_row_of_parts_is_given_one_by_one(speed):
    """Ten parts, three quarters of a part apart."""
    gap = 140
    discs = [across(speed, begins=20 + int(k * gap / speed)) for k in range(10)]
    found = gated(shots(pictures(discs, 40 + int((10 * gap + 740) / speed))))
    assert len(found) == 10
    assert all(shows(one, disc) for one, disc in zip(found, discs, strict=True))


def test_two_parts_side_by_side_are_two():
    """Each with the box of its own, from the same frame or not."""
    discs = [across(6, y=90), across(6, y=270)]
    found = gated(shots(pictures(discs, 160)))
    assert len(found) == 2
    assert {shows(found[0], disc) for disc in discs} == {True, False}
    assert {shows(found[1], disc) for disc in discs} == {True, False}
    assert found[0].part.box.y != found[1].part.box.y


def test_a_part_that_overtakes_another_is_one_more():
    """On two lanes, at two speeds."""
    discs = [across(4, y=100), across(11, begins=60, y=260)]
    assert len(gated(shots(pictures(discs, 220)))) == 2


def stops(at: float, frames: int, speed: float = 6.0, begins: int = 20) -> Drawn:
    """Moves to x = `at`, stands there for so many frames and goes on."""
    there = begins + round((at + 40) / speed)

    def path(n):
        if n < begins:
            return None
        moving = n - begins if n < there else there - begins + max(n - there - frames, 0)
        return -40 + speed * moving, 180.0

    return Drawn(path=path)


def test_a_part_that_stops_is_given_as_soon_as_it_is_still_and_not_again():
    """From a frame in which it stands; when it goes on it is the same."""
    disc = stops(300, 200)
    (found,) = gated(shots(pictures([disc], 400)))
    stood = next(n for n in range(400) if disc.path(n) == disc.path(n + 1) is not None)
    assert stood <= found.number
    assert found.given <= stood + 15
    assert shows(found, disc)


def test_a_part_that_goes_back_is_one():
    """It turns in the middle of the view, and once more with a part of it beyond the border."""
    turns = Drawn(path=lambda n: (60 + 540 * math.sin(min(max(n - 20, 0) / 60, 3)) if n > 20 else -60.0, 180.0))
    (found,) = gated(shots(pictures([turns], 260)))
    assert shows(found, turns)


def put(x: float, first: int, last: int, y: float = 200.0) -> Drawn:
    """Stands at x from one frame to another, as if out of nothing."""
    return Drawn(path=lambda n: (x, y) if first <= n <= last else None)


def arm(x: float, first: int, last: int):
    """An arm that comes from above down to the disc at x, stays a while and goes up again."""

    def over(canvas, n):
        if not first <= n <= last:
            return
        reach = round(170 * min((n - first) / 10, 1, (last - n) / 10))
        cv2.rectangle(canvas, (round(x) - 25, -5), (round(x) + 25, reach), (205, 160, 140), -1)

    return over


def test_a_part_that_is_put_down_is_given_once_the_hand_is_gone():
    """While the arm touches it, part and arm are one thing that reaches in from outside."""
    disc = put(320, 50, 500)
    (found,) = gated(shots(pictures([disc], 400, over=arm(320, 40, 80))))
    assert 70 <= found.number <= 100
    assert shows(found, disc)


def test_a_hand_without_a_part_is_none():
    """However long it stays."""
    assert gated(shots(pictures([], 300, over=arm(320, 40, 200)))) == []


def test_a_part_that_stands_for_minutes_belongs_to_the_scene_until_it_leaves():
    """Neither it nor the place it leaves is given, a hand over it changes nothing; the next one there is."""
    discs = [put(320, 50, 2000), put(320, 2060, 3000)]

    def hands(canvas, n):
        for first, last in ((40, 80), (900, 940), (1980, 2010), (2050, 2090)):
            arm(320, first, last)(canvas, n)

    found = gated(shots(pictures(discs, 2300, over=hands), rate=10))
    assert [70 <= found[0].number <= 100, 2080 <= found[1].number <= 2110] == [True, True]
    assert len(found) == 2


def test_what_stood_there_at_the_beginning_is_no_part_when_it_is_taken_away():
    """Nor is the bare place; a part that is put there is one."""
    discs = [put(320, 0, 100), put(200, 0, 600, y=100), put(322, 200, 600)]

    def hands(canvas, n):
        arm(320, 85, 115)(canvas, n)
        arm(320, 190, 220)(canvas, n)

    (found,) = gated(shots(pictures(discs, 320, over=hands)))
    assert 210 <= found.number <= 245


@pytest.mark.parametrize(
    "light",
    [
        lambda n: 1 + 0.3 * math.sin(n / 90),
        lambda n: 1 + 0.1 * math.sin(1.3 * n),
        lambda n: 1.0 if n < 150 else 0.7,
        lambda n: 1.0 if n < 150 else 1.5,
    ],
    ids=["drifts", "flickers", "falls at once", "rises at once"],
)
def test_light_makes_no_parts_and_hides_none(light):
    """Over ten seconds, with one part at the end."""
    disc = across(9, begins=300)
    (found,) = gated(shots(pictures([disc], 390, light=light)))
    assert shows(found, disc)


def test_a_soft_shadow_makes_no_part():
    """Such as a person throws who walks by."""
    grid = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)

    def shadow(canvas, n):
        distance = np.hypot(grid[0] - 180, grid[1] - 5 * n)
        canvas *= (1 - 0.25 * np.exp(-((distance / 70) ** 2)))[..., None]

    assert gated(shots(pictures([], 160, over=shadow))) == []


@pytest.mark.parametrize("noise", [0, 6, 12])
def test_noise_makes_no_parts_and_hides_none(noise):
    """Up to what a camera gives in the dark."""
    disc = across(9, begins=60)
    (found,) = gated(shots(pictures([disc], 160, noise=noise)))
    assert shows(found, disc)


def test_the_sharpest_frame_is_taken():
    """The camera's focus is right for an instant only."""
    disc = across(4)
    images = list(pictures([disc], 220))
    blurred = [cv2.GaussianBlur(image, (0, 0), 0.3 + abs(n - 90) / 20) for n, image in enumerate(images)]
    (found,) = gated(shots(blurred))
    assert abs(found.number - 90) <= 3


def test_a_part_that_creeps_is_given_in_time():
    """Not later than `longest_seconds` after it first was fully in view."""
    disc = across(1.5)
    (found,) = gated(shots(pictures([disc], 400)), GateSettings(longest_seconds=2.0, still_frames=1000))
    in_view = next(n for n in range(400) if (disc.path(n) or (0, 0))[0] >= 40)
    assert in_view + 2.0 * RATE - 1 <= found.given <= in_view + 2.0 * RATE + 15


def test_only_the_region_is_looked_at():
    """A part on the next lane is passed over; boxes stay those of the whole frame."""
    discs = [across(8, y=90), across(8, y=270)]
    (found,) = gated(shots(pictures(discs, 130)), GateSettings(region=(0.0, 0.5, 1.0, 1.0)))
    assert shows(found, discs[1])
    assert found.part.image.shape == (*SIZE, 3)


def test_the_part_in_view_when_the_frames_end_is_given():
    """The last one of a file."""
    disc = across(9)
    (found,) = gated(shots(pictures([disc], 70)))
    assert found.given is None
    assert shows(found, disc)


def test_small_things_are_no_parts():
    """A screw on the belt; smaller ones can be asked for."""
    disc = across(8, radius=12)
    assert gated(shots(pictures([disc], 130))) == []
    assert len(gated(shots(pictures([disc], 130)), GateSettings(least_share=0.0008))) == 1


def test_a_belt_whose_pattern_moves_from_the_start_is_a_scene():
    """What flickers everywhere is no part."""
    grain = cv2.resize(np.random.default_rng(3).normal(0, 9, (45, 400)).astype(np.float32), (3200, 360))

    def rolling(canvas, n):
        canvas += grain[:, 4 * n : 4 * n + SIZE[1], None]

    assert gated(shots(pictures([], 300, over=rolling))) == []


def test_frames_without_a_picture_and_of_another_size_are_borne():
    """The former are passed over; after a change of size the scene is learned anew."""
    disc = across(9)
    images = list(pictures([disc], 120))
    broken = [None if n % 7 == 0 else image for n, image in enumerate(images)]
    smaller = [cv2.resize(image, (320, 180)) for image in images]
    found = gated(shots([*broken, *smaller]))
    assert [one.part.image.shape[0] for one in found] == [360, 180]


def test_only_the_best_frame_of_a_part_is_kept():
    """Of hundreds that show it."""
    gate, alive = PartGate(GateSettings(longest_seconds=1e6)), []
    for shot in shots(pictures([across(1.5)], 260)):
        assert list(gate.see(shot)) == []
        alive.append(weakref.ref(shot.image))
        del shot
        gc.collect()
        assert sum(one() is not None for one in alive) <= 2


@pytest.mark.parametrize(
    "wrong",
    [{"least_share": 0}, {"still_frames": 0}, {"longest_seconds": 0}, {"region": (0.5, 0, 0.5, 1)}, {"join_share": 1}],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong):
    """The message names the setting."""
    with pytest.raises(GateSettingsError, match=next(iter(wrong))):
        GateSettings(**wrong)
