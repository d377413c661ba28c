"""The engines: the same descriptors wherever the encoder runs, and caches that can't spoil them."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
from drawn_night import draw_part
from safetensors.torch import save_file

from inspection import engine as engine_module
from inspection.cache import keep, kept
from inspection.cuda import HalfPrecision
from inspection.encoder import load_encoder
from inspection.engine import Descriptors, EngineChoice, OnnxEngine, TorchEngine, export_onnx, open_engine
from inspection.errors import EngineError
from inspection.graph import open_session
from inspection.recipe import EncoderChoice

IMAGES = [draw_part(seed, scratched=seed == 2) for seed in range(3)]  # (128, 128, 3) each


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where the export lies."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def onnx(cache):
    """ONNX Runtime with the embedded encoder."""
    return OnnxEngine(EncoderChoice(), cache=cache, side=128)


@pytest.fixture(scope="module")
def eager():
    """Eager torch with the embedded encoder."""
    return TorchEngine(EncoderChoice(), EngineChoice.TORCH, side=128)


def assert_close(one, other, atol=1e-4):
    """Both kinds of descriptors agree: intensities before their square root, which has no end of slope at zero."""
    for left, right in zip(one, other, strict=True):
        torch.testing.assert_close(left * left.abs(), right * right.abs(), atol=atol, rtol=1e-4)


def test_engines_agree(onnx, eager):
    """ONNX Runtime and eager torch describe alike, within 1e-4."""
    assert_close(onnx.describe(IMAGES), eager.describe(IMAGES))


@pytest.mark.parametrize("side", [64, 320])
def test_engines_agree_at_other_sizes(onnx, eager, side):
    """The export is not bound to the size that it was traced at."""
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert_close(onnx.describe([image]), eager.describe([image]))


def test_batch_does_not_change_descriptors(onnx):
    """Each image is described as if it were alone, to the bit."""
    together, alone = onnx.describe(IMAGES), [onnx.describe([image]) for image in IMAGES]
    for index, one in enumerate(alone):
        for left, right in zip(together.take(index), one, strict=True):
            np.testing.assert_array_equal(left, right)


def test_transformer_is_exported_for_its_size(tmp_path):
    """A backbone that can't change its size once traced is traced at the working size."""
    path = tmp_path / "vit.safetensors"
    save_file(timm.create_model("vit_tiny_patch16_224", pretrained=False).state_dict(), path)
    choice = EncoderChoice(name="vit_tiny_patch16_224", weights=str(path), out_indices=(1,))
    exported, eager = OnnxEngine(choice, cache=None, side=128), TorchEngine(choice, EngineChoice.TORCH, side=128)
    assert_close(exported.describe(IMAGES), eager.describe(IMAGES), atol=1e-3)


def test_export_says_nothing():
    """No warning of the exporter reaches the user."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        export_onnx(load_encoder(EncoderChoice()), side=64)
    assert [str(warning.message) for warning in told] == []


def test_tracing_decides_nothing():
    """The embedded network never looks at a size while it is traced, so the export holds for any."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.jit.trace(load_encoder(EncoderChoice()), torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    assert [str(w.message) for w in told if issubclass(w.category, torch.jit.TracerWarning)] == []


def test_export_is_kept(cache, onnx, monkeypatch):
    """A second engine reads the export of the first; the folder holds nothing unfinished."""
    monkeypatch.setattr(engine_module, "export_onnx", _never)
    again = OnnxEngine(EncoderChoice(), cache=cache, side=128)
    assert_close(again.describe(IMAGES[:1]), onnx.describe(IMAGES[:1]), atol=0)
    assert [path.name for path in cache.iterdir() if path.name.startswith(".")] == []


