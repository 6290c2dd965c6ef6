from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from timm.models import tiny_vit
from torch import Tensor, nn

from tp_drseg.modules.fused import FoldedConvNorm, LinearGELU, fuse_layers


def seeded(module: nn.Module) -> nn.Module:
    """Random weights and statistics: those of a fresh batch norm would hide what folding does."""
    torch.manual_seed(0)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data.uniform_(0.2, 1.0).mul_(torch.randn_like(tensor.data).sign())
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None:
            norm.running_var.abs_()
    return module.eval()


def own(module: nn.Module) -> nn.Module:
    fused = copy.deepcopy(module)
    fuse_layers(fused)
    return fused


MODULES = {
    "stem": lambda: tiny_vit.PatchEmbed(3, 8, nn.GELU),
    "convolutions": lambda: tiny_vit.MBConv(8, 8, 4.0, nn.GELU, 0.0),
    "downsampling": lambda: tiny_vit.PatchMerging(8, 12, nn.GELU),
    "perceptron": lambda: tiny_vit.NormMlp(8, 32),
}
INPUTS = {
    "stem": (2, 3, 20, 28),
    "convolutions": (2, 8, 9, 12),
    "downsampling": (2, 8, 10, 6),
    "perceptron": (2, 5, 8),
}


@pytest.fixture(params=list(MODULES))
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module, Tensor]:
    """A module of timm's, ours of the same weights, and an input."""
    module = seeded(MODULES[request.param]())
    return module, own(module), torch.randn(INPUTS[request.param])


def test_names_stay(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    theirs, ours, _ = pair
    assert list(theirs.state_dict()) == list(ours.state_dict())
    left = [name for name, module in ours.named_modules() if isinstance(module, nn.GELU)]
    assert left in ([], ["act3"])  # the one after a residual
    assert any(isinstance(module, (FoldedConvNorm, LinearGELU)) for module in ours.modules())


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_answers_equal_timms(pair: tuple[nn.Module, nn.Module, Tensor], kind: torch.dtype) -> None:
    theirs, ours, x = pair[0].to(kind), pair[1].to(kind), pair[2].to(kind)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x.clone()), theirs(x.clone()), rtol=1e-5, atol=1e-5)


def test_half_precision_is_no_worse_than_timms(
    pair: tuple[nn.Module, nn.Module, Tensor],
) -> None:
    theirs, ours, x = pair
    with torch.inference_mode():
        exact = theirs(x.clone())
        errors = [
            (copy.deepcopy(module).to(torch.bfloat16)(x.bfloat16()).float() - exact).norm()
            for module in (theirs, ours)
        ]
    assert errors[1] <= 1.2 * errors[0]


def test_gradients_equal_timms(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    theirs, ours, x = pair[0].double(), pair[1].double(), pair[2].double()
    found: list[list[Any]] = []
    for module in (theirs, ours):
        own_x = x.clone().requires_grad_()
        module(own_x * 1.0).square().sum().backward()
        found.append([own_x.grad, *(p.grad for p in module.parameters())])
    torch.testing.assert_close(found[0], found[1])


def test_autocast_computes_in_its_own_type(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    _, ours, x = pair
    layer = next(m for m in ours.modules() if isinstance(m, (FoldedConvNorm, LinearGELU)))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    with torch.no_grad():
        assert layer(x).dtype == torch.float32


def test_a_batch_norm_that_learns_its_statistics_is_not_folded() -> None:
    theirs = seeded(tiny_vit.ConvNorm(3, 4, 3)).train()
    ours: Any = own(theirs)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.bn.running_mean, theirs.get_buffer("bn.running_mean"))


def test_another_activation_stays() -> None:
    module = seeded(tiny_vit.PatchEmbed(3, 8, nn.ReLU))
    ours, x = own(module), torch.randn(1, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), module(x), rtol=1e-5, atol=1e-5)
