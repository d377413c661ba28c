"""What a region shows: votes of its places."""

from __future__ import annotations

import numpy as np
import pytest

from inspection.decision import find_regions
from inspection.learned.architecture import Architecture
from inspection.learned.design import TrainedTwin, Twin, TwinDesign
from inspection.learned.product import LearnedComparison
from inspection.naming import TypeMap, named, voted


def test_votes_are_weighted_and_sum_to_one():
    """Two places, the second three times as far: 0.25 * 1 + 0.75 * 0.2."""
    shares = voted(np.array([[1.0, 0.2], [0.0, 0.8]], np.float32), np.array([1.0, 3.0], np.float32))
    assert shares == pytest.approx((0.4, 0.6))
    assert named(shares, ("open", "bite"))[0] == ("bite", pytest.approx(0.6))
    assert named((), ("open", "bite")) == ()


def test_each_region_is_named_by_its_own_places():
    """Scratches left, dents right, on a map a quarter as fine as the picture."""
    likely = np.zeros((2, 16, 16), np.float32)
    likely[0, :, :8], likely[1, :, 8:] = 1, 1
    distances = np.zeros((64, 64), np.float32)
    distances[8:16, 8:16], distances[40:52, 44:60] = 5, 9
    types = TypeMap(names=("scratch", "dent"), likely=likely)
    regions = find_regions(distances, 3.0, np.eye(3), (64, 64), types=types)
    assert [(region.type, region.x) for region in regions] == [("dent", 44), ("scratch", 8)]
    assert regions[0].types == (("dent", 1.0), ("scratch", 0.0))


def test_without_types_regions_have_no_name():
    """Nothing was learned, nothing is told."""
    distances = np.zeros((64, 64), np.float32)
    distances[8:16, 8:16] = 5
    region = find_regions(distances, 3.0, np.eye(3), (64, 64))[0]
    assert region.type is None
    assert region.types == ()


@pytest.mark.parametrize("names", [(), ("dent",), ("dent", "spot")])
def test_a_product_network_names_what_it_learned(names):
    """Two types are told apart at every fourth pixel; one alone, or none, gives no names."""
    design = TwinDesign(architecture=Architecture.TWO_CHANNEL, types=names)
    twin = Twin(design).eval().requires_grad_(requires_grad=False)
    golden = np.full((64, 64, 3), 120, np.uint8)
    comparison = LearnedComparison(
        TrainedTwin(twin=twin, side=64, threshold=0.5, trained_on="none"), None, [golden], cache=None
    )
    found = comparison.compare(golden, np.ones((8, 8), np.float32))
    assert found.distances.shape == (16, 16)
    if len(names) < 2:
        assert found.types is None
    else:
        assert found.types.names == names
        assert found.types.likely.sum(axis=0) == pytest.approx(np.ones((16, 16)), abs=1e-5)
