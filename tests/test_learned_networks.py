"""The trained comparers: shapes, files, resuming, engines that agree, and defects found in their maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspection.errors import TwinError
from inspection.learned.architecture import Architecture, Distance
from inspection.learned.checkpoint import Checkpoints
from inspection.learned.design import TrainedTwin, Twin, TwinDesign
from inspection.learned.fitting import TrainingPlan, fit
from inspection.learned.levels import PairEngine
from inspection.learned.losses import UNKNOWN, Loss
from inspection.learned.pair_inspector import PairInspector, working_size
from inspection.learned.samples import PairNuisance, TrainingPair, draw_patches, on_grid
from inspection.learned.synthetic import draw_defect
from inspection.verdicts import Verdict

CPU = torch.device("cpu")
PLAN = TrainingPlan(steps=4, batch=2, patch=64, epoch=2)


def plate(seed, *, spot=False):
    """A noisy grey plate of 96 x 96 with two dark bars, and where asked a bright spot of 16 x 16."""
    rng = np.random.default_rng(seed)
    image = np.clip(rng.normal(120, 4, (96, 96, 3)), 0, 255)
    image[20:26], image[:, 60:66] = 40, 60
    if spot:
        image[40:56, 24:40] = 230
    return image.astype(np.uint8)


class Plates:
    """Pairs of plates, every second with the spot."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        """How many."""
        return self._count

    def pair(self, index, rng):
        """One of them."""
        del rng
        target = np.zeros((96, 96), np.uint8)
        spot = index % 2 == 1
        if spot:
            target[40:56, 24:40] = 1
        return TrainingPair(frame=plate(index, spot=spot), golden=plate(1000 + index), target=target)


def trained(design=None, **changes):
    """A network that nobody trained, as a trained one."""
    torch.manual_seed(0)
    twin = Twin(design or TwinDesign(types=("dent", "spot"))).eval().requires_grad_(requires_grad=False)
    return replace(TrainedTwin(twin=twin, side=96, threshold=0.5, trained_on="none"), **changes)


@pytest.mark.parametrize("architecture", list(Architecture))
@pytest.mark.parametrize("distance", list(Distance))
def test_shapes(architecture, distance):
    """Any size that is a multiple of 32: a logit, and one for each type, at every fourth pixel."""
    twin = Twin(TwinDesign(architecture=architecture, distance=distance, types=("a", "b", "c"))).eval()
    images = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    maps = twin(images, images)
    assert maps.logit.shape == (2, 16, 24)
    assert maps.types.shape == (2, 3, 16, 24)


@pytest.mark.parametrize("architecture", list(Architecture))
def test_engines_say_the_same(architecture, tmp_path):
    """ONNX Runtime and eager torch agree, and so does the graph that was kept."""
    model = trained(TwinDesign(architecture=architecture, types=("a", "b")))
    frame, golden = plate(1, spot=True), plate(2)
    maps = [
        engine.compare(frame, [engine.encode_golden(golden)])[0]
        for engine in (
            PairEngine(model, cache=tmp_path, engine="onnx"),
            PairEngine(model, cache=tmp_path, engine="onnx"),
            PairEngine(model, cache=None, engine="torch"),
        )
    ]
    assert torch.equal(maps[0].logit, maps[1].logit)
    assert torch.allclose(torch.sigmoid(maps[0].logit), torch.sigmoid(maps[2].logit), atol=1e-3)
    assert torch.allclose(maps[0].types, maps[2].types, atol=1e-2)


def test_file_and_back():
    """What is written is read back to the bit; the encoder that stays as delivered is not in it."""
    model = trained(fusion={"network": 1.0, "untrained": 2.0, "offset": -3.0})
    weights, about = model.to_files()
    again = TrainedTwin.from_files(weights, about)
    assert again.digest == model.digest
    assert (again.side, again.threshold, again.fusion) == (model.side, model.threshold, model.fusion)
    assert not any(name.startswith("encoder.") for name in again.twin.own_weights())


def test_damaged_files_are_refused():
    """Cut off, of another design, no JSON: a typed error each."""
    weights, about = trained().to_files()
    with pytest.raises(TwinError, match="train it anew"):
        TrainedTwin.from_files(weights[:-10], about)
    with pytest.raises(TwinError, match="missing or unknown"):
        TrainedTwin.from_files(weights, about.replace('"siamese"', '"pseudo_siamese"'))
    with pytest.raises(TwinError, match="can't be read"):
        TrainedTwin.from_files(weights, about[:50])


@pytest.mark.parametrize("loss", list(Loss))
def test_training_makes_the_loss_small(loss):
    """On pairs with an obvious spot every loss falls, and the network is left with its best epoch."""
    twin = Twin(TwinDesign(loss=loss, types=("spot",)))
    epochs = fit(twin, Plates(8), Plates(4), replace(PLAN, steps=24, epoch=8), device=CPU)
    assert epochs[-1].validation_loss < epochs[0].validation_loss
    assert not twin.training


def test_the_encoder_stays_as_it_is_unless_fine_tuned():
    """Frozen weights are the same after training; with fine-tuning they move."""
    for fine_tuned in (False, True):
        twin = Twin(TwinDesign(fine_tuned=fine_tuned))
        before = {name: value.clone() for name, value in twin.encoder.state_dict().items()}
        fit(twin, Plates(4), Plates(2), PLAN, device=CPU)
        after = twin.encoder.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before) is not fine_tuned


def test_interrupted_training_ends_as_an_uninterrupted_one(tmp_path):
    """Killed after an epoch and run again: the same weights to the last bit, and the same history."""
    whole, halves = Twin(TwinDesign()), Twin(TwinDesign())
    halves.load_state_dict(whole.state_dict())
    fresh = {name: value.clone() for name, value in whole.state_dict().items()}
    expected = fit(whole, Plates(4), Plates(2), PLAN, device=CPU)
    checkpoints = Checkpoints(folder=tmp_path, key="one")

    def kill(step, steps, epoch):
        del steps
        if step == 3:
            raise KeyboardInterrupt
        del epoch

    with pytest.raises(KeyboardInterrupt):
        fit(halves, Plates(4), Plates(2), PLAN, device=CPU, checkpoints=checkpoints, watcher=kill)
    halves.load_state_dict(fresh)
    again = fit(halves, Plates(4), Plates(2), PLAN, device=CPU, checkpoints=checkpoints)
    assert [epoch.step for epoch in again] == [epoch.step for epoch in expected]
    assert again[-1].validation_loss == pytest.approx(expected[-1].validation_loss, rel=1e-5)
    state = whole.state_dict()
    assert all(torch.allclose(value, state[name], atol=1e-6) for name, value in halves.state_dict().items())


def test_a_checkpoint_of_something_else_is_not_taken_up(tmp_path):
    """Another key, or a damaged file: training begins anew."""
    twin = Twin(TwinDesign())
    fit(twin, Plates(4), Plates(2), PLAN, device=CPU, checkpoints=Checkpoints(folder=tmp_path, key="one"))
    optimiser = torch.optim.AdamW(p for p in twin.parameters() if p.requires_grad)
    assert Checkpoints(folder=tmp_path, key="other").load(optimiser) is None
    assert Checkpoints(folder=tmp_path, key="one").load(optimiser) is not None
    next(tmp_path.glob("*.safetensors")).write_bytes(b"damaged")
    assert Checkpoints(folder=tmp_path, key="one").load(optimiser) is None


def test_nothing_to_train_on():
    """A typed error, not a division by nothing."""
    with pytest.raises(TwinError, match="too few pairs"):
        fit(Twin(TwinDesign()), Plates(3), Plates(0), PLAN, device=CPU)


def test_patches_are_the_same_for_the_same_seed():
    """And frame, golden and target stay on each other when they are turned."""
    nuisance = PairNuisance(shift=0, gain=0, tint=0, blur=0, noise=0, jpeg=95)
    one, other = (draw_patches(Plates(4), [1, 3], 64, np.random.default_rng(5), nuisance) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert one.frames.shape == (2, 64, 64, 3)
    assert one.targets.shape == (2, 16, 16)
    for frame, target in zip(one.frames, one.targets, strict=True):
        bright = frame[2::4, 2::4].mean(axis=2) > 200
        assert (bright == (target == 1)).mean() > 0.95


def test_targets_on_the_grid():
    """A place is a defect where half of it is, unknown where any of it is and there is no defect."""
    target = np.zeros((8, 8), np.uint8)
    target[:4, :2], target[:4, 4:5], target[4:, :1] = 2, 2, UNKNOWN
    assert on_grid(target).tolist() == [[2, 0], [UNKNOWN, 0]]


@pytest.mark.parametrize("seed", range(12))
def test_drawn_defects_are_where_the_mask_says(seed):
    """Outside the mask's surroundings nothing changes much, inside something does; the same seed draws the same."""
    image = plate(3)
    spoilt = draw_defect(image, np.random.default_rng(seed))
    again = draw_defect(image, np.random.default_rng(seed))
    assert np.array_equal(spoilt.image, again.image)
    assert spoilt.mask.sum() >= 16
    changed = np.abs(spoilt.image.astype(int) - image).max(axis=2)
    near = np.asarray(torch.nn.functional.max_pool2d(torch.from_numpy(spoilt.mask[None].astype(np.float32)), 15, 1, 7))
    assert changed[near[0] == 0].max(initial=0) < 30
    assert changed[spoilt.mask].max() >= 6


