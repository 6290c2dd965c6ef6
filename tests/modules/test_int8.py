from __future__ import annotations

import pytest
import torch

from tp_drseg.modules.int8 import Int8Embedding, Int8Linear, Int8Matrix, quantize_rows


def test_rounding_is_off_by_half_a_scale_at_most() -> None:
    torch.manual_seed(0)
    weight = torch.randn(7, 50) * torch.logspace(-2, 2, 7)[:, None]
    weight[3] = 0
    numbers, scale = quantize_rows(weight)
    assert numbers.dtype == torch.int8 and scale.dtype == torch.float32
    assert torch.equal(scale.half().float(), scale)  # stored in half precision as it is
    assert ((numbers * scale - weight).abs() <= scale / 2 * 1.001 + 1e-12).all()
    assert (numbers.abs().amax(dim=1)[[0, 1, 2, 4, 5, 6]] >= 126).all()  # nothing wasted
    assert not (numbers[3] * scale[3]).any()


def test_linear_and_embedding_give_what_the_matrix_gives() -> None:
    torch.manual_seed(1)
    weight, x = torch.randn(5, 8), torch.randn(2, 3, 8)
    linear, table = Int8Linear(8, 5), Int8Embedding(5, 8)
    linear.set(weight)
    table.set(weight)
    linear.bias.data.normal_()
    rounded = linear.weight.double() * linear.scale.double()
    expected = x.double() @ rounded.T + linear.bias.double()
    torch.testing.assert_close(linear(x).double(), expected, rtol=1e-5, atol=1e-5)
    indices = torch.tensor([[4, 0], [2, 2]])
    torch.testing.assert_close(table(indices).double(), rounded[indices], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numbers_stay_in_8_bits_whatever_the_type(dtype: torch.dtype) -> None:
    linear = Int8Linear(4, 3).to(dtype)
    assert linear.weight.dtype == torch.int8 and linear.scale.dtype == dtype
    assert not any(p.requires_grad for p in linear.parameters())
    assert linear(torch.ones(1, 4, dtype=dtype)).dtype == dtype


def test_products_are_those_of_the_whole_matrix() -> None:
    torch.manual_seed(0)
    matrix, x = Int8Matrix(600, 24), torch.randn(3, 24)
    assert torch.equal(matrix.products(x).argmax(dim=1), (x @ matrix().T).argmax(dim=1))
    torch.testing.assert_close(matrix.products(x), x @ matrix().T)
