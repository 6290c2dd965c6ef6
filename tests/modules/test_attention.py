"""The fused attention against Meta's own, whose parameters it takes."""

from __future__ import annotations

import copy

import pytest
import torch
from segment_anything.modeling.image_encoder import Attention, Block
from timm.models import tiny_vit
from timm.models.tiny_vit import TinyVit
from torch import nn

from tp_drseg.modules import attention
from tp_drseg.modules.attention import SAMAttention


def pair(size: tuple[int, int]) -> tuple[Attention, SAMAttention]:
    torch.manual_seed(0)
    plain = Attention(24, 3, use_rel_pos=True, input_size=size)
    for parameter in (plain.rel_pos_h, plain.rel_pos_w):
        nn.init.normal_(parameter)
    fused = SAMAttention(24, 3, use_rel_pos=True, input_size=size)
    fused.load_state_dict(plain.state_dict())
    return plain, fused


@pytest.mark.parametrize("size", [(3, 4), (5, 3), (5, 5), (6, 9), (14, 14)])
@pytest.mark.parametrize("scores", [1, 500, 1 << 28])
def test_same_as_sam(size: tuple[int, int], scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the queries go through in parts, of which the last is smaller."""
    monkeypatch.setattr(attention, "_SCORES", scores)
    plain, fused = pair(size)
    x = torch.randn(2, *size, 24)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), plain(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (10, 7), (4, 5)])
@pytest.mark.parametrize("window", [0, 4, 5])
def test_blocks_as_sam_s(size: tuple[int, int], window: int) -> None:
    """Also where windows stand over the edge."""
    torch.manual_seed(0)
    plain = Block(24, 3, use_rel_pos=True, window_size=window, input_size=size)
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.3)
    fused = copy.deepcopy(plain)
    attention.fuse_sam(fused)
    assert type(fused) is attention.SAMBlock and type(fused.attn) is SAMAttention
    x = torch.randn(2, *size, 24)
    with torch.no_grad():
        expected = plain(x)
        torch.testing.assert_close(fused(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fused(x.clone().requires_grad_()), expected, rtol=1e-4, atol=1e-4)


def test_same_gradients_as_sam() -> None:
    plain, fused = pair((6, 9))
    x = torch.randn(2, 6, 9, 24)
    gradients = []
    for module in (plain, fused):
        own = x.clone().requires_grad_()
        module(own).square().sum().backward()
        gradients.append([own.grad, module.rel_pos_h.grad, module.qkv.weight.grad])
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_tiny_vit_with_timm_s_own_attention() -> None:
    torch.manual_seed(0)
    body = TinyVit(
        num_classes=0,
        embed_dims=(32, 32, 32),
        depths=(1, 1, 1),
        num_heads=(1, 1, 1),
        window_sizes=(7, 7, 7),
        drop_path_rate=0.0,
    ).eval()
    for module in body.modules():
        if isinstance(module, tiny_vit.Attention):
            nn.init.normal_(module.attention_biases)
    image = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        expected = body.forward_features(image)
    attention.fuse_tiny_vit(body)
    kinds = {type(m) for m in body.modules() if isinstance(m, tiny_vit.Attention)}
    assert kinds == {attention.TinyViTAttention}
    for module in body.modules():
        if isinstance(module, tiny_vit.Attention):
            module.attention_bias_cache.clear()
    with torch.no_grad():
        torch.testing.assert_close(body.forward_features(image), expected, rtol=1e-4, atol=1e-5)


def test_tiny_vit_learns_as_with_timm_s_own_attention() -> None:
    """Where a gradient is asked for, processors take another way to the same answer."""
    torch.manual_seed(0)
    module = tiny_vit.Attention(64, 16, 4, attn_ratio=1, resolution=(7, 7))
    module.eval()  # which gives nothing back
    nn.init.normal_(module.attention_biases)
    module.attention_biases.requires_grad_(False)
    x = torch.randn(6, 49, 64)
    found = []
    for kind in (tiny_vit.Attention, attention.TinyViTAttention):
        module.__class__ = kind
        module.attention_bias_cache.clear()
        module.zero_grad()
        own = x.clone().requires_grad_()
        answer = module(own)
        answer.square().sum().backward()
        found.append([answer.detach(), own.grad, module.qkv.weight.grad, module.norm.bias.grad])
    for expected, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    # a frozen module after one that learns too, and without a gradient the fused kernel as before
    module.requires_grad_(False)
    own = x.clone().requires_grad_()
    module(own).square().sum().backward()
    torch.testing.assert_close(own.grad, found[0][1], rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(module(x), found[0][0], rtol=1e-4, atol=1e-4)