@pytest.mark.parametrize(
    ("shape", "size"), [((640, 640), (96, 96)), ((300, 600), (64, 96)), ((20, 2000), (64, 96)), ((97, 95), (96, 96))]
)
def test_working_sizes_are_multiples_of_32(shape, size):
    """The longer side is the one trained at."""
    assert working_size(shape, 96) == size


def test_pair_inspector_judges_and_refuses():
    """Bad frames are CANNOT_INSPECT; verdict, similarity, regions and threshold fit each other at any threshold."""
    golden = plate(1)
    for threshold in (0.0, 0.999):
        inspector = PairInspector(trained(threshold=threshold), engine="onnx")
        judged = inspector.judge(plate(2, spot=True), golden, "0" * 64)
        assert judged.verdict is (Verdict.FLAG if judged.similarity < threshold else Verdict.PASS)
        assert bool(judged.regions) is (judged.verdict is Verdict.FLAG)
        assert judged.distance == pytest.approx(3 * np.sqrt(1 / judged.similarity - 1), rel=1e-4)
        assert judged.provenance.calibration
    black = inspector.judge(np.zeros_like(golden), golden, "0" * 64)
    assert black.verdict is Verdict.CANNOT_INSPECT
    assert "dark" in black.reason
    assert inspector.judge(golden[:, :40], golden, "0" * 64).verdict is Verdict.CANNOT_INSPECT
