"""A pair network as MLflow serves it (models from code): frames and their goldens in, a verdict for each pair out.

MLflow copies this script into the model and runs it to load the model; the work is done by the installed goldentwin.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from pipeline.frames import FrameVerdict
from pipeline.pair_bundle import read_pair_bundle
from pipeline.reading import Frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from inspection.learned.pair_inspector import PairInspector
    from pipeline.pair_bundle import PairBundle


class PairModel(PythonModel):
    """A trained network with its threshold. `engine` in the model config chooses where it runs."""

    bundle: PairBundle
    inspector: PairInspector
    _skip_type_hint_validation = True  # MLflow would warn of missing hints; the model's signature holds callers to it

    def load_context(self, context: PythonModelContext) -> None:
        """Open the network among the model's artifacts, held to its digests, in a folder nobody else writes to."""
        engine = (context.model_config or {}).get("engine", "auto")
        self.bundle = read_pair_bundle(Path(context.artifacts["bundle"]))
        with TemporaryDirectory(prefix="goldentwin-") as cache:
            self.inspector = self.bundle.open(cache=Path(cache), engine=engine)

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow's signature
        model_input: Mapping[str, NDArray[np.uint8]],
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow's signature
    ) -> list[dict[str, Any]]:
        """Judge a batch of pairs.

        Args:
            context: not needed any more.
            model_input: `frame` and `golden`, RGB uint8 (N, H, W, 3) each; their H and W may differ.
            params: none are known.

        Returns:
            One object per pair, with the keys of `goldentwin inspect --json`; `frame` is its number in the batch,
            `reference_set` the hash of the golden's pixels.
        """
        frames, goldens = (list(np.asarray(model_input[name], dtype=np.uint8)) for name in ("frame", "golden"))
        return [
            FrameVerdict(
                frame=_frame(str(number), frame),
                judgement=self.inspector.judge(frame, golden, hashlib.sha256(golden.tobytes()).hexdigest()),
                product=self.bundle.product,
                view=self.bundle.view,
            ).to_dict()
            for number, (frame, golden) in enumerate(zip(frames, goldens, strict=True))
        ]


def _frame(name: str, image: NDArray[np.uint8]) -> Frame:
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return Frame(frame=name, part_id=name, sha256=digest, captured_at="", image=None, problem=None)


set_model(PairModel())
