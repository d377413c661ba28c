"""Pairs become verdicts: every frame against its own golden, by a trained network, or else by that golden alone."""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from inspection.learned.pair_inspector import PairInspector, UntrainedPairInspector
from inspection.verdicts import Reason
from pipeline.frames import FrameVerdict
from pipeline.pairs import Pair, read_pair
from pipeline.twins import read_twin
from pipeline.workspace import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from inspection.learned.pair_inspector import PairJudge
    from inspection.verdicts import Judgement
    from pipeline.workspace import Workspace

PAIRS: Final = "pairs"
"""The product's name in verdicts on pairs of no product."""
_AHEAD: Final = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class JudgedPair:
    """One pair and what was said of its frame."""

    pair: Pair
    verdict: FrameVerdict


def open_pair_judge(workspace: Workspace, product: str | None, view: str, *, engine: str = "auto") -> PairJudge:
    """The product's trained network where there is one, else the untrained comparison with each golden."""
    trained = read_twin(workspace, product, view) if product else None
    if trained is None:
        return UntrainedPairInspector(cache=workspace.cache, engine=engine)
    return PairInspector(trained, cache=workspace.cache, engine=engine)


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
    workers = cores()

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
        judgement = _compared(judge, frame.frame, frame.image, golden.image, golden.sha256)
    return FrameVerdict(frame=frame, judgement=judgement, product=product, view=view)


def _compared(
    judge: PairJudge, name: str, frame: NDArray[np.uint8], golden: NDArray[np.uint8], sha256: str
) -> Judgement:
    """What the judge says; whatever a pair does to it, the batch goes on."""
    try:
        return judge.judge(frame, golden, sha256)
    except Exception as error:
        logger.exception("%s could not be judged", name)
        return judge.refuse(f"{Reason.NOT_COMPARED.value}: {error}", sha256)
