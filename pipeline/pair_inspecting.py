"""Pairs become verdicts: every frame against its own golden, by a trained network, or else by that golden alone."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

from inspection.errors import GoldentwinError
from inspection.inspector import Inspector
from inspection.learned.pair_inspector import PairInspector
from inspection.verdicts import Judgement, Provenance, Reason
from pipeline.enrolment import enrol_goldens
from pipeline.frames import FrameVerdict
from pipeline.opening import provisionally_calibrated
from pipeline.pairs import Pair, read_pair
from pipeline.twins import read_twin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from pipeline.workspace import Workspace

PAIRS: Final = "pairs"
"""The product's name in verdicts on pairs of no product."""
_AHEAD: Final = 2
_GOLDENS_OPEN: Final = 8


@dataclass(frozen=True, kw_only=True)
class JudgedPair:
    """One pair and what was said of its frame."""

    pair: Pair
    verdict: FrameVerdict


class PairJudge(Protocol):
    """Judges a frame against its golden."""

    def judge_pair(self, frame: NDArray[np.uint8], pair: Pair, golden: NDArray[np.uint8], sha256: str) -> Judgement:
        """Judge one frame, RGB uint8 as delivered."""

    def refuse(self, reason: str, golden_sha256: str = "") -> Judgement:
        """CANNOT_INSPECT."""


class TrainedJudge(PairInspector):
    """Judges by a trained network."""

    def judge_pair(self, frame: NDArray[np.uint8], pair: Pair, golden: NDArray[np.uint8], sha256: str) -> Judgement:
        """See `PairJudge`."""
        del pair
        return self.judge(frame, golden, sha256)


class UntrainedJudge:
    """Judges by each golden alone, as if it were enrolled as the only one: provisional verdicts.

    The last few goldens are kept open, so that frames of one golden cost its preparation once.
    """

    def __init__(self, workspace: Workspace, *, engine: str = "auto") -> None:
        self.engine = engine
        self._workspace = workspace
        self._opening = Lock()
        self._open = lru_cache(maxsize=_GOLDENS_OPEN)(self._opened)

    def judge_pair(self, frame: NDArray[np.uint8], pair: Pair, golden: NDArray[np.uint8], sha256: str) -> Judgement:
        """See `PairJudge`."""
        del golden
        try:
            with self._opening:  # or several threads would each prepare the same golden
                inspector = self._open(sha256, pair.golden)
        except GoldentwinError as error:
            return self.refuse(f"{Reason.NOT_COMPARED.value}: its golden can't be used: {error}", sha256)
        return inspector.judge([frame])[0]

    def refuse(self, reason: str, golden_sha256: str = "") -> Judgement:
        """CANNOT_INSPECT."""
        provenance = Provenance(encoder="", reference_set=golden_sha256[:12], recipe="", calibration=None)
        return Judgement.refused(reason, provenance, provisional=True)

    def _opened(self, sha256: str, golden: Path) -> Inspector:
        references = self._workspace.home / PAIRS
        report = enrol_goldens(references, product=sha256[:16], files=[golden], added_by="pair manifest")
        return provisionally_calibrated(
            Inspector(report.reference_set, cache=self._workspace.cache, engine=self.engine)
        )


def open_pair_judge(workspace: Workspace, product: str | None, view: str, *, engine: str = "auto") -> PairJudge:
    """The product's trained network where there is one, else comparison by each golden alone."""
    trained = read_twin(workspace, product, view) if product else None
    if trained is None:
        return UntrainedJudge(workspace, engine=engine)
    return TrainedJudge(trained, cache=workspace.cache, engine=engine)


def inspect_pairs(  # noqa: PLR0913 - three are options
    judge: PairJudge,
    pairs: Sequence[Pair],
    *,
    product: str = PAIRS,
    view: str = "default",
    keep_images: bool = False,
    watcher: Callable[[int, int], None] | None = None,
) -> Iterator[JudgedPair]:
    """Judge pairs in their order, several at once; bad input raises nothing: it is CANNOT_INSPECT with the reason."""
    workers = len(os.sched_getaffinity(0))

    def work(pair: Pair) -> JudgedPair:
        verdict = _judged(judge, pair, product, view)
        shown = verdict if keep_images else replace(verdict, frame=replace(verdict.frame, image=None))
        return JudgedPair(pair=pair, verdict=shown)

    with ThreadPoolExecutor(workers, thread_name_prefix="pairs") as pool:
        waiting: deque[Future[JudgedPair]] = deque()
        done = 0
        for pair in (*pairs, None):
            if pair is not None:
                waiting.append(pool.submit(work, pair))
            while waiting and (pair is None or len(waiting) > _AHEAD * workers):
                yield waiting.popleft().result()
                done += 1
                if watcher is not None:
                    watcher(done, len(pairs))


def _judged(judge: PairJudge, pair: Pair, product: str, view: str) -> FrameVerdict:
    frame, golden = read_pair(pair)
    if frame.image is None:
        judgement = judge.refuse(frame.problem or Reason.UNREADABLE.value, golden.sha256)
    elif golden.image is None:
        judgement = judge.refuse(f"{Reason.NOT_COMPARED.value}: its golden is {golden.problem}", golden.sha256)
    else:
        judgement = judge.judge_pair(frame.image, pair, golden.image, golden.sha256)
    return FrameVerdict(frame=frame, judgement=judgement, product=product, view=view)
