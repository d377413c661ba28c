"""Training: patches of pairs in, a network that tells defects from nuisance out; survives being killed."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch

from inspection.errors import TwinError
from inspection.learned.architecture import PairMaps
from inspection.learned.levels import LevelEngine, OnnxLevels, TorchLevels
from inspection.learned.losses import UNKNOWN, pair_loss
from inspection.learned.samples import PairNuisance, Patches, draw_patches

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from inspection.learned.checkpoint import Checkpoints
    from inspection.learned.design import Twin
    from inspection.learned.samples import PairSource

PAIR_STEPS, PRODUCT_STEPS = 3000, 1200
"""Steps that are enough for pairs, and for the goldens and good parts of one product."""
_WARM_UP: Final = 50  # steps
_DECAY: Final = 0.9
_WEIGHT_DECAY: Final = 1e-4
_VALIDATION_PATCHES: Final = 64
_LARGEST_GRADIENT: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long and how.

    An epoch is `epoch` steps, whatever the number of pairs; `patch` is the patches' side in pixels.
    Training ends after `steps`, or when `patience` epochs brought no better validation loss.
    """

    steps: int = PAIR_STEPS
    batch: int = 8
    patch: int = 256
    learning_rate: float = 2e-3
    epoch: int = 100
    patience: int = 12
    seed: int = 0
    nuisance: PairNuisance = field(default_factory=PairNuisance)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch measured: mean losses, and the share of the validation patches' places told right, by class."""

    number: int
    step: int
    loss: float
    validation_loss: float
    same_right: float
    defect_right: float


def fit(  # noqa: PLR0913 - what a training consists of, by name
    twin: Twin,
    training: PairSource,
    validation: PairSource,
    plan: TrainingPlan,
    *,
    device: torch.device,
    checkpoints: Checkpoints | None = None,
    watcher: Callable[[int, int, Epoch | None], None] | None = None,
) -> list[Epoch]:
    """Train `twin` in place and leave it with the weights of its best epoch.

    The same plan, pairs and seed draw the same patches in the same order, also after an interruption.

    Args:
        twin: the network, fresh.
        training: the pairs it learns from.
        validation: pairs it never learns from, for early stopping.
        plan: how long and how.
        device: where.
        checkpoints: kept after every epoch and taken up again; None keeps nothing.
        watcher: told step, steps and, after each epoch, what it measured.

    Returns:
        The epochs, with those before an interruption.

    Raises:
        TwinError: there is nothing to train on, or the loss is no number any more.
    """
    if not len(training) or not len(validation):
        message = "there are too few pairs to train on: at least two, one of them for validation"
        raise TwinError(message)
    trainer = _Trainer(twin.to(device), plan, device)
    held_out = trainer.validation_patches(validation)
    epochs, start = trainer.resume(checkpoints)
    losses: list[float] = []
    batches = trainer.batches(training, start)
    for step in range(start, plan.steps):
        if trainer.has_settled(epochs):
            break
        losses.append(trainer.step(next(batches), step))
        done = step + 1
        epoch = None
        if done % plan.epoch == 0 or done == plan.steps:
            epoch = trainer.measure(len(epochs) + 1, done, float(np.mean(losses)), held_out)
            losses = []
            epochs.append(epoch)
            trainer.remember(epochs, checkpoints)
        if watcher is not None:
            watcher(done, plan.steps, epoch)
    batches.close()
    trainer.restore_best()
    return epochs


class _Encoded(NamedTuple):
    """A batch with the levels of its frames and goldens; None where they are still to come."""

    patches: Patches
    frames: list[torch.Tensor] | None
    goldens: list[torch.Tensor] | None


