from __future__ import annotations

import pytest
import torch
from segment_anything.modeling import PromptEncoder

from tp_drseg.modules.points import (
    BACKGROUND,
    BOTTOM_RIGHT,
    FOREGROUND,
    PADDING,
    TOP_LEFT,
    Points,
    dense_positions,
    embed_points,
)


@pytest.fixture
def prompt_encoder() -> PromptEncoder:
    torch.manual_seed(0)
    # not square, so that x and y cannot be mistaken for each other
    return PromptEncoder(
        embed_dim=32, image_embedding_size=(4, 6), input_image_size=(64, 96), mask_in_chans=16
    )


@torch.no_grad()
def test_positions_equal_metas(prompt_encoder: PromptEncoder) -> None:
    result = dense_positions(prompt_encoder, (4, 6))
    torch.testing.assert_close(result, prompt_encoder.get_dense_pe(), rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_larger_grid_goes_on_beyond_sams_own(prompt_encoder: PromptEncoder) -> None:
    """A cell's position is that of a point at its centre, whatever the grid."""
    result = dense_positions(prompt_encoder, (7, 8))
    torch.testing.assert_close(
        result[..., :4, :6], prompt_encoder.get_dense_pe(), rtol=0, atol=1e-6
    )
    centre = torch.tensor([[[7.5 * 16, 6.5 * 16]]])
    expected = prompt_encoder.pe_layer.forward_with_coords(centre, (64, 96))[0, 0]
    torch.testing.assert_close(result[0, :, 6, 7], expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_points_equal_metas(prompt_encoder: PromptEncoder) -> None:
    coords = torch.rand(2, 4, 2) * torch.tensor([96.0, 64.0])
    labels = torch.tensor(
        [
            [FOREGROUND, BACKGROUND, FOREGROUND, PADDING],
            [BACKGROUND, BACKGROUND, PADDING, FOREGROUND],
        ]
    )
    result = embed_points(prompt_encoder, Points(coords, labels))
    expected = prompt_encoder._embed_points(coords, labels, pad=False)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_boxes_equal_metas(prompt_encoder: PromptEncoder) -> None:
    boxes = torch.tensor([[3.0, 5.0, 70.0, 40.0], [0.0, 0.0, 95.0, 63.0]])
    labels = torch.tensor([[TOP_LEFT, BOTTOM_RIGHT]] * 2)
    result = embed_points(prompt_encoder, Points(boxes.reshape(2, 2, 2), labels))
    expected, _ = prompt_encoder(points=None, boxes=boxes, masks=None)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_points_and_a_box_together_equal_metas(prompt_encoder: PromptEncoder) -> None:
    points, box = (
        torch.tensor([[[10.0, 20.0], [50.0, 3.0]]]),
        torch.tensor([[5.0, 6.0, 30.0, 40.0]]),
    )
    labels = torch.tensor([[FOREGROUND, BACKGROUND]])
    # with a box Meta's encoder adds no padding point
    expected, _ = prompt_encoder(points=(points, labels), boxes=box, masks=None)
    clicks = Points(
        torch.cat([points, box.reshape(1, 2, 2)], dim=1),
        torch.tensor([[FOREGROUND, BACKGROUND, TOP_LEFT, BOTTOM_RIGHT]]),
    )
    torch.testing.assert_close(embed_points(prompt_encoder, clicks), expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_an_ignored_point_lies_nowhere(prompt_encoder: PromptEncoder) -> None:
    labels = torch.full((1, 1), PADDING)
    here, there = (
        embed_points(prompt_encoder, Points(torch.full((1, 1, 2), place), labels))
        for place in (1.0, 50.0)
    )
    assert torch.equal(here, there)
    assert torch.equal(here[0], prompt_encoder.not_a_point_embed.weight)
