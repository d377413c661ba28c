"""anomalib's PatchCore as a rival of ours: started by rivals.py with the Python that anomalib is installed for.

It asks `torch` or `openvino` on standard input and answers with the seconds that all frames took, file to score.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from anomalib.deploy import OpenVINOInferencer
from anomalib.models import Patchcore
from safetensors.torch import load_file

LAYERS = ["blocks.2", "blocks.4"]
"""timm's levels 2 and 3 of EfficientNet-Lite0, strides 8 and 16."""
SIDE = 256


def main() -> None:
    """Fit on the goldens, export, then time one way a line that comes in."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("weights", "goldens", "frames", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = fitted(given.weights, sorted(given.goldens.iterdir()))
    file = model.to_openvino(given.work, input_size=(SIDE, SIDE), onnx_kwargs={"dynamic_shapes": None})
    inferencer = OpenVINOInferencer(file, device="CPU", config={"INFERENCE_NUM_THREADS": given.threads})
    frames = sorted(given.frames.iterdir())
    ways = {"torch": lambda frame: model(as_tensor(frame)), "openvino": lambda frame: inferencer.predict(read(frame))}
    print("ready", tuple(model.model.memory_bank.shape), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            way = ways[line.strip()]
            way(frames[0])
            started = time.perf_counter()
            for frame in frames:
                way(frame)
            print(time.perf_counter() - started, flush=True)


def read(file: Path) -> np.ndarray:
    """(SIDE, SIDE, 3) float32 RGB in [0, 1], made small as quickly as we do it."""
    image = cv2.resize(cv2.imread(str(file)), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float32) / 255


def as_tensor(file: Path) -> torch.Tensor:
    """The same as (1, 3, SIDE, SIDE)."""
    return torch.from_numpy(read(file)).permute(2, 0, 1)[None]


def fitted(weights: Path, goldens: list[Path]) -> Patchcore:
    """PatchCore with its usual settings, our backbone's weights in its extractor, its bank of the goldens."""
    model = Patchcore("tf_efficientnet_lite0", LAYERS, pre_trained=False, evaluator=False, visualizer=False)
    extractor = model.model.feature_extractor.feature_extractor
    missing = extractor.load_state_dict(load_file(weights), strict=False).missing_keys
    assert not missing, missing
    model.model.train()
    model.model.feature_extractor.eval()
    with torch.no_grad():
        for golden in goldens:
            model.model(model.pre_processor(as_tensor(golden)))
    model.model.subsample_embedding(model.coreset_sampling_ratio)
    return model.eval()


if __name__ == "__main__":
    main()