class _Trainer:
    """The network under training, with optimiser and best weights."""

    def __init__(self, twin: Twin, plan: TrainingPlan, device: torch.device) -> None:
        cores = max(1, len(os.sched_getaffinity(0)) // 2)  # half of them draws and encodes the next batch meanwhile
        torch.set_num_threads(cores)
        torch.manual_seed(plan.seed)
        self.twin, self.plan, self.device = twin, plan, device
        self.frames, self.goldens = _levels_of(twin, device, cores)
        trained = [parameter for parameter in twin.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=_WEIGHT_DECAY)
        self.best = _copied(twin.own_weights())

    def batches(self, training: PairSource, start: int) -> Generator[_Encoded]:
        """Batches from step `start` on, drawn and encoded one ahead in a thread of their own.

        An encoder that is trained changes with every step, so then they are encoded when they are used.
        """
        ahead = not self.twin.design.fine_tuned

        def draw(step: int) -> _Encoded:
            rng = np.random.default_rng([self.plan.seed, step])
            indices = rng.integers(len(training), size=self.plan.batch).tolist()
            patches = draw_patches(training, indices, self.plan.patch, rng, self.plan.nuisance)
            return self._encoded(patches) if ahead else _Encoded(patches, None, None)

        with ThreadPoolExecutor(1, thread_name_prefix="patches") as pool:
            coming = pool.submit(draw, start)
            for step in range(start, self.plan.steps):
                batch = coming.result()
                if step + 1 < self.plan.steps:
                    coming = pool.submit(draw, step + 1)
                yield batch if ahead else self._encoded(batch.patches)

    def step(self, batch: _Encoded, step: int) -> float:
        """One step of the optimiser; its loss."""
        plan = self.plan
        for group in self.optimiser.param_groups:
            group["lr"] = plan.learning_rate * min(1.0, (step + 1) / _WARM_UP) * (1 - step / plan.steps) ** _DECAY
        self.twin.train()
        loss = pair_loss(*self._maps(batch), self.twin.design.loss)
        value = float(loss.detach())
        if not math.isfinite(value):
            message = f"the loss became {value} at step {step}; train with a smaller learning rate or another loss"
            raise TwinError(message)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.twin.parameters(), _LARGEST_GRADIENT)
        self.optimiser.step()
        return value

    def validation_patches(self, validation: PairSource) -> list[Patches]:
        """The same patches every time."""
        rng = np.random.default_rng([self.plan.seed, 0, 1])
        count = max(1, _VALIDATION_PATCHES // self.plan.batch)
        picks = np.arange(count * self.plan.batch) % len(validation)
        return [
            draw_patches(validation, part.tolist(), self.plan.patch, rng, self.plan.nuisance)
            for part in np.split(picks, count)
        ]

    @torch.no_grad()
    def measure(self, number: int, step: int, loss: float, held_out: list[Patches]) -> Epoch:
        """Losses and shares on the validation patches."""
        self.twin.eval()
        losses, right = [], np.zeros((2, 2))
        for patches in held_out:
            maps, targets = self._maps(self._encoded(patches))
            losses.append(float(pair_loss(maps, targets, self.twin.design.loss)))
            defect = ((targets > 0) & (targets != UNKNOWN)).cpu().numpy()
            same = (targets == 0).cpu().numpy()
            flagged = (maps.logit > 0).cpu().numpy()
            right += [[(~flagged & same).sum(), same.sum()], [(flagged & defect).sum(), defect.sum()]]
        shares = right[:, 0] / np.maximum(right[:, 1], 1)
        return Epoch(
            number=number,
            step=step,
            loss=loss,
            validation_loss=float(np.mean(losses)),
            same_right=float(shares[0]),
            defect_right=float(shares[1]),
        )

    def has_settled(self, epochs: list[Epoch]) -> bool:
        """Whether the last epochs brought nothing better."""
        if len(epochs) <= self.plan.patience:
            return False
        losses = [epoch.validation_loss for epoch in epochs]
        return min(losses[-self.plan.patience :]) > min(losses[: -self.plan.patience])

    def remember(self, epochs: list[Epoch], checkpoints: Checkpoints | None) -> None:
        """Keep the weights if they are the best, and a checkpoint of everything."""
        if epochs[-1].validation_loss <= min(epoch.validation_loss for epoch in epochs):
            self.best = _copied(self.twin.own_weights())
        if checkpoints is not None:
            about = {"step": epochs[-1].step, "epochs": [asdict(epoch) for epoch in epochs]}
            checkpoints.keep(self.twin.own_weights(), self.best, self.optimiser, about)

    def resume(self, checkpoints: Checkpoints | None) -> tuple[list[Epoch], int]:
        """Take up what was kept; the epochs so far and the next step."""
        found = checkpoints.load(self.optimiser) if checkpoints is not None else None
        if found is None:
            return [], 0
        weights, self.best, about = found
        self.twin.load_state_dict(weights, strict=False)
        return _epochs(about), int(about["step"])

    def restore_best(self) -> None:
        """Leave the network as it was best."""
        self.twin.load_state_dict(self.best, strict=False)
        self.twin.eval()
        torch.set_num_threads(1)  # as frames are judged

    def _encoded(self, patches: Patches) -> _Encoded:
        with self._mixed():
            return _Encoded(patches, self.frames.levels(patches.frames), self.goldens.levels(patches.goldens))

    def _maps(self, batch: _Encoded) -> tuple[PairMaps, torch.Tensor]:
        with self._mixed():
            maps = self.twin.compare(batch.frames or [], batch.goldens or [])
        targets = torch.from_numpy(batch.patches.targets).to(self.device)
        return PairMaps(maps.logit.float(), maps.types.float()), targets

    def _mixed(self) -> torch.autocast:
        """Mixed precision where there is a GPU."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda")


def _levels_of(twin: Twin, device: torch.device, cores: int) -> tuple[LevelEngine, LevelEngine]:
    """What gives the levels of frames and of goldens: in ONNX Runtime where the encoder stays as it is, on a CPU."""
    trained = twin.design.fine_tuned
    if twin.encoder.backbone is not None and device.type == "cpu" and not trained:
        frozen = OnnxLevels(twin.encoder, threads=cores)
        return frozen, frozen
    frames = TorchLevels(twin.encoder, device=device, trained=trained)
    other = twin.golden_encoder
    return frames, frames if other is None else TorchLevels(other, device=device, trained=trained)


def _copied(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}


def _epochs(about: dict[str, Any]) -> list[Epoch]:
    return [Epoch(**epoch) for epoch in about["epochs"]]
