"""How exactly frames of any pose are brought onto their golden: python tests/benchmarks/registration.py.

Each frame is the golden itself, turned by up to 180 degrees and moved by up to 10 % at 512 px, with its light and focus
changed. The error is the largest distance in pixels of nine points of the part from where they belong. Prints a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from measure import DATA

from inspection.golden_model import working_image
from inspection.nuisance import NuisanceLimits, draw_nuisances
from inspection.recipe import RegistrationMethod
from inspection.registration import Registrar
from pipeline.reading import list_frames, read_frame
from pipeline.simulator import LineSimulator

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE: Final = 512
SHIFT: Final = 0.1  # of the side
WRONG: Final = 5.0  # pixels
FRAMES_EACH: Final = 4
_LIGHT: Final = NuisanceLimits(turn=0, zoom=0, shift=0)


def moved(image: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The image in another pose, and the 3 x 3 matrix that took it there."""
    middle = ((SIDE - 1) / 2, (SIDE - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, rng.uniform(-180, 180), 1.0)
    matrix[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * SIDE
    frame = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return frame.astype(np.uint8), np.vstack([matrix, [0, 0, 1]])


def measure(images: list[NDArray[np.uint8]], method: RegistrationMethod) -> tuple[int, int, list[float]]:
    """Frames, refused ones, and the errors in pixels of the others."""
    rng, frames, refused = np.random.default_rng(0), 0, 0
    errors: list[float] = []
    grid = [SIDE * share for share in (0.3, 0.5, 0.7)]
    points = np.array([[x, y] for x in grid for y in grid])
    for image in images:
        golden = working_image(image, SIDE)
        registrar = Registrar([golden], method, aspect=1.0)
        for _ in range(FRAMES_EACH):
            frame, pose = moved(golden, rng)
            found = registrar.register(draw_nuisances(frame, count=1, seed=frames, limits=_LIGHT)[0])
            frames += 1
            if not found.accepted:
                refused += 1
                continue
            placed = cv2.perspectiveTransform(points[None], found.matrix @ pose)[0]
            errors.append(float(np.linalg.norm(placed - points, axis=1).max()))
    return frames, refused, errors


def main() -> None:
    """One row a part and method."""
    line = LineSimulator(seed=3)
    parts = {"demo board": [line.frame(number).image for number in range(10)]}
    screws = DATA / "screw" / "train" / "good"
    if screws.is_dir():
        parts["screw"] = [read_frame(path).image for path in list_frames([screws])[:20]]
    print("| | frames | refused | median error, px | more than 5 px wrong, unreported |")
    print("|---|---:|---:|---:|---:|")
    for name, images in parts.items():
        for method in (RegistrationMethod.AUTO, RegistrationMethod.RIGID):
            frames, refused, errors = measure(images, method)
            wrong = sum(error > WRONG for error in errors)
            print(f"| {name}, `{method}` | {frames} | {refused} | {np.median(errors):.2f} | {wrong} |", flush=True)


if __name__ == "__main__":
    main()
