"""Frames per second beside plain eager torch, and beside anomalib's PatchCore: all in this one run, in turns.

Run on a machine with nothing else to do; without --anomalib its rows are left out:
python3.11 -m venv /tmp/anomalib && /tmp/anomalib/bin/pip install anomalib==2.7.0 openvino
python tests/benchmarks/rivals.py --anomalib /tmp/anomalib/bin/python
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from safetensors.torch import save_file
from speed import draw

from inspection.backbone import FittedBackbone
from inspection.calibration import provisional_calibration
from inspection.comparison import Comparer, fuse
from inspection.encoder import EMBEDDED, DescriptorNetwork, _embedded_weights, _timm_keys, load_encoder
from inspection.engine import OnnxEngine
from inspection.inspector import Inspector
from inspection.recipe import EncoderChoice, Recipe, RegistrationMethod
from pipeline.enrolment import enrol_goldens
from pipeline.inspecting import inspect_frames
from pipeline.opening import keep_calibration, open_inspector
from pipeline.reading import list_frames
from pipeline.workspace import Workspace, cores

GOLDENS, FRAMES, ROUNDS = 16, 96, 7


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anomalib", type=Path, help="the Python that anomalib is installed for")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        draw(home / "goldens", GOLDENS)
        for file in draw(home / "drawn", GOLDENS + FRAMES)[GOLDENS:]:
            (home / "frames").mkdir(exist_ok=True)
            file.rename(home / "frames" / file.name)
        inspectors = {method: inspector(home, method) for method in (RegistrationMethod.NONE, RegistrationMethod.AUTO)}
        print(f"{cores()} cores, torch {torch.__version__}, 256x256, {GOLDENS} goldens\n")
        encoder_and_comparison(home, inspectors[RegistrationMethod.NONE])
        whole_path(home, inspectors, given.anomalib)


def inspector(home: Path, method: RegistrationMethod) -> Inspector:
    """Enrolled and provisionally calibrated, as after `goldentwin enrol`."""
    workspace = Workspace(home=home / "home", references=home / "refs")
    files, product = sorted((home / "goldens").iterdir()), f"board-{method.value}"
    enrol_goldens(workspace.references, product=product, files=files, recipe=Recipe(registration=method), added_by="us")
    opened = open_inspector(workspace, product, engine="onnx")
    keep_calibration(
        workspace, product, "default", provisional_calibration(opened.golden_similarities, binding=opened.binding)
    )
    return open_inspector(workspace, product, engine="onnx")


def turns(ways: dict[str, Callable[[], object]], frames: int) -> dict[str, float]:
    """Frames per second of each way: the median of rounds in which each has its turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
    return {name: frames / statistics.median(taken) for name, taken in seconds.items()}


def encoder_and_comparison(home: Path, judge: Inspector) -> None:
    """The same network, goldens and arithmetic: ours, and written plainly in eager torch with all threads."""
    comparer = judge._comparer
    engine, networks = OnnxEngine(EncoderChoice(), cache=home / "cache"), {"cut": load_encoder(EncoderChoice())}
    networks["whole"] = whole_network()
    images = [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in sorted((home / "frames").iterdir())]
    images = [np.ascontiguousarray(cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA)) for image in images]
    pool = ThreadPoolExecutor(cores())

    def ours(image: np.ndarray) -> np.ndarray:
        return comparer.compare(engine.describe([image]))

    def in_torch(kind: str, size: int) -> list[np.ndarray]:
        torch.set_num_threads(cores())
        maps = [plain(networks[kind], comparer, images[at : at + size]) for at in range(0, len(images), size)]
        torch.set_num_threads(1)
        return maps

    maps = np.concatenate([ours(image) for image in images])
    far = max(np.abs(np.concatenate(in_torch(kind, 8)) - maps).max() for kind in networks)
    found = turns(
        {
            **{
                f"eager torch, {network}, batch {size}": lambda kind=kind, size=size: in_torch(kind, size)
                for kind, network in (("whole", "timm's network"), ("cut", "our cut network"))
                for size in (1, 8)
            },
            "ours, one frame at a time": lambda: [ours(image) for image in images],
            "ours, a frame a core": lambda: list(pool.map(ours, images)),
        },
        len(images),
    )
    print(f"Maps differ by {far:.1e} nuisance units at most.\n")
    over = [name for name in found if name.startswith("eager")]
    print("| encoder + comparison | frames/s | over " + " | over ".join(over) + " |")
    print("|---|---|" + "---|" * len(over))
    for name, rate in found.items():
        print(f"| {name} | {rate:.1f} | " + " | ".join(f"{rate / found[other]:.2f}" for other in over) + " |")


