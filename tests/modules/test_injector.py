from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tp_drseg.modules.injector import PriorAlignedInjector, resize_prior


def upsampled(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear upsampling of `(C, h, w)`, pixel by pixel, pixel centres at half numbers."""
    out = torch.zeros(len(image), *size, dtype=image.dtype)

    def neighbours(index: int, old: int, new: int) -> tuple[int, int, float]:
        place = max((index + 0.5) * old / new - 0.5, 0.0)
        first = math.floor(place)
        return first, min(first + 1, old - 1), place - first

    for y in range(size[0]):
        top, bottom, down = neighbours(y, image.shape[1], size[0])
        for x in range(size[1]):
            left, right, along = neighbours(x, image.shape[2], size[1])
            out[:, y, x] = (
                (1 - down) * (1 - along) * image[:, top, left]
                + (1 - down) * along * image[:, top, right]
                + down * (1 - along) * image[:, bottom, left]
                + down * along * image[:, bottom, right]
            )
    return out


def injected_by_loops(module: PriorAlignedInjector, feature: Tensor, prior: Tensor) -> Tensor:
    """Eq. 2 and 3 for one item: feature `(C, H, W)`, prior `(H, W)` on the same grid."""
    channels, height, width = feature.shape
    stride = module.query.stride[0]
    activated = feature.clone()
    if module.use_prior:
        for y in range(height):
            for x in range(width):
                activated[:, y, x] = feature[:, y, x] * prior[y, x]
    rows, columns = range(0, height, stride), range(0, width, stride)
    places = [(y, x) for y in rows for x in columns]

    def projected(conv: nn.Conv2d, source: Tensor) -> list[Tensor]:
        assert conv.bias is not None
        return [conv.weight[:, :, 0, 0] @ source[:, y, x] + conv.bias for y, x in places]

    queries = projected(module.query, feature)
    keys, values = projected(module.key, activated), projected(module.value, activated)
    attended = torch.zeros(channels, len(rows), len(columns), dtype=feature.dtype)
    for index, query in enumerate(queries):
        scores = [math.exp((query @ key).item() / math.sqrt(channels)) for key in keys]
        mixed = sum((s * v for s, v in zip(scores, values, strict=True)), torch.zeros(channels))
        attended[:, index // len(columns), index % len(columns)] = mixed / sum(scores)
    return module.gamma * feature + upsampled(attended, (height, width))


@pytest.fixture
def injector() -> PriorAlignedInjector:
    torch.manual_seed(0)
    module = PriorAlignedInjector(3, stride=2).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


@torch.no_grad()
@pytest.mark.parametrize("size", [(6, 4), (5, 7)])
@pytest.mark.parametrize("use_prior", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_equations_2_and_3(
    injector: PriorAlignedInjector, size: tuple[int, int], use_prior: bool, stride: int
) -> None:
    injector.use_prior = use_prior
    for conv in (injector.query, injector.key, injector.value):
        conv.stride = (stride, stride)
    feature = torch.randn(2, 3, *size, dtype=torch.float64)
    prior = torch.rand(2, 1, *size, dtype=torch.float64)
    result = injector(feature, prior)
    for item in range(2):
        expected = injected_by_loops(injector, feature[item], prior[item, 0])
        torch.testing.assert_close(result[item], expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_prior_of_a_coarser_grid_is_upsampled(injector: PriorAlignedInjector) -> None:
    feature = torch.randn(1, 3, 6, 8, dtype=torch.float64)
    prior = torch.rand(1, 1, 3, 2, dtype=torch.float64)
    same_grid = upsampled(prior[0], (6, 8))[0]
    expected = injected_by_loops(injector, feature[0], same_grid)
    torch.testing.assert_close(injector(feature, prior)[0], expected, rtol=0, atol=1e-6)


def test_prior_of_a_finer_grid_is_antialiased() -> None:
    prior = torch.rand(1, 1, 12, 20)
    expected = Image.fromarray(prior[0, 0].numpy()).resize((5, 4), Image.Resampling.BILINEAR)
    result = resize_prior(prior, (4, 5))[0, 0]
    torch.testing.assert_close(result, torch.from_numpy(np.array(expected)), rtol=0, atol=1e-5)


def test_prior_of_the_same_grid_is_kept() -> None:
    prior = torch.rand(2, 3, 4, 5)
    assert torch.equal(resize_prior(prior, (4, 5)), prior)


def test_fresh_injector_changes_nothing() -> None:
    feature, prior = torch.randn(2, 8, 4, 4), torch.rand(2, 1, 4, 4)
    assert torch.equal(PriorAlignedInjector(8, stride=2)(feature, prior), feature)


def test_only_the_prior_switch_makes_it_blind_to_the_prior(injector: PriorAlignedInjector) -> None:
    feature = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    first, second = torch.rand(2, 1, 1, 4, 4, dtype=torch.float64)
    assert not torch.allclose(injector(feature, first), injector(feature, second))
    injector.use_prior = False
    assert torch.equal(injector(feature, first), injector(feature, second))


def test_its_attention_can_be_exported() -> None:
    """ONNX knows attention with an axis for heads alone."""
    injector, feature, prior = (
        PriorAlignedInjector(8, 2),
        torch.rand(2, 8, 8, 8),
        torch.rand(2, 1, 8, 8),
    )
    program = torch.export.export(injector.eval(), (feature, prior))
    (attention,) = [n for n in program.graph.nodes if "scaled_dot_product" in str(n.target)]
    assert {len(argument.meta["val"].shape) for argument in attention.args[:3]} == {4}
