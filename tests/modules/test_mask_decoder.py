from __future__ import annotations

import pytest
import torch
from segment_anything.modeling import MaskDecoder as MetaMaskDecoder
from segment_anything.modeling import PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from tp_drseg.modules.mask_decoder import DetailHead, MaskDecoder


@pytest.fixture
def decoder() -> MaskDecoder:
    torch.manual_seed(0)
    decoder: MaskDecoder = MaskDecoder().eval()
    return decoder


@torch.no_grad()
@pytest.mark.parametrize("prompts", [1, 5])
def test_batch_equals_metas_decoder_image_by_image(decoder: MaskDecoder, prompts: int) -> None:
    meta = MetaMaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
        transformer_dim=256,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    ).eval()
    meta.load_state_dict(decoder.state_dict(), strict=True)
    position = PromptEncoder(
        embed_dim=256, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=16
    ).get_dense_pe()
    embedding, dense = torch.randn(2, 3, 256, 4, 4)
    sparse = torch.randn(3, prompts, 256)
    logits, mask_token = decoder(embedding, position, sparse, dense)
    assert logits.shape == (3, 1, 16, 16)
    assert mask_token.shape == (3, 256)
    for i in range(3):
        expected, _ = meta(
            image_embeddings=embedding[i : i + 1],
            image_pe=position,
            sparse_prompt_embeddings=sparse[i : i + 1],
            dense_prompt_embeddings=dense[i : i + 1],
            multimask_output=False,
        )
        torch.testing.assert_close(logits[i : i + 1], expected, rtol=1e-4, atol=1e-5)


def test_only_what_is_used_learns(decoder: MaskDecoder) -> None:
    decoder.freeze_unused()
    position = torch.randn(1, 256, 2, 2)
    logits, _ = decoder(
        torch.randn(1, 256, 2, 2), position, torch.randn(1, 1, 256), torch.randn(1, 256, 2, 2)
    )
    logits.sum().backward()
    for name, parameter in decoder.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    assert not decoder.iou_prediction_head.layers[0].weight.requires_grad


DIMS = (5, 6, 7)  # channels of strides 4, 8 and 16


def pyramid(images: int) -> list[Tensor]:
    """Features of images of 64x32 pixels."""
    return [
        torch.randn(images, dim, 64 // stride, 32 // stride)
        for dim, stride in zip(DIMS, (4, 8, 16), strict=True)
    ]


def test_fresh_detail_head_adds_exactly_zero() -> None:
    head = DetailHead(DIMS, width=4)
    fine = head.features(torch.randn(2, 3, 64, 32), pyramid(2))
    assert fine.shape == (2, 4, 32, 16)
    added = head(fine, torch.randn(4, 256))
    assert torch.equal(added, torch.zeros(4, 1, 32, 16))


def test_every_level_and_the_image_have_a_say() -> None:
    torch.manual_seed(0)
    head = DetailHead(DIMS, width=4)
    image, levels = torch.randn(1, 3, 64, 32, requires_grad=True), pyramid(1)
    for level in levels:
        level.requires_grad_(True)
    # what a single pixel of the result, in the middle of the upper left cell, depends on
    head.features(image, levels)[0, :, 3, 3].sum().backward()  # type: ignore[no-untyped-call]
    for given, stride in zip([image, *levels], (1, 4, 8, 16), strict=True):
        assert given.grad is not None
        touched = given.grad.abs().sum(dim=(0, 1)) > 0
        assert touched[7 // stride, 7 // stride]
        # the lower end of the image is out of its reach
        assert not touched[-1].any() or stride == 16


@torch.no_grad()
def test_prompts_in_a_row_share_their_image() -> None:
    torch.manual_seed(0)
    head = DetailHead(DIMS, width=6)
    nn.init.normal_(head.choose.layers[-1].weight)
    fine, tokens = torch.randn(2, 6, 8, 4), torch.randn(6, 256)  # three prompts for each of two
    added = head(fine, tokens)
    assert added.shape == (6, 1, 8, 4)
    for prompt in range(6):
        weights = head.choose(tokens[prompt : prompt + 1])[0]
        image = fine[prompt // 3]
        expected = sum(weights[c] * image[c] for c in range(6))
        torch.testing.assert_close(added[prompt, 0], expected, rtol=1e-4, atol=1e-5)
