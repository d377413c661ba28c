"""The comparison: learned from goldens alone, small on goldens, large where something was put on one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn_night import draw_part

from inspection import comparison, metric
from inspection.comparison import fit_comparer
from inspection.engine import Descriptors, OnnxEngine
from inspection.golden_model import (
    describe,
    golden_distances,
    load_golden_model,
    make_golden_model,
    model_path,
    save_golden_model,
    working_image,
)
from inspection.nuisance import draw_nuisances
from inspection.onnx_comparison import OnnxComparer, comparer_on
from inspection.recipe import EncoderChoice, RegistrationMethod
from inspection.registration import Registrar

SIDE = 128
GOLDENS = [draw_part(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def engine():
    """ONNX Runtime on the CPU."""
    return OnnxEngine(EncoderChoice(), cache=None, side=SIDE)


def made(engine, goldens):
    """The model of these goldens."""
    registrar = Registrar(goldens, RegistrationMethod.NONE)
    return make_golden_model(goldens, side=SIDE, engine=engine, registrar=registrar)


@pytest.fixture(scope="module")
def model(engine):
    """The model of three goldens."""
    return made(engine, GOLDENS)


@pytest.fixture(scope="module", params=[1, 3], ids=["one golden", "three goldens"])
def compared(request, engine, model):
    """Compares pictures with one golden, or with three."""
    comparer = made(engine, GOLDENS[:1]).comparer if request.param == 1 else model.comparer
    return lambda images: comparer.compare(describe(engine, images))


def test_goldens_are_like_themselves(compared):
    """A golden reads less than harmless changes do (1), an unseen good part not much more."""
    golden, good = compared([GOLDENS[0], draw_part(77)])
    assert golden.max() < 1
    assert good.max() < 2


def test_defect_is_where_it_was_put(compared):
    """A patch gives its place the largest distance, well above that of a good part."""
    for x, y in ((20, 20), (56, 64), (92, 36)):
        spoiled = draw_part(77)
        spoiled[y : y + 16, x : x + 16] = (230, 60, 30)
        (grid,) = compared([spoiled])
        row, column = divmod(int(grid.argmax()), SIDE // 8)
        assert abs(row * 8 + 4 - (y + 8)) <= 12
        assert abs(column * 8 + 4 - (x + 8)) <= 12
        assert grid.max() > 2 * compared([draw_part(77)]).max()


def test_comparing_is_the_same_in_any_company(compared):
    """Each picture's distances are those it has alone, to the bit."""
    images = [draw_part(seed, scratched=seed % 2 == 0) for seed in range(10, 14)]
    for together, image in zip(compared(images), images, strict=True):
        np.testing.assert_array_equal(together, compared([image])[0])


def test_fitting_is_deterministic(engine, model):
    """The same goldens give the same model."""
    again = made(engine, GOLDENS)
    np.testing.assert_array_equal(again.comparer.golden_maps, model.comparer.golden_maps)
    for one, other in zip(again.comparer.banks, model.comparer.banks, strict=True):
        assert torch.equal(one.rows, other.rows)


def test_provisional_sample_is_of_harmless_pictures(model):
    """What harmlessly changed goldens read: several figures a golden, finite, about 1 in nuisance units."""
    maps = model.comparer.golden_maps
    assert len(maps) >= len(GOLDENS)
    assert np.isfinite(maps).all()
    assert 0.3 < np.median(maps.max(axis=(1, 2))) < 3


def test_kept_model_is_the_model(model, engine, tmp_path):
    """Saved and loaded, it compares to the bit as before."""
    path = model_path(tmp_path, encoder="e", reference_set="s", recipe="r")
    save_golden_model(path, model)
    loaded = load_golden_model(path)
    described = describe(engine, [draw_part(5, scratched=True)])
    np.testing.assert_array_equal(loaded.comparer.compare(described), model.comparer.compare(described))
    np.testing.assert_array_equal(loaded.comparer.golden_maps, model.comparer.golden_maps)
    assert loaded.qualities == model.qualities


@pytest.mark.parametrize("at", [0, 10, 40, 500, -500, -30, -1])
def test_damaged_model_is_none(model, tmp_path, at):
    """One altered byte anywhere, and the file is not believed."""
    path = tmp_path / "model"
    save_golden_model(path, model)
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    assert load_golden_model(path) is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_unfinished_model_is_none(model, tmp_path, share):
    """A file cut short is not believed, nor is one that is not there."""
    path = tmp_path / "model"
    assert load_golden_model(path) is None
    save_golden_model(path, model)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert load_golden_model(path) is None


