from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from tp_drseg.config import ImageEncoderConfig
from tp_drseg.modules.image_encoder import InjectedImageEncoder, build_backbone

Stir = Callable[[Any], Any]

VIT = ImageEncoderConfig(
    kind="vit",
    embed_dims=(32,),
    depths=(4,),
    num_heads=(2,),
    window_sizes=(3,),
    global_attn_indexes=(1, 3),
)
# the detail blocks are blocks 1, 2 and 4, of strides 4, 8 and 16
TINY = ImageEncoderConfig(
    kind="tiny_vit",
    embed_dims=(16, 32, 40, 64),
    depths=(2, 1, 2, 1),
    num_heads=(1, 2, 2, 4),
    window_sizes=(2, 3, 4, 3),
)
CONFIGS = {"vit": VIT, "tiny_vit": TINY}


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(5)
    return torch.randn(2, 3, 64, 64)


@pytest.fixture
def prior() -> Tensor:
    torch.manual_seed(6)
    return torch.rand(2, 1, 5, 5)


def build(kind: str, **options: Any) -> InjectedImageEncoder:
    torch.manual_seed(0)
    backbone = build_backbone(CONFIGS[kind], 64)
    for parameter in backbone.parameters():  # Meta's positions start at zero
        nn.init.normal_(parameter, std=0.2)
    return InjectedImageEncoder(backbone, **({"injector_stride": 2} | options)).eval()


def metas(encoder: InjectedImageEncoder) -> ImageEncoderViT:
    """Meta's own encoder with the same weights."""
    meta = ImageEncoderViT(
        img_size=64,
        patch_size=16,
        embed_dim=32,
        depth=4,
        num_heads=2,
        mlp_ratio=4,
        out_chans=256,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=3,
        global_attn_indexes=(1, 3),
    )
    meta.load_state_dict(encoder.backbone.state_dict(), strict=True)
    return meta.eval()


@torch.no_grad()
@pytest.mark.parametrize("blocks", [None, (), (1,), (0, 3)])
def test_fresh_encoder_equals_metas(
    images: Tensor, prior: Tensor, blocks: tuple[int, ...] | None
) -> None:
    encoder = build("vit", injector_blocks=blocks)
    expected = metas(encoder)(images)
    assert expected.shape == (2, 256, 4, 4)
    torch.testing.assert_close(encoder(images, prior), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_injectors_change_it(images: Tensor, prior: Tensor) -> None:
    encoder = build("vit")
    injectors: Any = encoder.injectors
    nn.init.normal_(injectors["2"].value.weight)
    difference = encoder(images, prior) - metas(encoder)(images)
    assert difference.abs().amax() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("kind", CONFIGS)
def test_injectors_stand_after_their_blocks(
    images: Tensor, prior: Tensor, kind: str, stir: Stir
) -> None:
    encoder: Any = stir(build(kind, injector_blocks=(3, 1)))
    assert list(encoder.injectors) == ["1", "3"]
    x = encoder.backbone.stem(images)
    for index in range(len(encoder.backbone.block_dims)):
        x = encoder.backbone.block(index, x)
        if index in (1, 3):
            x = encoder.injectors[str(index)](x, prior)
    expected = encoder.backbone.head(x)
    torch.testing.assert_close(encoder(images, prior), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "blocks", "expected"),
    [
        ("vit", None, {"0": 32, "1": 32, "2": 32, "3": 32}),
        ("vit", (2,), {"2": 32}),
        ("vit", (), {}),
        ("tiny_vit", None, {"0": 16, "1": 16, "2": 32, "3": 40, "4": 40, "5": 64}),
        ("tiny_vit", (5, 3, 3), {"3": 40, "5": 64}),
    ],
)
def test_which_blocks_get_an_injector(
    kind: str, blocks: tuple[int, ...] | None, expected: dict[str, int]
) -> None:
    injectors: Any = build(kind, injector_blocks=blocks).injectors
    assert {name: i.query.in_channels for name, i in injectors.items()} == expected


@torch.no_grad()
@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("use_prior", [True, False])
def test_prior_is_read_only_when_asked_for(
    images: Tensor, prior: Tensor, kind: str, use_prior: bool, stir: Stir
) -> None:
    encoder: Any = stir(build(kind, use_prior=use_prior))
    first, second = encoder(images, prior), encoder(images, 1 - prior)
    assert torch.equal(first, second) is not use_prior


@torch.no_grad()
@pytest.mark.parametrize("blocks", [None, (0,), (1,), (4,), ()])
def test_shared_part_knows_no_prior_and_has_the_detail(
    images: Tensor, prior: Tensor, blocks: tuple[int, ...] | None, stir: Stir
) -> None:
    encoder: Any = stir(build("tiny_vit", injector_blocks=blocks))
    features = encoder.encode_image(images)
    x = encoder.backbone.patch_embed(images)
    for stage, found in zip(encoder.backbone.stages[:3], features.detail, strict=True):
        x = stage(x)
        torch.testing.assert_close(found, x, rtol=1e-5, atol=1e-6)
    assert [tuple(x.shape[1:]) for x in features.detail] == [(16, 16, 16), (32, 8, 8), (40, 4, 4)]
    assert torch.equal(encoder.inject(features.feature, prior), encoder(images, prior))


@torch.no_grad()
@pytest.mark.parametrize("kind", CONFIGS)
def test_several_priors_share_one_image(
    images: Tensor, prior: Tensor, kind: str, stir: Stir
) -> None:
    encoder: Any = stir(build(kind, injector_blocks=(2, 3)))
    feature = encoder.encode_image(images[:1]).feature.expand(2, -1, -1, -1)
    together = encoder.inject(feature, prior)
    for i in range(2):
        alone = encoder(images[:1], prior[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", CONFIGS)
def test_only_injectors_learn(images: Tensor, prior: Tensor, kind: str) -> None:
    encoder = build(kind).train()
    encoder(images, prior).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is not None) == name.startswith("injectors."), name
    assert encoder.injectors.training
    assert not any(module.training for module in encoder.backbone.modules())
