"""Torch modules as ONNX graphs, and ONNX Runtime's sessions on the CPU that run them."""

from __future__ import annotations

import warnings
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import onnxruntime
    from torch import nn

GRAPH_VERSION = 2
"""To be raised when the graph of the same network is written in another way: kept ones are then made anew."""
_OPSET = 17
_exporting = Lock()  # torch exports one at a time, and warnings are silenced for the whole process


def graph_path(folder: Path, name: str) -> Path:
    """Where the graph of that name is kept."""
    return folder / f"{name}-{GRAPH_VERSION}.cached"


def exported(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
) -> bytes:
    """Trace a module as ONNX; safe to call from several threads.

    Args:
        module: what to trace.
        example: its arguments.
        inputs: the arguments' names.
        outputs: the results' names.
        free: names of the axes that may be of any size, by argument or result; all others are as in `example`.
    """
    graph = BytesIO()
    with _exporting, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is the old exporter: the new one needs onnxscript
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined] # of sizes that are fixed
        warnings.filterwarnings("ignore", "Constant folding")  # of the constants of padding, which ONNX Runtime folds
        torch.onnx.export(
            module,
            example,
            graph,  # type: ignore[arg-type]  # the old exporter takes it
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in free.items()},
        )
    return graph.getvalue()


def open_session(model: bytes, *, threads: int) -> onnxruntime.InferenceSession:
    """Open an ONNX Runtime session on the CPU with `threads` threads."""
    import onnxruntime  # noqa: PLC0415 - slow to import, and not needed on CUDA

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
