from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tp_drseg.modules.precision import ExactParts, float32_or_longer, no_longer_than


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kept", torch.tensor([1 / 3]))
        self.register_buffer("rounded", torch.tensor([1 / 3]))


class Outer(ExactParts):
    mean: Tensor
    exact_buffers = ("mean", "inner.kept")

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([123.675]), persistent=False)
        self.weight = nn.Parameter(torch.tensor([1 / 3]))
        self.inner = Inner()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_named_buffers_are_not_rounded(dtype: torch.dtype) -> None:
    plain, module = Outer(), nn.Sequential(Outer()).to(dtype)[0]
    assert isinstance(module, Outer)
    assert module.weight.dtype == module.inner.rounded.dtype == dtype
    for name in module.exact_buffers:
        assert torch.equal(module.get_buffer(name), plain.get_buffer(name))
        assert module.get_buffer(name).dtype == torch.float32
    assert set(dict(module.named_buffers())) == {"mean", "inner.kept", "inner.rounded"}
    assert set(module.state_dict()) == {"weight", "inner.kept", "inner.rounded"}


def test_all_else_moves_them_too() -> None:
    assert Outer().to("meta").mean.device.type == "meta"
    assert Outer().to("meta", torch.bfloat16).mean.dtype == torch.float32
    assert Outer().double().mean.dtype == torch.float64


def test_float32_or_longer() -> None:
    x = torch.tensor([1 / 3], dtype=torch.float64)
    assert float32_or_longer(x) is x
    assert float32_or_longer(x.bfloat16()).dtype == torch.float32


class WithExactModule(ExactParts):
    def __init__(self) -> None:
        super().__init__()
        self.exact = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
        self.other = nn.Linear(1, 1)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 1 / 3)

    def exact_modules(self) -> list[nn.Module]:
        return [self.exact]


def test_named_modules_are_not_rounded() -> None:
    plain, module = WithExactModule(), nn.Sequential(WithExactModule()).to(torch.bfloat16)[0]
    assert isinstance(module, WithExactModule)
    assert {p.dtype for p in module.other.parameters()} == {torch.bfloat16}
    for name, value in plain.exact.state_dict().items():
        assert torch.equal(module.exact.state_dict()[name], value)
        assert module.exact.state_dict()[name].dtype == value.dtype
    assert {v.device.type for v in WithExactModule().to("meta").state_dict().values()} == {"meta"}
    assert next(WithExactModule().double().exact.parameters()).dtype == torch.float64


def test_no_longer_than() -> None:
    x = torch.tensor([1 / 3])
    assert no_longer_than(x, torch.bfloat16).dtype == torch.bfloat16
    assert no_longer_than(x, torch.float32) is x
    short = x.bfloat16()
    assert no_longer_than(short, torch.float32) is short
