"""The judged model as MLflow serves it (models from code): a batch of images in, a verdict for each out.

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

from pipeline.bundle import read_bundle
from pipeline.frames import FrameVerdict
from pipeline.reading import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inspection.inspector import Inspector


class JudgedModel(PythonModel):
    """Encoder, goldens, recipe and calibration in one. `engine` in the model config chooses where it runs."""

    inspector: Inspector
    _skip_type_hint_validation = True  # MLflow would warn of missing hints; the model's signature holds callers to it

    def load_context(self, context: PythonModelContext) -> None:
        """Open the bundle among the model's artifacts, every file held to its hash.

        The encoder's export and the goldens' features are made anew in a folder that nobody else writes to.
        """
        engine = (context.model_config or {}).get("engine", "auto")
        bundle = read_bundle(Path(context.artifacts["bundle"]))
        with TemporaryDirectory(prefix="goldentwin-") as cache:
            self.inspector = bundle.open(cache=Path(cache), engine=engine)

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow's signature
        model_input: NDArray[np.uint8],
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow's signature
    ) -> list[dict[str, Any]]:
        """Judge a batch of frames.

        Args:
            context: not needed any more.
            model_input: RGB uint8 (N, H, W, 3).
            params: none are known.

        Returns:
            One object per frame, with the keys of `goldentwin inspect --json`; `frame` is its number in the batch.
        """
        images = list(np.asarray(model_input, dtype=np.uint8))  # N x (H, W, 3)
        judgements = self.inspector.judge(images)
        reference_set = self.inspector.reference_set
        return [
            FrameVerdict(
                frame=_frame(str(number), image),
                judgement=judgement,
                product=reference_set.product,
                view=reference_set.view,
            ).to_dict()
            for number, (image, judgement) in enumerate(zip(images, judgements, strict=True))
        ]


def _frame(name: str, image: NDArray[np.uint8]) -> Frame:
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return Frame(frame=name, part_id=name, sha256=digest, captured_at="", image=None, problem=None)


set_model(JudgedModel())
