"""Options that several commands share, each with its one sentence of help."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.workspace import Workspace

EngineName = Literal["auto", "onnx", "torch", "cuda", "cuda-half"]
RegistrationName = Literal["none", "shift", "rigid", "homography", "auto"]

Product = Annotated[str, typer.Argument(metavar="PRODUCT", help="The part number.")]
MaybeProduct = Annotated[str | None, typer.Argument(metavar="PRODUCT", help="The part number.")]
Pairs = Annotated[
    Path | None,
    typer.Option("--pairs", metavar="CSV", help="Pair manifest: each frame with its own golden."),
]
View = Annotated[str, typer.Option("--view", metavar="VIEW", help="The camera position.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines and nothing else.")]
Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="The folder that holds all state; GOLDENTWIN_HOME, else .goldentwin, where it is not given.",
    ),
]
References = Annotated[
    Path | None,
    typer.Option(
        "--references",
        metavar="DIR",
        help="The folder of goldens and recipes; GOLDENTWIN_REFERENCES where it is not given.",
    ),
]
Engine = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="Where the network runs: auto takes cuda where there is a device, else onnx; cuda-half: mixed precision.",
    ),
]
Labelled = Annotated[
    Path,
    typer.Option(
        "--labelled",
        metavar="DIR",
        help="The labelled parts: good/* and a folder for each type of defect, masks in ground_truth/.",
    ),
]
MaybeLabelled = Annotated[
    Path | None,
    typer.Option(
        "--labelled",
        metavar="DIR",
        help="The labelled parts: good/* and a folder for each type of defect, masks in ground_truth/.",
    ),
]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who approves it; your login name by default.")]


def workspace_of(context: typer.Context, home: Path | None, references: Path | None) -> Workspace:
    """The workspace that the options name, those after the command before those in front of it."""
    before: tuple[Path | None, Path | None] = context.obj or (None, None)
    return Workspace.locate(home or before[0], references or before[1])


def approver(by: str | None) -> str:
    """The name given, else the login name, else `unknown` (a container may know no names)."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def percentage(text: str | float) -> float:
    """`1%` or `0.01` as a share; anything else is a usage error. An option's default comes as a number."""
    from inspection.calibration import parse_percentage  # noqa: PLC0415 - scipy takes long to import
    from inspection.errors import CalibrationError  # noqa: PLC0415 - goes with it

    try:
        return parse_percentage(str(text))
    except CalibrationError as error:
        raise typer.BadParameter(str(error)) from error
