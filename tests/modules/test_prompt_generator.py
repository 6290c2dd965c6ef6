from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tp_drseg.modules.prompt_generator import ClassPromptGenerator


@pytest.fixture
def generator() -> ClassPromptGenerator:
    torch.manual_seed(0)
    module = ClassPromptGenerator(num_classes=3, dim=4, grid=3, sparse_tokens=2).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def prompts_by_loops(
    module: ClassPromptGenerator, embedding: Tensor, prior: Tensor, asked: int
) -> tuple[Tensor, Tensor]:
    """Eq. 4 for one item: all class groups are made, then the asked one is kept."""
    channels, height, width = embedding.shape
    prompted = embedding * prior if module.use_prior else embedding
    weight = module.class_weight.flatten(0, 1)  # one 1x1 convolution to 3 * C channels
    bias = module.class_bias.flatten()
    groups = torch.zeros(len(weight), height, width, dtype=embedding.dtype)
    for y in range(height):
        for x in range(width):
            for out in range(len(weight)):
                groups[out, y, x] = (weight[out] * prompted[:, y, x]).sum() + bias[out]
    kept = groups[asked * channels : (asked + 1) * channels]
    dense = torch.zeros_like(kept)
    assert module.dense.bias is not None
    for y in range(height):
        for x in range(width):
            dense[:, y, x] = module.dense.weight[:, :, 0, 0] @ kept[:, y, x] + module.dense.bias
    rows = kept.reshape(channels, height * width)
    tokens = len(module.sparse.weight)
    sparse = torch.zeros(tokens, channels, dtype=embedding.dtype)
    for token in range(tokens):
        for channel in range(channels):
            total = (module.sparse.weight[token] * rows[channel]).sum()
            sparse[token, channel] = total + module.sparse.bias[token]
    return sparse, dense


@torch.no_grad()
@pytest.mark.parametrize("use_prior", [True, False])
def test_equation_4(generator: ClassPromptGenerator, use_prior: bool) -> None:
    generator.use_prior = use_prior
    embedding = torch.randn(4, 4, 3, 3, dtype=torch.float64)
    prior = torch.rand(4, 1, 3, 3, dtype=torch.float64)
    classes = torch.tensor([2, 0, 1, 2])
    sparse, dense = generator(embedding, prior, classes)
    for item, asked in enumerate(classes.tolist()):
        expected = prompts_by_loops(generator, embedding[item], prior[item, 0], asked)
        torch.testing.assert_close(sparse[item], expected[0], rtol=0, atol=1e-6)
        torch.testing.assert_close(dense[item], expected[1], rtol=0, atol=1e-6)


@torch.no_grad()
def test_only_the_asked_class_has_a_say(generator: ClassPromptGenerator) -> None:
    embedding = torch.randn(1, 4, 3, 3, dtype=torch.float64)
    prior = torch.rand(1, 1, 3, 3, dtype=torch.float64)
    asked = torch.tensor([1])
    before = generator(embedding, prior, asked)
    for other in (0, 2):
        generator.class_weight[other] += 1
        generator.class_bias[other] += 1
    for old, new in zip(before, generator(embedding, prior, asked), strict=True):
        assert torch.equal(old, new)
    generator.class_weight[1] += 1
    for old, new in zip(before, generator(embedding, prior, asked), strict=True):
        assert not torch.allclose(old, new)


@torch.no_grad()
def test_only_the_prior_switch_makes_it_blind_to_the_prior(generator: ClassPromptGenerator) -> None:
    embedding = torch.randn(1, 4, 3, 3, dtype=torch.float64)
    first, second = torch.rand(2, 1, 1, 3, 3, dtype=torch.float64)
    asked = torch.tensor([0])
    for use_prior in (True, False):
        generator.use_prior = use_prior
        pairs = zip(
            generator(embedding, first, asked), generator(embedding, second, asked), strict=True
        )
        assert all(torch.equal(a, b) is not use_prior for a, b in pairs)


@torch.no_grad()
def test_another_grid_is_averaged_for_the_sparse_head(generator: ClassPromptGenerator) -> None:
    """Of an embedding of 6x9, the sparse head sees the mean of each two by three cells."""
    embedding = torch.randn(1, 4, 6, 9, dtype=torch.float64)
    prior = torch.rand(1, 1, 6, 9, dtype=torch.float64)
    sparse, dense = generator(embedding, prior, torch.tensor([1]))
    weight, bias = generator.class_weight[1], generator.class_bias[1]
    group = torch.einsum("oc,chw->ohw", weight, (embedding * prior)[0]) + bias[:, None, None]
    means = torch.stack(
        [group[:, y : y + 2, x : x + 3].mean((1, 2)) for y in (0, 2, 4) for x in (0, 3, 6)]
    )
    expected = generator.sparse.weight @ means + generator.sparse.bias[:, None]
    torch.testing.assert_close(sparse[0], expected)
    assert generator.dense.bias is not None
    spread = torch.einsum("oc,chw->ohw", generator.dense.weight[:, :, 0, 0], group)
    torch.testing.assert_close(dense[0], spread + generator.dense.bias[:, None, None])
