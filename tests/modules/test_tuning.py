"""What can stand in place of the injectors: adapters, low-rank updates, nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tp_drseg.checkpoints.backbones import load_sam
from tp_drseg.errors import CheckpointError, ConfigError, MissingExtraError
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.adapter import Adapter, MultiScaleAdapter
from tp_drseg.modules.lora import add_lora

Make = Callable[..., Any]
Stir = Callable[[Any], Any]

CASES = pytest.mark.parametrize(
    ("kind", "tuning"),
    [
        ("tiny_vit", "injector"),
        ("tiny_vit", "adapter"),
        ("vit", "multi_scale_adapter"),
        ("tiny_vit", "lora"),
        ("vit", "lora"),
        ("vit", "none"),
    ],
)
# blocks that have attention in both small encoders, not next to each other in the smaller one
BLOCKS = {"tiny_vit": (2, 4), "vit": (0, 2)}


@pytest.fixture(autouse=True)
def peft_where_it_is_needed(request: pytest.FixtureRequest) -> None:
    if "lora" in request.node.name and "without_peft" not in request.node.name:
        pytest.importorskip("peft")


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(5)
    return 255 * torch.rand(2, 3, 64, 64)


@pytest.fixture
def priors() -> Tensor:
    torch.manual_seed(6)
    return torch.rand(2, 2, 5, 5)


CLASSES = torch.tensor([3, 1])


def build(make_model: Make, kind: str, tuning: str, **changes: Any) -> Any:
    """The network of a small model, whose positions differ."""
    options = {"tuning": tuning, "injector_blocks": BLOCKS[kind], "detail": False, **changes}
    model = make_model(kind, **options).network
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.image_encoder.backbone.parameters():
            if not parameter.requires_grad:  # Meta's positions start at zero
                parameter.normal_(std=0.2)
    return model


def tensors_of_sam(model: Any) -> dict[str, Tensor]:
    parts = {
        "image_encoder": model.image_encoder.backbone,
        "prompt_encoder": model.prompt_encoder,
        "mask_decoder": model.mask_decoder,
    }
    return {f"{p}.{name}": v for p, part in parts.items() for name, v in part.state_dict().items()}


@torch.no_grad()
def test_adapter_is_a_bottleneck_with_a_residual(stir: Stir) -> None:
    adapter = stir(Adapter(8))
    feature, prior = torch.randn(2, 8, 5, 6), torch.rand(2, 1, 3, 3)
    tokens = feature.permute(0, 2, 3, 1)
    narrow = F.gelu(F.linear(tokens, adapter.down.weight[..., 0, 0], adapter.down.bias))
    assert narrow.shape[-1] == 2
    wide = F.linear(narrow, adapter.up.weight[..., 0, 0], adapter.up.bias)
    expected = feature + wide.permute(0, 3, 1, 2)
    torch.testing.assert_close(adapter(feature, prior), expected)
    assert (expected - feature).abs().amax() > 1e-3


@torch.no_grad()
def test_multi_scale_adapter_is_an_adapter_with_one_mixed_kernel(stir: Stir) -> None:
    """The mean of centred depth-wise kernels is one depth-wise kernel of the largest size."""
    adapter = stir(MultiScaleAdapter(12, kernels=(1, 3, 7)))
    feature, prior = torch.randn(2, 12, 9, 8), torch.rand(2, 1, 3, 3)
    convs = adapter.filters.depthwise
    kernel = torch.stack([F.pad(c.weight, [3 - c.padding[0]] * 4) for c in convs]).mean(dim=0)
    bias = torch.stack([c.bias for c in convs]).mean(dim=0)
    narrow = adapter.down(feature)
    mixed = narrow + F.conv2d(narrow, kernel, bias, padding=3, groups=3)
    expected = feature + adapter.up(F.gelu(mixed))
    torch.testing.assert_close(adapter(feature, prior), expected)
    adapter.filters = nn.Identity()
    assert (adapter(feature, prior) - expected).abs().amax() > 1e-4


@torch.no_grad()
@CASES
def test_fresh_tuning_changes_nothing(
    make_model: Make, images: Tensor, priors: Tensor, kind: str, tuning: str
) -> None:
    plain = build(make_model, kind, "none")
    tuned = build(make_model, kind, tuning)
    tuned.image_encoder.backbone.load_state_dict(plain.image_encoder.backbone.state_dict())
    prior = priors[:, :1]
    expected = plain.image_encoder(images, prior)
    torch.testing.assert_close(tuned.image_encoder(images, prior), expected, rtol=0, atol=0)


@CASES
def test_what_learns(
    make_model: Make, images: Tensor, priors: Tensor, kind: str, tuning: str, stir: Stir
) -> None:
    model = stir(build(make_model, kind, tuning)).train()
    model(images, priors, CLASSES).square().mean().backward()
    learns = {name for name, _ in model.trained_parameters()}
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (name in learns), name
    tuned = {name for name in learns if name.startswith("image_encoder.")}
    assert bool(tuned) is (tuning != "none")
    assert all(".injectors." in name or ".lora_" in name for name in tuned)
    assert not any(module.training for module in model.image_encoder.backbone.modules())


@torch.no_grad()
@CASES
def test_tuning_changes_the_output_and_only_the_injector_reads_the_prior(
    make_model: Make, images: Tensor, priors: Tensor, kind: str, tuning: str, stir: Stir
) -> None:
    model = build(make_model, kind, tuning)
    prior = priors[:, :1]
    fresh = model.image_encoder(images, prior)
    encoder = stir(model).image_encoder
    assert torch.equal(encoder(images, prior), fresh) is (tuning == "none")
    assert torch.equal(encoder(images, prior), encoder(images, 1 - prior)) is (tuning != "injector")


@torch.no_grad()
@CASES
def test_the_shared_part_is_that_of_the_plain_encoder(
    make_model: Make, images: Tensor, priors: Tensor, kind: str, tuning: str, stir: Stir
) -> None:
    """What all lesions share is not tuned: runs with other tunings may have it in common."""
    plain = build(make_model, kind, "none")
    model = build(make_model, kind, tuning)
    model.image_encoder.backbone.load_state_dict(plain.image_encoder.backbone.state_dict())
    encoder = stir(model).image_encoder
    features = encoder.encode_image(images)
    x = plain.image_encoder.backbone.stem(images)
    for index in range(encoder.untuned):
        x = plain.image_encoder.backbone.block(index, x)
    assert torch.equal(features.feature, x)
    prior = priors[:, :1]
    assert torch.equal(encoder.inject(features.feature, prior), encoder(images, prior))


@torch.no_grad()
@CASES
def test_several_lesions_share_one_image(
    make_model: Make, images: Tensor, priors: Tensor, kind: str, tuning: str, stir: Stir
) -> None:
    model = stir(build(make_model, kind, tuning))
    together = model(images, priors, CLASSES)
    for i in range(2):
        alone = model(images, priors[:, i : i + 1], CLASSES[i : i + 1])
        torch.testing.assert_close(together[:, i : i + 1], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "tuning"), [("vit", "lora"), ("tiny_vit", "lora"), ("vit", "multi_scale_adapter")]
)
def test_checkpoint_round_trip(
    make_model: Make, images: Tensor, priors: Tensor, kind: str, tuning: str, stir: Stir,
    tmp_path: Path,
) -> None:  # fmt: skip
    network = stir(build(make_model, kind, tuning))
    config = make_model(kind, tuning=tuning, injector_blocks=BLOCKS[kind], detail=False).config
    TPDRSeg(network, config).save_pretrained(tmp_path)
    again = TPDRSeg.from_pretrained(tmp_path, device="cpu")
    assert again.config.architecture == config.architecture
    assert again.config.architecture.tuning == tuning
    assert torch.equal(again.network(images, priors, CLASSES), network(images, priors, CLASSES))
    weights = load_file(tmp_path / "model.safetensors")
    assert not any("base_layer" in name for name in weights)
    if tuning == "lora":
        del weights[next(name for name in weights if ".lora_A." in name)]
        save_file(weights, tmp_path / "model.safetensors")
        with pytest.raises(CheckpointError, match=r"missing \S*lora_A"):
            TPDRSeg.from_pretrained(tmp_path)


@torch.no_grad()
@pytest.mark.parametrize("tuning", ["adapter", "lora"])
def test_every_tuning_starts_from_the_same_sam(
    make_model: Make, images: Tensor, priors: Tensor, tuning: str, stir: Stir
) -> None:
    plain = build(make_model, "vit", "none")
    sam = tensors_of_sam(plain)
    model = stir(build(make_model, "vit", tuning))
    load_sam(model, sam)
    loaded = tensors_of_sam(model)
    assert {name for name in loaded if ".lora_" not in name} == sam.keys()
    for name, value in sam.items():
        assert torch.equal(loaded[name], value), name
    if tuning == "lora":  # its updates stay
        assert any(value.any() for name, value in loaded.items() if ".lora_B." in name)
    with pytest.raises(CheckpointError, match=r"blocks\.0\.attn\.qkv\.\S*weight"):
        load_sam(model, {k: v for k, v in sam.items() if not k.endswith("0.attn.qkv.weight")})


@torch.no_grad()
def test_lora_is_a_low_rank_update_of_the_attention(make_model: Make, stir: Stir) -> None:
    backbone = stir(build(make_model, "vit", "lora")).image_encoder.backbone
    for block, tuned in ((0, True), (1, False), (2, True)):
        for layer in (backbone.blocks[block].attn.qkv, backbone.blocks[block].attn.proj):
            assert hasattr(layer, "lora_A") is tuned
            if not tuned:
                continue
            update = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
            assert torch.linalg.matrix_rank(update) == 4
            x = torch.randn(3, layer.in_features)
            base = layer.base_layer
            expected = F.linear(x, base.weight + update, base.bias)
            torch.testing.assert_close(layer(x), expected)


def test_lora_needs_blocks_with_attention(make_config: Make) -> None:
    with pytest.raises(ConfigError, match=r"stages\.0\.blocks\.0 has none.*injector_blocks"):
        TPDRSeg.build(make_config("tiny_vit", tuning="lora"))


def test_lora_without_peft(monkeypatch: pytest.MonkeyPatch, make_config: Make) -> None:
    monkeypatch.setattr("tp_drseg._runtime.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"tp-drseg\[lora\]"):
        TPDRSeg.build(make_config("vit", tuning="lora"))
    TPDRSeg.build(make_config("vit", tuning="adapter"))


def test_lora_rank(make_model: Make) -> None:
    backbone = make_model("vit", tuning="none").network.image_encoder.backbone
    add_lora(backbone, ["blocks.1"], rank=2)
    assert backbone.blocks[1].attn.qkv.lora_A["default"].weight.shape == (2, 32)