def whole_weights() -> dict[str, torch.Tensor]:
    """The embedded weights under timm's names, with the stages behind the last level."""
    model = timm.create_model(EMBEDDED, pretrained=False)
    return _timm_keys(_embedded_weights(), model)


def whole_network() -> DescriptorNetwork:
    """Our descriptors on timm's `features_only` as it comes, which computes the stages behind the last level too."""
    backbone = timm.create_model(
        EMBEDDED, pretrained=False, features_only=True, out_indices=EncoderChoice().out_indices
    )
    backbone.load_state_dict(whole_weights(), strict=False)
    strides = tuple(map(int, backbone.feature_info.reduction()))
    config = timm.get_pretrained_cfg(EMBEDDED)
    return DescriptorNetwork(FittedBackbone(backbone, strides, any_size=True), mean=config.mean, std=config.std).eval()


@torch.inference_mode()
def plain(network: torch.nn.Module, comparer: Comparer, images: list[np.ndarray]) -> np.ndarray:
    """What the papers write: encode the batch, project, `cdist` to all rows, least, smooth, fuse."""
    maps = []
    for bank, part in zip(comparer.banks, network(torch.from_numpy(np.stack(images))), strict=True):
        least = torch.cdist(part @ bank.projection, bank.rows).amin(dim=2)
        side = int(least.shape[1] ** 0.5)
        padded = torch.nn.functional.pad(least.view(-1, 1, side, side), (1, 1, 1, 1), mode="replicate")
        maps.append(torch.nn.functional.avg_pool2d(padded, 3, 1).flatten(1) / bank.scale)
    return fuse(maps).numpy()


def whole_path(home: Path, inspectors: dict[RegistrationMethod, Inspector], python: Path | None) -> None:
    """From the file to the verdict, ours and PatchCore's; all have all cores."""
    files = list_frames([home / "frames"])
    ways: dict[str, Callable[[], object]] = {
        f"ours, registration {method.value}": lambda judge=judge: list(inspect_frames(judge, files))
        for method, judge in inspectors.items()
    }
    with tempfile.TemporaryDirectory() as work:
        rival = None
        if python is not None:
            rival = started(python, home, Path(work))
            ways |= {f"PatchCore, {way}": lambda way=way: asked(rival, way) for way in ("torch", "openvino")}
        found = turns(ways, len(files))
        if rival is not None:
            rival.stdin.close()
            rival.wait()
    ours = [name for name in found if name.startswith("ours")]
    print("\n| from file to verdict | frames/s | " + " | ".join(f"{name} over it" for name in ours) + " |")
    print("|---|---|" + "---|" * len(ours))
    for name, rate in found.items():
        print(f"| {name} | {rate:.1f} | " + " | ".join(f"{found[one] / rate:.2f}" for one in ours) + " |")


def started(python: Path, home: Path, work: Path) -> subprocess.Popen[str]:
    """PatchCore in its own Python, fitted on the same goldens with the same weights."""
    save_file({name: tensor.contiguous() for name, tensor in whole_weights().items()}, work / "weights.safetensors")
    command = [python, Path(__file__).resolve().with_name("patchcore.py"), "--weights", work / "weights.safetensors"]
    command += ["--goldens", home / "goldens", "--frames", home / "frames", "--work", work, "--threads", str(cores())]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    rival = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=work
    )
    while not (line := rival.stdout.readline()).startswith("ready"):
        assert line, "PatchCore did not start"
    print(f"\nPatchCore's bank: {line.split(maxsplit=1)[1].strip()}")
    return rival


def asked(rival: subprocess.Popen[str], way: str) -> float:
    """All frames once, there."""
    rival.stdin.write(f"{way}\n")
    rival.stdin.flush()
    return float(rival.stdout.readline())


if __name__ == "__main__":
    main()
