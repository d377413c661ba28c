"""Registration: a moved, turned or tilted frame comes back onto the golden; what is none is refused."""

import cv2
import numpy as np
import pytest

from inspection.recipe import RegistrationMethod
from inspection.registration import Registrar, seen, warp
from inspection.registration.poses import corner_displacement, rescaled, turned

SIDE = 256
AUTO, SHIFT, RIGID, HOMOGRAPHY = (
    RegistrationMethod.AUTO,
    RegistrationMethod.SHIFT,
    RegistrationMethod.RIGID,
    RegistrationMethod.HOMOGRAPHY,
)


def draw_board(seed=0):
    """A board full of rectangles and rings, textured to its edges."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), (30, 90, 60), np.uint8)
    for _ in range(60):
        x, y, w, h = (int(v) for v in rng.integers((0, 0, 8, 8), (SIDE, SIDE, 50, 40)))
        cv2.rectangle(image, (x, y), (x + w, y + h), rng.integers(0, 255, 3).tolist(), -1)
        cv2.circle(image, (y, x), int(w // 3), rng.integers(0, 255, 3).tolist(), 2)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def draw_bracket(*, broken=False):
    """A dark angle bracket with two holes on a plain light ground; `broken` lacks an end."""
    image = np.full((SIDE, SIDE, 3), 205, np.uint8)
    cv2.rectangle(image, (70, 60), (100, 200), (60, 70, 80), -1)
    cv2.rectangle(image, (70, 170), (185, 200), (60, 70, 80), -1)
    cv2.circle(image, (85, 80), 8, (205, 205, 205), -1)
    cv2.circle(image, (165, 185), 5, (205, 205, 205), -1)
    if broken:
        cv2.rectangle(image, (60, 50), (110, 85), (205, 205, 205), -1)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def draw_bolt(phase):
    """A bolt whose thread starts `phase` of a turn further, as bolts do that lie rolled about their axis."""
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    cv2.rectangle(image, (118, 40), (138, 210), (90, 90, 95), -1)
    cv2.fillPoly(image, [np.array([[118, 180], [138, 180], [160, 215], [96, 215]])], (80, 80, 85))
    for turn in range(6):
        y = 45 + 16 * (turn + phase)
        points = np.array([[112, y + 3], [144, y - 3], [144, y + 2], [112, y + 8]])
        cv2.fillPoly(image, [points.round().astype(np.int32)], (50, 50, 50))
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def draw_blob(seed):
    """A piece of its own shape and grain, as food is."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radii = 70 + 12 * np.sin(angles * 2 + rng.uniform(0, 6)) + 8 * np.sin(angles * 3 + rng.uniform(0, 6))
    outline = np.stack([128 + radii * np.cos(angles), 128 + radii * np.sin(angles)], 1).astype(np.int32)
    image = np.full((SIDE, SIDE, 3), 40, np.uint8)
    cv2.fillPoly(image, [outline], (170, 120, 70))
    for _ in range(120):
        x, y = (int(v) for v in rng.normal(128, 35, 2))
        cv2.circle(image, (x, y), int(rng.integers(3, 9)), rng.integers(30, 230, 3).tolist(), -1)
    return image