def cut_short(data):
    """Half of it."""
    return data[: len(data) // 2]


def altered(data):
    """The last bit turned."""
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("damage", [cut_short, altered])
def test_damaged_export_is_made_anew(cache, onnx, tmp_path, damage):
    """An export cut short or altered is not run: it is written again, and describes as before."""
    (whole,) = cache.iterdir()
    (tmp_path / whole.name).write_bytes(damage(whole.read_bytes()))
    mended = OnnxEngine(EncoderChoice(), cache=tmp_path, side=128)
    assert_close(mended.describe(IMAGES[:1]), onnx.describe(IMAGES[:1]), atol=0)
    assert kept(tmp_path / whole.name) is not None


def test_no_cache_writes_nothing(tmp_path, monkeypatch):
    """Without a cache the export stays in memory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine_module, "export_onnx", lambda network, side: export_onnx(network, side=side))
    assert OnnxEngine(EncoderChoice(), cache=None, side=64).describe(IMAGES[:1]).direction.shape[1] == 256
    assert list(tmp_path.iterdir()) == []


def test_cache_appears_whole_or_not_at_all(tmp_path):
    """While many keep the same file, whoever looks sees nothing or all of it."""
    path, data = tmp_path / "folder" / "file", bytes(1_000_000)
    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(keep, path, data) for _ in range(40)]
        seen = {kept(path) for _ in range(40) if path.exists()}
        assert all(future.result() is None for future in writing)
    assert seen <= {data}
    assert kept(path) == data
    assert len(list(path.parent.iterdir())) == 1


def test_unwritable_cache_is_told_and_survived(tmp_path, caplog):
    """Where nothing can be kept, a warning names the file, and nothing is raised or left behind."""
    (tmp_path / "file").write_text("in the way")
    keep(tmp_path / "file" / "inside", b"data")
    assert "can't be kept" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_engines_have_names():
    """`auto` is ONNX Runtime without CUDA; an unknown name is an error that lists nothing at random."""
    assert open_engine(EncoderChoice(), engine="torch", cache=None).name == "torch"
    with pytest.raises(ValueError, match="tensorrt"):
        open_engine(EncoderChoice(), engine="tensorrt", cache=None)
    assert list(EngineChoice) == ["auto", "onnx", "torch", "cuda", "cuda-half"]


@pytest.mark.parametrize("name", ["cuda", "cuda-half"])
def test_no_device_is_an_error_that_says_so(monkeypatch, name):
    """Who asks for CUDA where there is none is not served by something else."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match=f"{name} needs a CUDA device and none .* `goldentwin doctor`"):
        open_engine(EncoderChoice(), engine=name, cache=None)


def test_half_precision_describes_nearly_alike(onnx):
    """The backbone works in float16 and the rest in float32: within 2 % of what float32 says."""
    network = load_encoder(EncoderChoice(), side=128)
    network.backbone = HalfPrecision(network.backbone)
    with torch.inference_mode():
        half = Descriptors(*network(torch.from_numpy(np.stack(IMAGES))))
    assert {part.dtype for part in half} == {torch.float32}
    assert {weight.dtype for weight in network.backbone.parameters()} == {torch.float16}
    for one, other in zip(half, onnx.describe(IMAGES), strict=True):
        assert float((one - other).norm() / other.norm()) < 0.02


@pytest.mark.gpu
def test_cuda_agrees(onnx):
    """CUDA describes as ONNX Runtime does: float32 without TF32."""
    assert_close(open_engine(EncoderChoice(), engine="cuda", cache=None).describe(IMAGES).cpu(), onnx.describe(IMAGES))


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["cuda", "cuda-half"])
def test_threads_on_cuda_do_not_disturb_each_other(name):
    """Each on a stream of its own, many at once: every one reads what it reads alone, to 1e-3."""
    engine = open_engine(EncoderChoice(), engine=name, cache=None, side=128)

    def describe(image):
        with engine.own_stream():
            return engine.describe([image]).cpu()

    alone = [describe(image) for image in IMAGES]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(describe, IMAGES * 20))
    for index, found in enumerate(together):
        assert_close(found, alone[index % len(IMAGES)], 1e-3)


def _never(*_args, **_options):
    message = "the export was made again"
    raise AssertionError(message)


def test_exports_take_turns():
    """Several threads may export at once, though torch can do one at a time only."""
    network = load_encoder(EncoderChoice())
    with ThreadPoolExecutor(3) as pool:
        graphs = list(pool.map(lambda side: export_onnx(network, side=side), (64, 64, 96)))
    assert graphs[0] == graphs[1]
    assert all(open_session(graph, threads=1) for graph in graphs)
