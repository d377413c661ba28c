"""The judged model as MLflow's registry has it, loaded as a pyfunc: does it say the same as the library?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inspection.errors import TrackingError
from pipeline.tracking.connection import connected
from pipeline.tracking.models import registered_name, version_with

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel
    from numpy.typing import NDArray

    from pipeline.bundle import Bundle
    from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class LoggedModel:
    """A registered version, loaded."""

    version: str
    model: PyFuncModel

    def judge(self, image: NDArray[np.uint8]) -> dict[str, Any]:
        """What it says of one frame, RGB uint8 (H, W, 3); where it fails, the error is its verdict."""
        try:
            found: Any = self.model.predict(image[None])
            return dict(found[0])
        except Exception as error:  # noqa: BLE001 - whatever a served model raises, it is no verdict
            return {"verdict": f"{type(error).__name__}: {error}"[:200], "similarity": None}


def load_logged(workspace: Workspace, bundle: Bundle, *, engine: str) -> LoggedModel:
    """Load the version that was registered from `bundle`.

    Raises:
        TrackingError: MLflow does not answer, has no such version, or the version can't be loaded.
    """
    product, view = bundle.reference_set.product, bundle.reference_set.view
    with connected(workspace) as client:
        import mlflow.pyfunc  # noqa: PLC0415 - MLflow is imported only once it is needed

        found = version_with(client, registered_name(product, view), bundle.digest)
        if found is None:
            message = (
                f"the challenger {bundle.digest} of {product}/{view} is not registered in MLflow yet; run "
                "`goldentwin deliver` to see why, or `goldentwin calibrate --challenger` again"
            )
            raise TrackingError(message)
        try:
            model = mlflow.pyfunc.load_model(f"models:/{found.name}/{found.version}", model_config={"engine": engine})
        except Exception as error:
            message = f"version {found.version} of {found.name} can't be loaded from MLflow: {error}"
            raise TrackingError(message) from error
    return LoggedModel(version=str(found.version), model=model)