def photographed(image, seed=0):
    """The image under other light, a little blurred, with camera noise."""
    rng = np.random.default_rng(seed)
    light = np.linspace(0.78, 0.92, image.shape[1])[None, :, None]
    picture = cv2.GaussianBlur(image, (0, 0), 0.9) * light + rng.normal(0, 4, image.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def moved(image, degrees=0.0, dx=0.0, dy=0.0):
    """The frame of a part that lies turned and shifted, and the pose that brings it back."""
    pose = turned(degrees, dx, dy, side=SIDE, aspect=1.0)
    return warp(image, pose, (SIDE, SIDE)), np.linalg.inv(pose)


@pytest.mark.parametrize(("dx", "dy"), [(0.0, 0.0), (2.4, -1.3), (-38.0, 30.5)])
def test_a_shifted_frame_is_found_to_a_fraction_of_a_pixel_in_other_light(dx, dy):
    """Shift recovers up to 15 % of the frame, with sub-pixel parts, though light, focus and noise differ."""
    golden = draw_board()
    frame, truth = moved(golden, dx=dx, dy=dy)
    found = Registrar([golden], SHIFT).register(photographed(frame))
    assert found.accepted
    assert found.method is SHIFT
    assert corner_displacement(found.matrix, truth, SIDE) < 0.5


@pytest.mark.parametrize("degrees", [-7.0, 33.0, 90.0, 180.0, 251.0])
@pytest.mark.parametrize("draw", [draw_board, draw_bracket])
def test_a_part_turned_by_any_angle_is_found(draw, degrees):
    """Rigid recovers any angle together with a shift, on a plain ground and on a full picture."""
    golden = draw()
    frame, truth = moved(golden, degrees, 12.3, -8.6)
    found = Registrar([golden], RIGID).register(photographed(frame))
    assert found.accepted
    assert corner_displacement(found.matrix, truth, SIDE) < 0.7


def test_a_defect_does_not_drag_the_pose():
    """A broken part is registered by what is left of it: it must be flagged, not refused."""
    frame, truth = moved(draw_bracket(broken=True), 140, -9, 5)
    found = Registrar([draw_bracket()], RIGID).register(photographed(frame))
    assert found.accepted
    assert corner_displacement(found.matrix, truth, SIDE) < 1.0


@pytest.mark.parametrize("degrees", [65, 230, 310])
def test_a_bolt_is_laid_head_on_head_and_not_thread_on_thread(degrees):
    """A thread that is half a turn further does not make the pose slip by half a thread (8 pixels)."""
    frame, truth = moved(draw_bolt(0.5), degrees, 7, -4)
    found = Registrar([draw_bolt(0.0)], RIGID).register(photographed(frame))
    assert corner_displacement(found.matrix, truth, SIDE) < 1.0


def test_a_tilted_frame_is_found():
    """Homography recovers perspective."""
    golden = draw_board()
    corners = np.float32([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]])
    tilt = cv2.getPerspectiveTransform(corners, corners + np.float32([[6, 3], [-8, 5], [4, -6], [7, 2]]))
    found = Registrar([golden], HOMOGRAPHY).register(photographed(warp(golden, tilt, (SIDE, SIDE))))
    assert found.accepted
    assert corner_displacement(found.matrix, np.linalg.inv(tilt), SIDE) < 0.7


@pytest.mark.parametrize("method", [SHIFT, RIGID, HOMOGRAPHY])
@pytest.mark.parametrize("golden", [draw_board(), draw_bracket()], ids=["board", "bracket"])
def test_a_frame_without_the_part_is_refused(golden, method):
    """An empty frame, noise and another product are not accepted under a method that was asked for."""
    registrar = Registrar([golden], method)
    empty = photographed(np.full_like(golden, 200))
    noise = np.random.default_rng(3).integers(0, 255, golden.shape, dtype=np.uint8)
    assert [registrar.register(frame).accepted for frame in (empty, noise, draw_board(7), draw_blob(1))] == [False] * 4


def test_none_leaves_the_frame_as_it_lies():
    """Without registration even a foreign frame is accepted, unmoved."""
    found = Registrar([draw_board()], RegistrationMethod.NONE).register(draw_blob(1))
    assert (found.quality, found.accepted) == (1.0, True)
    assert np.array_equal(found.matrix, np.eye(3))


def test_a_symmetric_part_stays_as_it_lies():
    """A ring looks alike at every angle, so it is not turned."""
    golden = np.full((SIDE, SIDE, 3), 240, np.uint8)
    cv2.circle(golden, (128, 128), 80, (40, 40, 60), 30)
    frame, truth = moved(golden, dx=6, dy=-4)
    found = Registrar([golden], RIGID).register(photographed(frame))
    assert corner_displacement(found.matrix, truth, SIDE) < 1.0


def test_auto_sees_that_a_part_turns():
    """Goldens at different angles resolve to rigid, and every frame comes to lie on the first golden."""
    goldens = [photographed(moved(draw_bracket(), angle, 5, 3)[0], i) for i, angle in enumerate((0, 75, 200))]
    registrar = Registrar(goldens, AUTO)
    frame, back = moved(draw_bracket(broken=True), 290, -6, 2)
    found = registrar.register(photographed(frame))
    anchor = turned(0, 5, 3, side=SIDE, aspect=1.0)
    assert registrar.method is RIGID
    assert found.accepted
    assert corner_displacement(found.matrix, anchor @ back, SIDE) < 1.0


def test_auto_refuses_a_frame_without_the_part_where_parts_turn():
    """Where parts lie at any angle a frame that shows none can't be compared."""
    goldens = [photographed(moved(draw_bracket(), angle)[0], i) for i, angle in enumerate((0, 75, 200))]
    assert not Registrar(goldens, AUTO).register(draw_blob(2)).accepted


def test_auto_sees_that_a_part_jitters_and_never_turns_it_over():
    """Goldens that only move resolve to shift; a part mounted upside down is left so, for that is the defect."""
    board = draw_board()
    goldens = [photographed(moved(board, 0, dx, -dx)[0], i) for i, dx in enumerate((0, 6, -4))]
    registrar = Registrar(goldens, AUTO)
    upside_down = registrar.register(photographed(moved(board, 180)[0]))
    frame, truth = moved(board, dx=9, dy=4)
    found = registrar.register(photographed(frame))
    assert registrar.method is SHIFT
    assert corner_displacement(found.matrix, truth, SIDE) < 0.7
    assert upside_down.accepted
    assert np.trace(upside_down.matrix[:2, :2]) > 1.5


