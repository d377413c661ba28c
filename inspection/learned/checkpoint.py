"""Where an interrupted training goes on: weights, optimiser and history, as safetensors and JSON."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from inspection.durable import write_bytes, write_text

if TYPE_CHECKING:
    from pathlib import Path

_WEIGHTS, _BEST, _OPTIMISER = "weights/", "best/", "optimiser/"
_TENSORS: Final = "checkpoint.safetensors"
_ABOUT: Final = "checkpoint.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoint of one training: `key` tells plan, design and pairs, so that no other is taken up."""

    folder: Path
    key: str

    def keep(
        self,
        weights: dict[str, torch.Tensor],
        best: dict[str, torch.Tensor],
        optimiser: torch.optim.Optimizer,
        about: dict[str, Any],
    ) -> None:
        """Write it, whole or not at all. A full disk costs the checkpoint and not the training."""
        state = optimiser.state_dict()["state"]
        tensors = {
            **{_WEIGHTS + k: v for k, v in weights.items()},
            **{_BEST + k: v for k, v in best.items()},
            **{f"{_OPTIMISER}{i}/{k}": v for i, values in state.items() for k, v in values.items()},
        }
        data = save({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()})
        digest = hashlib.sha256(data).hexdigest()
        try:
            write_bytes(self.folder / f"{digest[:12]}-{_TENSORS}", data)
            write_text(self.folder / _ABOUT, json.dumps({"key": self.key, "sha256": digest, **about}))
            for old in self.folder.glob(f"*-{_TENSORS}"):
                if not old.name.startswith(digest[:12]):
                    old.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("no checkpoint: %s can't be written (%s)", self.folder, error)

    def load(
        self, optimiser: torch.optim.Optimizer
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, Any]] | None:
        """Weights, best weights and what was said of them; the optimiser is set. None where there is nothing whole."""
        try:
            about = json.loads((self.folder / _ABOUT).read_text(encoding="utf-8"))
            if about.get("key") != self.key:
                return None
            data = (self.folder / f"{about['sha256'][:12]}-{_TENSORS}").read_bytes()
            if hashlib.sha256(data).hexdigest() != about["sha256"]:
                return None
            tensors = load(data)
        except (OSError, ValueError, KeyError, SafetensorError):
            return None
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in _under(tensors, _OPTIMISER).items():
            number, key = name.split("/")
            state.setdefault(int(number), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        return _under(tensors, _WEIGHTS), _under(tensors, _BEST), about

    def clear(self) -> None:
        """Forget it: the training is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
