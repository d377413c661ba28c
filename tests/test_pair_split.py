"""Which pairs are held out: a tenth, and whole groups where the manifest names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.pair_split import split_pairs, whole_groups
from pipeline.pairs import Pair, read_pairs
from pipeline.reading import FrameFile


def pairs_of(*groups):
    """A pair of each group named."""
    return [
        Pair(
            frame=FrameFile(frame=str(number), path=Path(f"{number}.png"), part_id=str(number)),
            golden=Path("golden.png"),
            label=None,
            boxes=None,
            group=group,
        )
        for number, group in enumerate(groups)
    ]


def groups_in(pairs):
    """The groups of pairs."""
    return {pair.group for pair in pairs}


def test_without_groups_a_tenth_is_drawn_as_ever():
    """Pair by pair, by the seed alone; the draw is that of every version before."""
    pairs = pairs_of(*[None] * 40)
    learning, held_out = split_pairs(pairs, 3)
    drawn = sorted(np.random.default_rng(3).permutation(40)[:4].tolist())
    assert [int(pair.frame.frame) for pair in held_out] == drawn
    assert len(learning) == 36
    assert whole_groups(learning, held_out) == ()


@pytest.mark.parametrize("groups", [["a"] * 20 + ["b"] * 20, ["a"] * 40])
def test_two_groups_are_too_few(groups):
    """Then pairs are drawn from both, as without groups."""
    learning, held_out = split_pairs(pairs_of(*groups), 0)
    assert len(held_out) == 4
    assert groups_in(held_out) <= groups_in(learning)
    assert whole_groups(learning, held_out) == ()


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_held_out_whole(seed):
    """No group is on both sides, they make up a tenth where that goes, and the seed draws them."""
    pairs = pairs_of(*[f"board {number % 20}" for number in range(100)])
    learning, held_out = split_pairs(pairs, seed)
    assert not groups_in(learning) & groups_in(held_out)
    assert len(held_out) == 10
    assert whole_groups(learning, held_out) == tuple(sorted(groups_in(held_out), key=lambda name: int(name[6:])))
    assert split_pairs(pairs, seed) == (learning, held_out)


def test_seeds_draw_other_groups():
    """Not always the same board is held out."""
    pairs = pairs_of(*[f"board {number % 20}" for number in range(100)])
    assert len({whole_groups(*split_pairs(pairs, seed)) for seed in range(5)}) > 1


def test_large_groups_cost_one_the_smallest():
    """Three boards, none as small as a tenth: one of them tells, two teach."""
    learning, held_out = split_pairs(pairs_of(*"a" * 12, *"b" * 8, *"c" * 20), 0)
    assert groups_in(held_out) == {"b"}
    assert groups_in(learning) == {"a", "c"}


def test_pairs_of_no_group_are_groups_of_their_own():
    """They may be held out one by one, and every pair is on one side."""
    pairs = pairs_of(*"a" * 9, *"b" * 9, *"c" * 9, *[None] * 13)
    learning, held_out = split_pairs(pairs, 0)
    assert len(held_out) == 4
    assert len(learning) + len(held_out) == 40
    assert groups_in(held_out) == {None}


def test_the_manifest_names_groups(tmp_path):
    """The column `group` is read; an empty cell is no group."""
    (tmp_path / "p.csv").write_text("frame,golden,group\na.png,g.png,board 7\nb.png,g.png,\n", encoding="utf-8")
    assert [pair.group for pair in read_pairs(tmp_path / "p.csv")] == ["board 7", None]