def test_auto_leaves_pieces_alone_that_all_differ():
    """Where nothing makes the goldens agree, frames are compared as they lie."""
    registrar = Registrar([draw_blob(seed) for seed in range(4)], AUTO)
    found = registrar.register(draw_blob(9))
    assert registrar.method is RegistrationMethod.NONE
    assert found.accepted
    assert np.array_equal(found.matrix, np.eye(3))


def test_auto_with_one_golden_decides_frame_by_frame():
    """One golden: a turned part is turned back, a piece that differs stays."""
    turned_frame, truth = moved(draw_bracket(), 120, 4, 4)
    found = Registrar([draw_bracket()], AUTO).register(photographed(turned_frame))
    other = Registrar([draw_blob(0)], AUTO).register(draw_blob(5))
    assert corner_displacement(found.matrix, truth, SIDE) < 0.7
    assert other.accepted
    assert np.array_equal(other.matrix, np.eye(3))


def test_a_part_turns_without_shear_in_a_squeezed_frame():
    """With the aspect of the delivered frames given, a turn in a 3:2 picture is found in its square copy."""
    wide = np.full((240, 360, 3), 205, np.uint8)
    wide[:, 60:300] = cv2.resize(draw_bracket(), (240, 240))
    pose = cv2.getRotationMatrix2D((179.5, 119.5), 60, 1)
    frame = cv2.warpAffine(wide, pose, (360, 240), borderMode=cv2.BORDER_REPLICATE)
    golden, squeezed = (cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in (wide, frame))
    found = Registrar([golden], RIGID, aspect=1.5).register(squeezed)
    back = rescaled(np.linalg.inv(np.vstack([pose, (0, 0, 1)])), (240, 360), (SIDE, SIDE))
    assert corner_displacement(found.matrix, back, SIDE) < 0.7


def test_a_pose_found_small_fits_the_large_picture():
    """Rescaling keeps pixel centres: there and back is the same pose, and twice the size moves twice as far."""
    pose = turned(30, 5, -2, side=100, aspect=1.0)
    large = rescaled(pose, (100, 100), (200, 200))
    assert np.allclose(rescaled(large, (200, 200), (100, 100)), pose)
    assert np.allclose(large, turned(30, 10, -4, side=200, aspect=1.0))


def test_what_the_frame_does_not_show_repeats_its_border_and_is_said_to_be_unseen():
    """A frame moved 10 pixels to the right leaves 10 columns that prove nothing."""
    image = np.tile(np.arange(40, dtype=np.uint8)[None, :, None], (20, 1, 3))
    pose = np.array([[1, 0, 10], [0, 1, 0], [0, 0, 1]], float)
    assert warp(image, pose, (40, 20))[0, :12, 0].tolist() == [0] * 11 + [1]
    assert seen(pose, (40, 20))[0].tolist() == [False] * 10 + [True] * 30


@pytest.mark.parametrize("size", [96, 512])
def test_other_working_sizes_are_registered_in_their_own_pixels(size):
    """The matrix is in pixels of the working size, whatever size the search itself uses."""
    golden = cv2.resize(draw_bracket(), (size, size), interpolation=cv2.INTER_AREA)
    pose = turned(25, 0.05 * size, 0, side=size, aspect=1.0)
    found = Registrar([golden], RIGID).register(warp(golden, pose, (size, size)))
    assert corner_displacement(found.matrix, np.linalg.inv(pose), size) < 0.005 * size


def test_the_same_frame_gives_the_same_pose():
    """Nothing in registration is left to chance."""
    golden, frame = draw_board(), photographed(moved(draw_board(), 20, 3, 3)[0])
    for method in (SHIFT, RIGID, HOMOGRAPHY, AUTO):
        first, second = (Registrar([golden], method).register(frame) for _ in range(2))
        assert np.array_equal(first.matrix, second.matrix)


def test_a_frame_of_another_size_is_an_error():
    """Frame and golden must have the working size."""
    with pytest.raises(ValueError, match="working size"):
        Registrar([draw_board()], SHIFT).register(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="at least one golden"):
        Registrar([], SHIFT)


@pytest.mark.parametrize("method", [SHIFT, RIGID, HOMOGRAPHY, AUTO])
def test_a_golden_without_any_structure_is_survived(method):
    """A blank golden gives a pose, if a useless one, and no error."""
    blank = np.full((SIDE, SIDE, 3), 128, np.uint8)
    found = Registrar([blank, blank], method).register(blank)
    assert np.isfinite(found.matrix).all()
    assert 0 <= found.quality <= 1
