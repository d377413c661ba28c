"""The quality gate refuses what can't be judged and lets harmless changes pass."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bad_inputs import drawn_part

from inspection.decoding import decode_image
from inspection.errors import ReferenceSetError
from inspection.quality import FrameQuality, QualityGate, measure_quality
from inspection.recipe import QualityLimits

SIDE = 600
PARTS = ("aliens", "bottle", "cookies", "elpv", "hazelnut", "screw", "transistor")


def part(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """A textured part with sensor noise, as one camera would see it again and again."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(drawn_part(300, 300), (side, side), interpolation=cv2.INTER_AREA)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def moved(image: np.ndarray) -> np.ndarray:
    """The picture moved by 3 % to the right and down, black where it was not seen."""
    matrix = np.array([[1, 0, 0.03 * SIDE], [0, 1, 0.03 * SIDE]])
    return cv2.warpAffine(image, matrix, (SIDE, SIDE))


def noise_on_grey(image: np.ndarray, sigma: float) -> np.ndarray:
    """No part at all, only a noisy sensor."""
    noise = np.random.default_rng(5).normal(image.mean(), sigma, image.shape)
    return np.clip(noise, 0, 255).astype(np.uint8)


HARMLESS = {
    "as it is": lambda image: image,
    "15 % darker": lambda image: (image * 0.85).astype(np.uint8),
    "20 % brighter": lambda image: np.clip(image * 1.2, 0, 255).astype(np.uint8),
    "moved": moved,
    "mildly blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 1),
    "half the size": lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    "turned": lambda image: np.rot90(image).copy(),
}
HARMFUL = {
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 8),
    "too dark": lambda image: (image * 0.2).astype(np.uint8),
    "blank": lambda image: np.full_like(image, int(image.mean())),
    "wrong size": lambda image: image[:, : SIDE * 3 // 4],
}


def gate(*goldens: np.ndarray, **limits: float) -> QualityGate:
    """A gate that knows these goldens."""
    return QualityGate([measure_quality(golden) for golden in goldens], QualityLimits(**limits))


@pytest.mark.parametrize("goldens", [1, 4])
@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes_pass(change, goldens):
    """Light, pose and focus as they vary on a line are no reason not to judge."""
    known = gate(*(part(seed) for seed in range(goldens)))
    assert known.problem(measure_quality(HARMLESS[change](part(9)))) is None


@pytest.mark.parametrize("goldens", [1, 4])
@pytest.mark.parametrize("reason", HARMFUL)
def test_what_can_not_be_judged_is_refused_with_its_reason(reason, goldens):
    """The problem begins with the reason's word and gives the figures."""
    known = gate(*(part(seed) for seed in range(goldens)))
    assert known.problem(measure_quality(HARMFUL[reason](part(9)))).startswith(f"{reason}: ")


def test_a_black_frame_is_refused():
    """A shutter that stayed closed is no good part."""
    assert gate(part()).problem(measure_quality(np.zeros((SIDE, SIDE, 3), np.uint8))).startswith("too dark")


@pytest.mark.parametrize("sigma", [5, 15, 40])
def test_noise_on_an_even_ground_is_blank(sigma):
    """Noise has contrast of its own, but none between places."""
    assert gate(part()).problem(measure_quality(noise_on_grey(part(), sigma))).startswith("blank: ")


def test_noise_does_not_pass_for_focus():
    """A defocused picture stays blurred when the sensor is noisy."""
    blurred = cv2.GaussianBlur(part(), (0, 0), 8)
    noisy = np.clip(blurred + np.random.default_rng(1).normal(0, 5, blurred.shape), 0, 255).astype(np.uint8)
    assert gate(part()).problem(measure_quality(noisy)).startswith("blurred: ")


def test_too_bright_is_refused():
    """Twice and a half the goldens' light is an exposure fault."""
    dim = (part() * 0.3).astype(np.uint8)
    assert gate(dim).problem(measure_quality(part())).startswith("too bright: ")


def test_a_small_frame_is_refused():
    """Details that the goldens show can't be seen in a thumbnail."""
    assert "too small" in gate(part()).problem(measure_quality(part(side=200)))


def test_a_fine_texture_is_not_blank():
    """A product without contrast between places sets its own limit, and its frames pass."""
    checks = np.kron(np.indices((150, 150)).sum(axis=0) % 2, np.ones((4, 4)))[..., None].repeat(3, 2)
    woven = (checks * 60 + 90).astype(np.uint8)
    assert measure_quality(woven).contrast < QualityLimits().min_contrast
    assert gate(woven).problem(measure_quality(np.roll(woven, 7, axis=1))) is None


def test_one_soft_golden_does_not_open_the_gate():
    """The focus limit follows the sharp majority part of the way."""
    soft = cv2.GaussianBlur(part(), (0, 0), 6)
    blurred = measure_quality(cv2.GaussianBlur(part(3), (0, 0), 8))
    assert gate(soft).problem(blurred) is None
    assert gate(soft, part(1), part(2), part(4)).problem(blurred) is not None


def test_limits_of_the_recipe_decide():
    """A stricter recipe refuses what the default lets pass."""
    darker = measure_quality((part() * 0.85).astype(np.uint8))
    assert gate(part(), min_brightness=1.2).problem(darker).startswith("too dark: ")


def test_the_figures_hardly_depend_on_light():
    """Half the contrast gives the same focus, so that dim light is not told as blur."""
    full, dim = measure_quality(part()), measure_quality((part() * 0.5 + 60).astype(np.uint8))
    assert dim.focus == pytest.approx(full.focus, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 4)])
def test_the_tiniest_pictures_are_measured(shape):
    """One pixel raises nothing and has no contrast."""
    quality = measure_quality(np.full((*shape, 3), 90, np.uint8))
    assert (quality.width, quality.height, quality.contrast, quality.focus) == (shape[1], shape[0], 0, 0)
    assert gate(part()).problem(quality).startswith("wrong size: ")


def test_a_gate_without_goldens_is_refused():
    """There is nothing to be relative to."""
    with pytest.raises(ReferenceSetError, match="at least one golden"):
        QualityGate([], QualityLimits())


def test_the_message_gives_the_goldens_figures():
    """Who reads the verdict sees by how much the frame falls short."""
    goldens = [FrameQuality(brightness=b, focus=0.5, contrast=40, width=10, height=10) for b in (100, 120)]
    frame = FrameQuality(brightness=12, focus=0.5, contrast=40, width=10, height=10)
    problem = QualityGate(goldens, QualityLimits()).problem(frame)
    assert problem == "too dark: brightness 12 below 41 (goldens 100 to 120)"


@pytest.mark.real_data
@pytest.mark.parametrize("goldens", [1, 4])
@pytest.mark.parametrize("product", PARTS)
def test_no_real_frame_is_refused(product, goldens, real_data):
    """Frames of real parts, good and defective, are judged as they are and 15 % darker, but not at a fifth."""
    known = gate(*(picture(path) for path in sorted((real_data / product / "train" / "good").iterdir())[:goldens]))
    frames = [picture(path) for path in sorted((real_data / product / "test").glob("*/*"))[::2]]
    for light, refused in ((1, 0), (0.85, 0), (0.2, len(frames))):
        problems = [known.problem(measure_quality((frame * light).astype(np.uint8))) for frame in frames]
        assert sum(problem is not None for problem in problems) == refused


def picture(path: Path) -> np.ndarray:
    """One real picture."""
    return decode_image(path.read_bytes(), source=path.name)
