"""Where trained networks are kept: `<home>/twins/<product>/<view>/<digest>/`, and which one is current."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from inspection.durable import write_text
from inspection.errors import TwinError
from inspection.learned.design import TrainedTwin
from inspection.reference_set import view_folder
from pipeline.pair_bundle import ABOUT, WEIGHTS, write_pair_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.workspace import Workspace

_CURRENT: Final = "current.json"


def twin_folder(workspace: Workspace, product: str, view: str) -> Path:
    """The folder of a product's and view's trained networks.

    Raises:
        ReferenceSetError: a name that can't be a folder's.
    """
    return view_folder(workspace.twins, product, view)


def keep_twin(workspace: Workspace, product: str, view: str, trained: TrainedTwin) -> Path:
    """Write a trained network and make it the current one; older ones stay beside it. Gives its folder."""
    folder = twin_folder(workspace, product, view) / trained.digest
    write_pair_bundle(folder, product, view, trained)
    write_text(folder.parent / _CURRENT, json.dumps({"twin": trained.digest}) + "\n")
    return folder


def read_twin(workspace: Workspace, product: str, view: str) -> TrainedTwin | None:
    """The current trained network; None where none was trained.

    Raises:
        TwinError: it is damaged.
    """
    folder = twin_folder(workspace, product, view)
    try:
        digest = str(json.loads((folder / _CURRENT).read_text(encoding="utf-8"))["twin"])
        weights = (folder / digest / WEIGHTS).read_bytes()
        about = (folder / digest / ABOUT).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{folder / _CURRENT} can't be read ({error}); train anew with `goldentwin train {product}`"
        raise TwinError(message) from error
    trained = TrainedTwin.from_files(weights, about)
    if trained.digest != digest:
        message = f"the trained network {folder / digest} was altered; train anew with `goldentwin train {product}`"
        raise TwinError(message)
    return trained
