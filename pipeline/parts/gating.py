"""One frame a part: what comes into view is followed, and its best picture is given once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from pipeline.parts.scene import WIDTH, Blob, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.cameras import Shot

_SHORTEST: Final = 3  # frames in view, below which something is noise or passes too fast to be seen
_FORGET: Final = 5  # frames without a sight of it, after which a track has ended
_SIZE_CHANGE: Final = 1.3  # from frame to frame, beyond which it is not one thing in view
_FORGET_RESTING: Final = 64  # parts that were given and stand about


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """What is a part.

    `smallest` is its least area as a share of the view. It is given once it has been still for `still_frames`, begins
    to leave, or has been fully in view for `longest_seconds`. `still_change` is the mean change in grey values (0 to
    255) from frame to frame that counts as still. `region` (x, y, width, height, in parts of the view) is where parts
    are looked for; None takes all of it, and then its border is the view's.
    """

    smallest: float = 0.004
    still_frames: int = 8
    longest_seconds: float = 3.0
    still_change: float = 3.0
    region: tuple[float, float, float, float] | None = None


@dataclass
class _Track:
    """Something that is followed."""

    blob: Blob
    steady: int = 0
    unseen: int = 0
    still: int = 0
    velocity: tuple[float, float] = (0.0, 0.0)
    full_since: float | None = None
    given: bool = False
    moved: bool = False  # a part given before that somebody has moved
    best: Shot | None = field(default=None, repr=False)
    best_score: tuple[bool, float] = (False, -1.0)


class PartGate:
    """Gives one shot a part: fully in view, as still as it gets, the sharpest of those.

    What stands there when it starts belongs to the scene, and so does a part once it was given and stands still. A
    part that is pushed along is the same part; one that is taken out of view and put back is another. What touches the
    border (a hand, an arm, a part that is only coming) is no part yet. In memory is one shot of each thing in view.

    Args:
        settings: what is a part.
    """

    def __init__(self, settings: GateSettings | None = None) -> None:
        self._settings = settings or GateSettings()
        self._scene = Scene(smallest=self._settings.smallest)
        self._tracks: list[_Track] = []
        self._resting: list[NDArray[np.bool_]] = []

    def see(self, shot: Shot) -> Sequence[Shot]:
        """The parts that are certain now, after this frame; a frame that is no picture is passed over."""
        if shot.image is None:
            return []
        image = self._in_region(shot.image)
        blobs = self._scene.see(image)
        if blobs is None:
            return self.rest()  # the scene is another: what was in view will not be known again
        present = [blob for blob in blobs if not self._note_gone(blob)]
        self._follow(present)
        given = []
        for track in self._tracks:
            if track.unseen == 0:
                self._look_at(track, shot, image)
            if self._is_due(track, shot.captured):
                given.append(track)
        for track in given:
            track.given = True
        self._let_rest()
        self._tracks = [track for track in self._tracks if track.unseen < _FORGET]
        return [track.best for track in given if track.best is not None]

    def rest(self) -> Sequence[Shot]:
        """The parts that were in view and not given yet when the frames ended."""
        left = [track.best for track in self._tracks if _is_part(track)]
        self._tracks = []
        return [shot for shot in left if shot is not None]

    def _in_region(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._settings.region is None:
            return image
        x, y, width, height = self._settings.region
        rows, columns = image.shape[:2]
        top, left = round(y * rows), round(x * columns)
        return image[top : top + max(1, round(height * rows)), left : left + max(1, round(width * columns))]

    def _note_gone(self, blob: Blob) -> bool:
        """Whether something has left there; then the empty place is background, and what left is the same part."""
        if not blob.gone or blob.change > self._settings.still_change:
            return False
        self._scene.absorb(blob.mask)
        left = [mask for mask in self._resting if _covers(blob.mask, mask)]
        if left:
            self._resting = [mask for mask in self._resting if not any(mask is one for one in left)]
            for track in self._tracks:
                track.moved |= _near(track.blob, blob)
        return True

    def _follow(self, blobs: Sequence[Blob]) -> None:
        """Each blob goes on with the track that it overlaps most, else with the nearest, else it is something new."""
        free = list(self._tracks)
        for blob in sorted(blobs, key=lambda one: -one.area):
            track = max(free, key=lambda one: _likeness(one.blob, blob), default=None)
            if track is not None and _likeness(track.blob, blob) > 0:
                free.remove(track)
                _go_on(track, blob)
            else:
                parent = next((one for one in self._tracks if _covers(one.blob.mask, blob.mask)), None)
                moved = parent is not None and parent.moved
                self._tracks.append(_Track(blob=blob, moved=moved))
        for track in free:
            track.unseen += 1

    def _look_at(self, track: _Track, shot: Shot, image: NDArray[np.uint8]) -> None:
        """Whether it is fully in view, how still, and whether this is its best picture."""
        track.still = track.still + 1 if track.blob.change <= self._settings.still_change else 0
        if track.blob.touches:
            return
        if track.full_since is None:
            track.full_since = shot.captured
        if not track.given and track.steady >= _SHORTEST:
            score = (track.still >= _SHORTEST, _sharpness(image, track.blob))
            if score > track.best_score:
                track.best, track.best_score = shot, score

    def _is_due(self, track: _Track, now: float) -> bool:
        if not _is_part(track) or track.full_since is None or track.blob.gone:
            return False
        return (
            self._leaves(track)
            or track.still >= self._settings.still_frames
            or now - track.full_since >= self._settings.longest_seconds
        )

    def _leaves(self, track: _Track) -> bool:
        """Whether it goes out of view: what vanishes in the middle of it has only met something else."""
        if track.unseen == 0:
            return track.blob.touches
        blob, (across, down) = track.blob, track.velocity
        width, height = self._scene.size
        left, top = blob.x + across * track.unseen, blob.y + down * track.unseen
        return left < 0 or top < 0 or left + blob.width > width or top + blob.height > height

    def _let_rest(self) -> None:
        """What was given (or only moved) and stands still belongs to the scene."""
        for track in self._tracks:
            known = track.given or track.moved
            if known and track.still >= self._settings.still_frames and not track.blob.touches:
                self._scene.absorb(track.blob.mask)
                self._resting = [*self._resting, track.blob.mask][-_FORGET_RESTING:]
                track.unseen = _FORGET


def _go_on(track: _Track, blob: Blob) -> None:
    """The track's thing is seen again."""
    ratio = blob.area / track.blob.area
    track.steady = track.steady + 1 if 1 / _SIZE_CHANGE < ratio < _SIZE_CHANGE else 0
    shift = np.subtract(blob.centre, track.blob.centre) / (track.unseen + 1)
    track.velocity = (float(shift[0]), float(shift[1]))
    track.blob, track.unseen = blob, 0


