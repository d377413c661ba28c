"""Which pairs a network learns from, and which are held out to end the training and choose the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.reading import natural_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.pairs import Pair

HELD_OUT: Final = 0.1
MOST_HELD_OUT: Final = 64
FEWEST_GROUPS: Final = 3
"""From so many on whole groups are held out: one at least, and two to learn from."""


def split_pairs(pairs: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from and about a tenth held out, 64 at most; the same seed splits the same way.

    Where the pairs name at least three groups, whole groups are held out, drawn at random among those that fit into the
    tenth; where none fits, the smallest. So what is measured on them holds for groups never seen. A pair of no group is
    one of its own.
    """
    wanted = int(np.clip(round(HELD_OUT * len(pairs)), 1, MOST_HELD_OUT))
    rng = np.random.default_rng(seed)
    if len({pair.group for pair in pairs if pair.group}) < FEWEST_GROUPS:
        held = set(rng.permutation(len(pairs))[:wanted].tolist())
    else:
        held = _of_whole_groups(pairs, wanted, rng)
    return [p for i, p in enumerate(pairs) if i not in held], [p for i, p in enumerate(pairs) if i in held]


def whole_groups(learning: Sequence[Pair], held_out: Sequence[Pair]) -> tuple[str, ...]:
    """The named groups of the held-out pairs, if nothing was learned from any of them, else none."""
    groups = {pair.group for pair in held_out if pair.group}
    if groups & {pair.group for pair in learning}:
        return ()
    return tuple(sorted(groups, key=natural_order))


def _of_whole_groups(pairs: Sequence[Pair], wanted: int, rng: np.random.Generator) -> set[int]:
    """Numbers of the pairs of the groups that are held out."""
    groups: dict[str | int, list[int]] = {}
    for index, pair in enumerate(pairs):
        groups.setdefault(pair.group or index, []).append(index)
    members = list(groups.values())
    drawn = [members[int(number)] for number in rng.permutation(len(members))]
    held: list[list[int]] = []
    for group in drawn:
        if sum(map(len, held)) + len(group) <= wanted and len(held) < len(drawn) - 2:
            held.append(group)
    return {index for group in held or [min(drawn, key=len)] for index in group}
