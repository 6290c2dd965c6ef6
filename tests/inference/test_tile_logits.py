"""Prompts that go through the encoder together, as on a graphics card, beside one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tp_drseg.inference.tile_logits import TextPrompt, TileLogits
from tp_drseg.inference.tiles import Tiles
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.constants import EMBEDDING_STRIDE
from tp_drseg.modules.network import PromptedFeatures, TPDRSegNetwork
from tp_drseg.modules.points import Points

PROMPTS = [TextPrompt(2, ("a",)), TextPrompt(0, ("b",)), TextPrompt(2, ("c",))]


@pytest.fixture
def network(make_model: Callable[..., TPDRSeg], stir: Callable[[Any], Any]) -> TPDRSegNetwork:
    return stir(make_model().network)  # type: ignore[no-any-return]


def ask(
    network: TPDRSegNetwork, together: bool, keep: bool = True
) -> tuple[TileLogits, Tensor, Tensor]:
    """Two tiles of noise, and priors of their own for each prompt."""
    generator = torch.Generator().manual_seed(0)
    tiles = Tiles.plan((64, 96), 64, 0.25)
    logits = TileLogits(network, tiles, limit=10**9 if keep else 0)
    assert not logits.together  # on a processor
    logits.together = together
    image = torch.rand(1, 3, 64, 96, generator=generator) * 255
    return (
        logits,
        image,
        torch.rand(1, 3, 64 // EMBEDDING_STRIDE, 96 // EMBEDDING_STRIDE, generator=generator),
    )


@pytest.fixture
def passes(network: TPDRSegNetwork, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many prompts went through the encoder in each call."""
    seen: list[int] = []
    original = network.encode_prompt

    def prompt(features: Any, priors: Tensor, lesions: Tensor) -> PromptedFeatures:
        seen.append(len(lesions))
        return original(features, priors, lesions)

    monkeypatch.setattr(network, "encode_prompt", prompt)
    return seen


@torch.no_grad()
def test_together_as_one_by_one(network: TPDRSegNetwork, passes: list[int]) -> None:
    alone, image, cells = ask(network, together=False)
    expected = [alone(number, image, PROMPTS, cells) for number in range(2)]
    assert passes == [1] * 6
    passes.clear()
    together = ask(network, together=True)[0]
    for number in range(2):
        found = together(number, image, PROMPTS, cells)
        assert found.shape[0] == 3
        torch.testing.assert_close(found, expected[number], rtol=1e-4, atol=1e-5)
    assert passes == [3, 3]
    # and the network asked straight out
    for place, prompt in enumerate(PROMPTS):
        prior = cells[:, place : place + 1, :, : 64 // EMBEDDING_STRIDE]
        logits = network(image[..., :64], prior, torch.tensor([prompt.lesion]))
        torch.testing.assert_close(expected[0][place], logits[0, 0], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_only_what_is_new_is_asked(network: TPDRSegNetwork, passes: list[int]) -> None:
    logits, image, cells = ask(network, together=True)
    first = logits(0, image, PROMPTS[:1], cells[:, :1])
    both = logits(0, image, PROMPTS, cells)
    assert passes == [1, 2]
    assert torch.equal(both[:1], first)
    points = Points(torch.tensor([[[20.0, 30.0]]]), torch.tensor([[1]]))
    clicked = logits(0, image, PROMPTS, cells, [points, None, None])
    assert passes == [1, 2] and not torch.allclose(clicked[0], both[0])
    assert torch.equal(clicked[1:], both[1:])
    assert torch.equal(logits(0, image, PROMPTS, cells), both)
    logits.clear()
    logits(0, image, PROMPTS, cells)
    assert passes == [1, 2, 3]


@torch.no_grad()
def test_nothing_is_kept_unasked(network: TPDRSegNetwork, passes: list[int]) -> None:
    logits, image, cells = ask(network, together=True, keep=False)
    first = logits(0, image, PROMPTS, cells)
    assert torch.equal(logits(0, image, PROMPTS, cells), first)
    assert passes == [3, 3]


@torch.no_grad()
def test_one_by_one_where_memory_is_short(
    network: TPDRSegNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logits, image, cells = ask(network, together=True)
    expected = ask(network, together=False)[0](0, image, PROMPTS, cells)
    original, room = network.encode_prompt, [1]

    def prompt(features: Any, priors: Tensor, lesions: Tensor) -> PromptedFeatures:
        if len(lesions) > room[0]:
            raise torch.cuda.OutOfMemoryError("too little")
        return original(features, priors, lesions)

    monkeypatch.setattr(network, "encode_prompt", prompt)
    with caplog.at_level(logging.INFO, logger="tp_drseg"):
        found = logits(0, image, PROMPTS, cells)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert "cannot hold 3 lesions at once" in caplog.text
    room[0] = 0
    with pytest.raises(torch.cuda.OutOfMemoryError):
        logits(1, image, PROMPTS[:1], cells[:, :1])