def _is_part(track: _Track) -> bool:
    return track.best is not None and not track.given and not track.moved


def _likeness(one: Blob, other: Blob) -> float:
    """Share of overlap of two blobs' boxes; where they are apart, a little if they are near and alike; 0 if neither."""
    left, top = max(one.x, other.x), max(one.y, other.y)
    right, bottom = min(one.x + one.width, other.x + other.width), min(one.y + one.height, other.y + other.height)
    shared = max(0, right - left) * max(0, bottom - top)
    if shared:
        return 1.0 + shared / (one.width * one.height + other.width * other.height - shared)
    apart = np.hypot(*np.subtract(one.centre, other.centre))
    reach = max(one.width, one.height, other.width, other.height) + WIDTH / 16
    alike = min(one.area, other.area) / max(one.area, other.area)
    return float(max(0.0, 1 - apart / reach) * alike)


def _near(one: Blob, other: Blob) -> bool:
    return _likeness(one, other) > 0


def _covers(large: NDArray[np.bool_], small: NDArray[np.bool_]) -> bool:
    """Whether the most of `small` lies in `large`."""
    return large.shape == small.shape and bool(2 * np.count_nonzero(large & small) > np.count_nonzero(small))


def _sharpness(image: NDArray[np.uint8], blob: Blob) -> float:
    """Variance of the Laplacian inside the blob's box, at the frame's own size."""
    scale = image.shape[1] / WIDTH
    top, left = int(blob.y * scale), int(blob.x * scale)
    bottom, right = int((blob.y + blob.height) * scale), int((blob.x + blob.width) * scale)
    grey = cv2.cvtColor(np.ascontiguousarray(image[top : bottom + 1, left : right + 1]), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())
