from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn

from tp_drseg.errors import ConfigError
from tp_drseg.modules.clip import (
    build_clip,
    dense_image_features,
    encode_text,
    position_embedding,
    tokenize,
)


@pytest.fixture
def visual(request: pytest.FixtureRequest, clip_architectures: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    clip: Any = build_clip(clip_architectures[request.param])
    tower = clip.visual.eval()
    for name, parameter in tower.named_parameters():
        if name.endswith("bias"):  # zero at the start, and then not seen by a test
            nn.init.normal_(parameter, std=0.2)
    return tower


def images(height: int, width: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, height, width)


@torch.no_grad()
@pytest.mark.parametrize("visual", ["vit"], indirect=True)
def test_vit_tokens_equal_open_clips(visual: Any) -> None:
    batch = images(64, 64)
    tokens = visual.forward_intermediates(batch, indices=1, normalize_intermediates=True)
    expected = torch.einsum("bchw,cd->bdhw", tokens["image_intermediates"][-1], visual.proj)
    features = dense_image_features(visual, batch, "token")
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("visual", ["vit"], indirect=True)
def test_vit_value_path_lets_each_token_attend_to_itself(visual: Any) -> None:
    batch = images(64, 64)
    x = visual._embeds(batch)
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        x = block(x)
    # a mask of minus infinity off the diagonal turns the softmax into the identity matrix
    alone = torch.full((17, 17), -torch.inf).fill_diagonal_(0)
    x = visual.ln_post(last(x, attn_mask=alone)[:, 1:]) @ visual.proj
    expected = x.reshape(2, 4, 4, -1).permute(0, 3, 1, 2)
    features = dense_image_features(visual, batch, "value")
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(features, dense_image_features(visual, batch, "token"), atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("visual", ["resnet"], indirect=True)
def test_resnet_value_path_position_by_position(visual: Any) -> None:
    batch = images(64, 96)
    last = visual.forward_intermediates(batch, intermediates_only=True)["image_intermediates"][-1]
    features = dense_image_features(visual, batch, "value")
    assert features.shape == (2, 24, 2, 3)
    pool = visual.attnpool
    for y in range(2):
        for x in range(3):
            value = last[:, :, y, x] @ pool.v_proj.weight.T + pool.v_proj.bias
            expected = value @ pool.c_proj.weight.T + pool.c_proj.bias
            torch.testing.assert_close(features[:, :, y, x], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("visual", ["resnet"], indirect=True)
def test_resnet_has_no_tokens(visual: Any) -> None:
    with pytest.raises(ConfigError, match="needs a ViT"):
        dense_image_features(visual, images(64, 64), "token")


@torch.no_grad()
@pytest.mark.parametrize("visual", ["tower"], indirect=True)
def test_fundus_tower_is_dense_in_either_mode(visual: Any) -> None:
    batch = images(64, 96)
    features = dense_image_features(visual, batch, "value")
    assert features.shape == (2, 24, 4, 6)
    assert torch.equal(features, dense_image_features(visual, batch, "token"))
    torch.testing.assert_close(visual(batch), features.flatten(2).mean(-1))


@torch.no_grad()
@pytest.mark.parametrize("visual", ["vit"], indirect=True)
@pytest.mark.parametrize("mode", ["value", "token"])
def test_vit_takes_images_of_another_size(visual: Any, mode: Any) -> None:
    assert dense_image_features(visual, images(96, 160), mode).shape == (2, 24, 6, 10)


@torch.no_grad()
@pytest.mark.parametrize("visual", ["vit"], indirect=True)
def test_position_embedding_is_kept_on_its_own_grid(visual: Any) -> None:
    assert torch.equal(position_embedding(visual, (4, 4)), visual.positional_embedding)


@torch.no_grad()
@pytest.mark.parametrize("visual", ["vit"], indirect=True)
def test_position_embedding_of_a_finer_grid(visual: Any) -> None:
    own = visual.positional_embedding
    finer = position_embedding(visual, (8, 12))
    assert finer.shape == (1 + 8 * 12, 32)
    assert torch.equal(finer[0], own[0])
    coarse = own[1:].reshape(4, 4, 32)
    for y in range(8):
        for x in range(12):
            expected = torch.zeros(32)
            for row, down in taps((y + 0.5) / 2 - 0.5):
                for column, along in taps((x + 0.5) / 3 - 0.5):
                    expected += down * along * coarse[row, column]
            torch.testing.assert_close(finer[1 + 12 * y + x], expected, rtol=0, atol=1e-5)


def taps(place: float) -> list[tuple[int, float]]:
    """Index and weight of the four neighbours of a place among four: Keys' cubic, a = -0.75."""

    def weight(distance: float) -> float:
        if distance <= 1:
            return 1.25 * distance**3 - 2.25 * distance**2 + 1
        return -0.75 * (distance**3 - 5 * distance**2 + 8 * distance - 4)

    first = math.floor(place) - 1
    return [(min(max(i, 0), 3), weight(abs(place - i))) for i in range(first, first + 4)]


def change(architecture: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = deepcopy(architecture)
    *folders, name = path.split(".")
    place = changed
    for folder in folders:
        place = place[folder]
    place[name] = value
    return changed


@pytest.mark.parametrize(
    ("kind", "path", "value", "message"),
    [
        ("vit", "vision_cfg.timm_model_name", "resnet18", "timm_model_name"),
        ("vit", "text_cfg.hf_model_name", "bert-base-uncased", "hf_model_name"),
        ("vit", "vision_cfg.colour", "red", "colour"),
        ("vit", "vision_cfg.head_width", 0, "open_clip does not take"),
        ("vit", "vision_cfg.width", "wide", "open_clip does not take"),
        ("vit", "text_cfg.layers", None, "open_clip does not take"),
        ("vit", "embed_dim", -1, "open_clip does not take"),
        ("tower", "vision_cfg.tower", "swin", "swin"),
        ("tower", "vision_cfg.depth", 3, "depth"),
        ("tower", "text_cfg.tower", "bert", "bert"),
        ("tower", "text_cfg.vocab_size", 400, "30522 tokens, not 400"),
        ("tower", "text_cfg.pooled_layers", [3], "layers 1 to 2"),
        ("tower", "text_cfg.concepts", ["a", "a"], "each once"),
        ("tower", "text_cfg.depth", 3, "depth"),
    ],
)
def test_wrong_architectures(
    clip_architectures: dict[str, Any], kind: str, path: str, value: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_clip(change(clip_architectures[kind], path, value))


def test_tokens_are_clips(clip_architectures: dict[str, Any]) -> None:
    texts = ["Small red dots.", "yellowish-white deposits"]
    tokens = tokenize(build_clip(clip_architectures["vit"]), texts)
    assert tokens.shape == (2, 77)
    assert tokens.dtype == torch.int64
    tokenizer = SimpleTokenizer()
    for text, row in zip(texts, tokens.tolist(), strict=True):
        words = tokenizer.encode(text.lower())
        assert row == [49406, *words, 49407] + [0] * (75 - len(words))


@torch.no_grad()
@pytest.mark.parametrize("texts", [["spots"], ["yellow spots", "a " * 40, "small dark red dots"]])
def test_texts_are_read_to_their_end(clip_architectures: dict[str, Any], texts: list[str]) -> None:
    torch.manual_seed(0)
    clip: Any = build_clip(clip_architectures["vit"]).eval()
    tokens = tokenize(clip, texts)
    lengths: list[int] = []
    clip.transformer.register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    found, expected = encode_text(clip, tokens), clip.encode_text(tokens)
    assert lengths == [int(tokens.argmax(dim=-1).max()) + 1, clip.context_length]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_texts_that_look_ahead_are_read_whole(clip_architectures: dict[str, Any]) -> None:
    architecture = clip_architectures["vit"]
    text = {**architecture["text_cfg"], "no_causal_mask": True}
    clip: Any = build_clip({**architecture, "text_cfg": text}).eval()
    tokens = tokenize(clip, ["yellow spots"])
    assert torch.equal(encode_text(clip, tokens), clip.encode_text(tokens))
