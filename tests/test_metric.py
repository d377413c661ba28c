"""The metric: nearest places, harmless directions ignored, places chosen that cover all."""

from __future__ import annotations

import pytest
import torch

from inspection.metric import choose_spread, fit_projection, nearest


def drawn(seed, *shape):
    """Normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("queries", [1, 7, 1025])
def test_nearest_is_what_brute_force_finds(queries):
    """Distance and index of the nearest row, by every distance written out."""
    asked, bank = drawn(0, queries, 5), drawn(1, 60, 5)
    distances, index = nearest(asked, bank)
    every = (asked[:, None] - bank[None]).square().sum(dim=2)
    assert torch.equal(index, every.argmin(dim=1))
    torch.testing.assert_close(distances, every.min(dim=1).values, atol=1e-4, rtol=1e-4)


def test_a_row_is_nearest_to_itself():
    """Distances of the bank's own rows are zero up to rounding, and never negative."""
    bank = drawn(0, 50, 8) * 100
    distances, index = nearest(bank, bank)
    assert torch.equal(index, torch.arange(50))
    assert (distances >= 0).all()
    assert (distances < 1e-2 * bank.square().sum(dim=1)).all()


def test_nearest_does_not_hide_what_is_no_number():
    """A descriptor that is no number has a distance that is none, and not a small one."""
    asked = drawn(0, 3, 4)
    asked[1, 2] = torch.nan
    distances, _ = nearest(asked, drawn(1, 9, 4))
    assert distances.isnan().tolist() == [False, True, False]


@pytest.fixture(scope="module")
def learned():
    """A projection learned where light and the part itself move descriptors along the first axis only."""
    along_first = torch.tensor([1.0, 0, 0, 0, 0, 0])
    goldens = 10 * drawn(0, 1, 40, 6) + along_first * drawn(1, 3, 40, 1)
    changed = [golden + along_first * drawn(seed, 8, 40, 1) for seed, golden in enumerate(goldens)]
    return fit_projection(goldens, changed, 6)


def test_harmless_direction_is_ignored(learned):
    """A step along the axis that harmless changes move weighs far less than one along any other axis."""
    steps = torch.eye(6) @ learned
    lengths = steps.norm(dim=1)
    assert lengths[0] < 0.3 * lengths[1:].min()


def test_projection_keeps_the_dimensions_asked_for():
    """No more than asked for, and no more than there are."""
    goldens = drawn(0, 1, 40, 6)
    changed = [goldens + 0.1 * drawn(1, 4, 40, 6)]
    assert fit_projection(goldens, changed, 2).shape == (6, 2)
    assert fit_projection(goldens, changed, 60).shape == (6, 6)


def test_projection_is_finite_where_channels_say_nothing():
    """Channels that are the same everywhere (a dead filter, a blank golden) give no infinite weights."""
    goldens = drawn(0, 2, 40, 6)
    goldens[..., 3:] = 0.5
    changed = [golden + torch.tensor([0.1, 0.1, 0.1, 0, 0, 0]) * drawn(1, 4, 40, 6) for golden in goldens]
    assert fit_projection(goldens, changed, 6).isfinite().all()


def test_chosen_places_cover_all():
    """Three clusters are covered by three places; the greedy choice is within twice the best radius."""
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    rows = (centres[:, None] + 0.5 * drawn(0, 3, 50, 2).clamp(-2, 2)).flatten(0, 1)
    chosen = choose_spread(rows, 3)
    assert len({int(index) // 50 for index in chosen}) == 3
    distances, _ = nearest(rows, rows[chosen])
    assert distances.max().sqrt() <= 2 * 2**0.5


def test_more_places_cover_better():
    """Each further place can only bring the farthest one nearer."""
    rows = drawn(0, 300, 4)
    reach = [float(nearest(rows, rows[choose_spread(rows, count)])[0].max()) for count in (1, 5, 20, 100)]
    assert reach == sorted(reach, reverse=True)


def test_all_places_are_kept_where_they_fit():
    """Asked for more than there are, every row is chosen once."""
    assert choose_spread(drawn(0, 5, 3), 9).tolist() == [0, 1, 2, 3, 4]
