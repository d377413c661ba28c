"""Any backbone of timm's with a weights file: on the grid, the same in every engine, or a clear error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from drawn_line import PLATES, enrol
from drawn_night import PRODUCT, draw_part
from safetensors.torch import save_file
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from inspection.backbone import with_fixed_padding
from inspection.encoder import load_encoder
from inspection.engine import EngineChoice, OnnxEngine, TorchEngine
from inspection.errors import TwinError, WeightsError
from inspection.inspector import Inspector
from inspection.learned.design import Twin, TwinDesign
from inspection.recipe import EncoderChoice, Recipe
from inspection.reference_set import load_reference_set
from pipeline.workspace import Workspace

SIDE = 128
PATCHES_OF_14 = "eva02_tiny_patch14_224"
CHANNELS_LAST = "mambaout_femto"
ONE_SIZE_ONLY = "levit_128s"
UNEVEN = "inception_v3"


def random_weights(name, folder, **options):
    """The backbone with random weights, as a file."""
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    state = timm.create_model(name, pretrained=False, **options).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def choice_of(name, folder, levels=(1, 2)):
    """The choice of that backbone with random weights."""
    return EncoderChoice(name=name, weights=str(random_weights(name, folder)), out_indices=levels)


@pytest.mark.parametrize(
    "name",
    [
        PATCHES_OF_14,
        CHANNELS_LAST,
        ONE_SIZE_ONLY,
        "convnext_atto",
        "vit_tiny_patch16_dinov3_qkvb",
        pytest.param(UNEVEN, marks=pytest.mark.slow),
        pytest.param("vit_small_patch14_dinov2", marks=pytest.mark.slow),
        pytest.param("swin_tiny_patch4_window7_224", marks=pytest.mark.slow),
        pytest.param("wide_resnet50_2", marks=pytest.mark.slow),
    ],
)
def test_engines_agree_on_any_backbone(tmp_path, name):
    """Whatever its patch, its order of axes and its own size: descriptors of every place, the same in both engines."""
    choice = choice_of(name, tmp_path)
    images = [draw_part(seed, scratched=seed == 1) for seed in range(2)]
    eager = TorchEngine(choice, EngineChoice.TORCH, side=SIDE).describe(images)
    exported = OnnxEngine(choice, cache=None, side=SIDE).describe(images)
    assert eager.direction.shape[:2] == (2, (SIDE // 8) ** 2)
    for one, other in zip(eager, exported, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one * one.abs(), other * other.abs(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", [PATCHES_OF_14, CHANNELS_LAST])
def test_places_lie_where_they_are_in_the_image(tmp_path, name):
    """What changes in the upper right corner changes the descriptors there most."""
    network = load_encoder(choice_of(name, tmp_path, levels=(0,)), side=SIDE)
    black, spot = (torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8) for _ in range(2))
    spot[:, 4:12, 116:124] = 255
    with torch.inference_mode():
        change = (network(spot)[1] - network(black)[1]).norm(dim=-1).view(16, 16)
    row, column = divmod(int(change.argmax()), 16)
    assert row <= 2
    assert column >= 13


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2", "swin_tiny_patch4_window7_224"])
def test_verdicts_are_the_same_in_every_engine(tmp_path, name):
    """A recipe with name, weights beside it, and levels is all: similarities of the engines agree within 1e-3."""
    references = tmp_path / "references"
    recipe = replace(PLATES, encoder=EncoderChoice(name=name, weights=f"{name}.safetensors", out_indices=(1, 2)))
    enrol(Workspace(home=tmp_path, references=references), PRODUCT, [draw_part(0), draw_part(1)], recipe)
    found = load_reference_set(references, PRODUCT)
    random_weights(name, found.folder)
    frames = [draw_part(seed, scratched=seed % 2 == 1) for seed in range(2, 6)]
    told = [[one.similarity for one in Inspector(found, engine=engine).judge(frames)] for engine in ("onnx", "torch")]
    np.testing.assert_allclose(*told, atol=1e-3)


def test_weights_lie_beside_the_recipe(tmp_path):
    """A weights file without a folder is looked for beside the recipe, wherever the program runs."""
    references = tmp_path / "references"
    recipe = replace(PLATES, encoder=EncoderChoice(name="resnet18", weights="mine.safetensors"))
    enrol(Workspace(home=tmp_path, references=references), PRODUCT, [draw_part(0)], recipe)
    found = load_reference_set(references, PRODUCT)
    assert Path(found.recipe.encoder.weights) == found.folder / "mine.safetensors"
    assert Recipe.load(found.folder / "recipe.json") == recipe


def test_classifier_does_not_matter(tmp_path):
    """A network that was trained to tell other classes, or with none at all, gives the same descriptors."""
    image = torch.from_numpy(draw_part(0))[None]
    told = []
    for classes in (7, 0):
        whole = timm.create_model("resnet18", pretrained=False, num_classes=classes)
        whole.load_state_dict({k: torch.full_like(v, 0.01) for k, v in whole.state_dict().items()})
        path = tmp_path / f"{classes}.safetensors"
        save_file(whole.state_dict(), path)
        told.append(load_encoder(EncoderChoice(name="resnet18", weights=str(path)))(image)[0])
    assert torch.equal(*told)


def test_weights_as_published_are_renamed(tmp_path):
    """DINOv2's own files, which timm can rename, are taken as they are."""
    name = "vit_small_patch14_dinov2"
    state = timm.create_model(name, pretrained=False).state_dict()
    published = {key: value.clone() for key, value in state.items()} | {"mask_token": torch.zeros(1, 384)}
    save_file(published, tmp_path / "dinov2_vits14_pretrain.safetensors")
    choice = EncoderChoice(name=name, weights=str(tmp_path / "dinov2_vits14_pretrain.safetensors"), out_indices=(3,))
    assert (
        load_encoder(choice, side=SIDE)
        .backbone.body.model.blocks[3]
        .mlp.fc1.weight.equal(state["blocks.3.mlp.fc1.weight"])
    )


