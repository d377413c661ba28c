"""The calibration flow: a challenger's threshold from labelled parts, on a worker; a person promotes it."""

from __future__ import annotations

from pathlib import Path

from prefect import State, flow
from prefect.states import Completed

from inspection.calibration import Policy
from pipeline.calibrating import calibrate_product
from pipeline.workspace import Workspace

BY = "the flow `calibration`"


@flow(name="calibration", flow_run_name="calibration {product}/{view}")
def calibrate_threshold(  # noqa: PLR0913 - a flow's parameters are its form in the Prefect UI
    product: str,
    labelled: str,
    *,
    view: str = "default",
    max_overkill: float | None = None,
    max_escape: float | None = None,
    cost_escape: float | None = None,
    cost_overkill: float | None = None,
    engine: str = "auto",
    home: str | None = None,
    references: str | None = None,
) -> State[str]:
    """Choose a threshold from labelled parts, as `goldentwin calibrate --challenger` does; what judges stays as it is.

    Args:
        product: the part number.
        labelled: the folder of a labelled set.
        view: the camera position.
        max_overkill: at most so many good parts flagged, in (0, 1).
        max_escape: at most so many defective parts missed, in (0, 1).
        cost_escape: what a missed defective part costs; goes with `cost_overkill`.
        cost_overkill: what a flagged good part costs.
        engine: `auto`, `onnx`, `torch`, `cuda` or `cuda-half`.
        home: the folder of goldentwin's state; by default `GOLDENTWIN_HOME`.
        references: the folder of reference images; by default the one that goes with `home`.

    Raises:
        CalibrationError: the wish contradicts itself, or the sample can't prove it; the message has the number needed.
        NotEnrolledError: the product and view have no goldens.
    """
    done = calibrate_product(
        Workspace.locate(Path(home) if home else None, Path(references) if references else None),
        product,
        view,
        labelled=Path(labelled),
        policy=Policy(
            max_overkill=max_overkill, max_escape=max_escape, cost_escape=cost_escape, cost_overkill=cost_overkill
        ),
        challenger=True,
        by=BY,
        engine=engine,
    )
    calibration = done.calibration
    message = f"{product}/{view}: threshold {calibration.threshold:.3f}, {calibration.statement}"
    return Completed(message=message, data=calibration.digest)