def test_models_of_other_grounds_lie_elsewhere(tmp_path):
    """Encoder, reference set and recipe each have a say in where a model lies."""
    grounds = [("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x"), ("b", "a", "c")]
    paths = [model_path(tmp_path, encoder=e, reference_set=s, recipe=r) for e, s, r in grounds]
    assert len(set(paths)) == len(grounds)


def made_up(goldens, copies, places=64, channels=8):
    """Descriptors that nobody encoded, and their changed copies."""
    draw = np.random.default_rng(0).normal
    base = draw(size=(1, places, channels))

    def kind(*shape):
        return torch.from_numpy((base + 0.2 * draw(size=(*shape, places, channels))).astype(np.float32))

    changed = [Descriptors(kind(copies), kind(copies)) for _ in range(goldens)]
    return Descriptors(kind(goldens), kind(goldens)), changed


def test_cost_does_not_grow_with_goldens(monkeypatch):
    """However many goldens there are, a frame is compared with no more places than one bank holds."""
    monkeypatch.setattr(comparison, "BANK_ROWS", 96)
    for count in (1, 4, 64):
        comparer = fit_comparer(*made_up(count, 2))
        assert all(len(bank.rows) <= 96 for bank in comparer.banks)
        assert len(comparer.golden_maps) >= count


def test_identical_goldens_give_finite_distances():
    """Goldens without any difference between them or their copies divide nothing by zero."""
    same = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 64, 8)).astype(np.float32)).repeat(2, 1, 1)
    two = Descriptors(same, same)
    comparer = fit_comparer(two, [two, two])
    assert np.isfinite(comparer.compare(two)).all()


def test_what_is_no_number_is_not_near():
    """A place without a number has a distance without one: the frame's verdict can't be PASS."""
    goldens, changed = made_up(2, 2)
    comparer = fit_comparer(goldens, changed)
    goldens.direction[0, 30, 3] = np.nan
    assert np.isnan(comparer.compare(goldens)[0].max())


def test_goldens_among_each_other(engine, model):
    """The odd one out is far from all others, nothing is far from itself."""
    odd = draw_part(9, scratched=True)
    distances = golden_distances([*GOLDENS, odd], engine, model.comparer)
    assert (np.diag(distances) == 0).all()
    assert distances[3, :3].min() > 1.5 * distances[:3, :3].max()


def test_working_size_keeps_what_fits():
    """A picture of the working size is handed on as it is; any other is brought to it, both ways."""
    assert working_image(GOLDENS[0], SIDE) is GOLDENS[0]
    for shape in ((300, 200), (64, 90), (500, 64)):
        image = np.full((*shape, 3), 77, np.uint8)
        working = working_image(image, SIDE)
        assert working.shape == (SIDE, SIDE, 3)
        assert (working == 77).all()


def test_nuisances_are_drawn_by_seed():
    """The same seed draws the same harmless copies, another one others; none is the golden itself."""
    one, same, other = (draw_nuisances(GOLDENS[0], count=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert all(copy.shape == GOLDENS[0].shape and copy.dtype == np.uint8 for copy in one)
    assert not any(np.array_equal(copy, GOLDENS[0]) for copy in one)


def test_onnx_runtime_compares_as_torch_does(engine, model):
    """A CPU's inspector compares as torch does: to the fifth digit, but where golden meets golden and digits cancel."""
    described = describe(engine, [*GOLDENS, draw_part(77), np.zeros_like(GOLDENS[0])])
    comparer = comparer_on(engine, model.comparer)
    assert isinstance(comparer, OnnxComparer)
    together = comparer.compare(described)
    in_torch = model.comparer.compare(described)
    np.testing.assert_allclose(together[len(GOLDENS) :], in_torch[len(GOLDENS) :], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(together, in_torch, atol=1e-3)
    for index, alone in enumerate(together):
        np.testing.assert_array_equal(comparer.compare(described.take(index))[0], alone)


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_no_number_stays_none_in_onnx_runtime(engine, model, part, value):
    """One value that is no number, or beyond all, makes the frame's distance none too: it can't pass."""
    parts = list(describe(engine, GOLDENS[:1]))
    parts[part] = parts[part].clone()
    parts[part][0, 100, 7] = value
    read = comparer_on(engine, model.comparer).compare(Descriptors(*parts))
    assert not np.isfinite(read.max())


def test_large_images_are_compared_in_portions(engine, monkeypatch):
    """Portions of the places give what all at once give, to the bit of rounding."""
    comparer = made(engine, GOLDENS[:1]).comparer
    described = describe(engine, [draw_part(5)])
    whole = comparer.compare(described)
    monkeypatch.setattr(metric, "_QUERIES_AT_ONCE", 100)
    for one in (comparer, comparer_on(engine, comparer)):
        np.testing.assert_allclose(one.compare(described), whole, atol=1e-4)