def test_one_weight_too_few_is_refused(tmp_path):
    """No layer is ever left as it was made at random."""
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    del state["layer2.0.conv1.weight"]
    save_file(state, tmp_path / "torn.safetensors")
    with pytest.raises(WeightsError, match=r"layer2\.0\.conv1\.weight"):
        load_encoder(EncoderChoice(name="resnet18", weights=str(tmp_path / "torn.safetensors")))


@pytest.mark.parametrize(("name", "levels"), [("vit_tiny_patch16_224", (1, 2)), ("resnet18", (2, 3))])
def test_training_refuses_what_it_could_not_run(tmp_path, name, levels):
    """Training needs any size of image and strides from 2 or 4 on; else the error says what to do."""
    with pytest.raises(TwinError, match="train with the embedded encoder"):
        Twin(TwinDesign(encoder=choice_of(name, tmp_path, levels)))


def test_training_takes_another_convolutional_encoder(tmp_path):
    """ResNet-18 serves as well as the embedded encoder."""
    twin = Twin(TwinDesign(encoder=choice_of("resnet18", tmp_path, (0, 1, 2)))).eval()
    images = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)
    assert twin(images, images).logit.shape == (1, 16, 24)


@pytest.mark.parametrize("side", [64, 96, 320])
def test_fixed_padding_changes_no_bit(side):
    """The embedded encoder that pads by constants gives what the one that asks for sizes gives, at any size."""
    network = load_encoder(EncoderChoice())
    fixed = with_fixed_padding(network, torch.zeros(1, 128, 128, 3, dtype=torch.uint8))
    assert any(isinstance(module, Conv2dSame) for module in network.modules())
    assert not any(isinstance(module, Conv2dSame) for module in fixed.modules())
    images = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for one, other in zip(fixed(images), network(images), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


@pytest.mark.parametrize("kernel", [1, 3, 4, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_that_depends_on_the_size_stays(kernel, stride):
    """A convolution keeps asking for its size where not every working size is a multiple of its stride."""
    same = nn.Sequential(*(Conv2dSame(1, 1, kernel, stride=stride, dilation=1 + (kernel == 3)) for _ in range(6)))
    module = nn.Sequential(_ChannelsFirst(), same).eval()
    fixed = with_fixed_padding(module, torch.zeros(1, 128, 128, 1))
    replaced = sum(isinstance(layer, nn.Sequential) for layer in fixed[1])
    assert replaced == {1: 6, 2: 5, 3: 0}[stride]
    for side in (32, 96, 160):
        images = torch.rand(1, side, side, 1, generator=torch.Generator().manual_seed(side))
        torch.testing.assert_close(fixed(images), module(images), atol=0, rtol=0)


class _ChannelsFirst(nn.Module):
    def forward(self, images):
        return images.permute(0, 3, 1, 2)
