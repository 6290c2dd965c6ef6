"""Frozen weights in 8 bits: a whole number for each value, and a scale for each row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ROWS_AT_ONCE = 256  # they fit into a processor's cache


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a matrix as whole numbers and the scale of each row (symmetric, nearest).

    Args:
        weight: `(N, C)`, floating point.

    Returns:
        `(N, C)` int8 from -127 to 127, and `(N, 1)` float32 that half precision holds exactly, so
        that a checkpoint stored in it loses nothing more. Their product is off by at most half a
        scale.

    Example:
        >>> numbers, scale = quantize_rows(torch.tensor([[0.5, -1.0], [0.0, 0.0]]))
        >>> numbers.tolist()
        [[63, -127], [0, 0]]
    """
    # rounded up to half precision: rounded down, the largest value would need 128
    scale = (weight.abs().amax(dim=1, keepdim=True) / 127 * 1.0005).half().float()
    numbers = weight / torch.where(scale > 0, scale, torch.ones_like(scale))
    return numbers.round().clamp(-127, 127).to(torch.int8), scale


class Int8Matrix(nn.Module):
    """A frozen matrix `(N, C)` in 8 bits, random until it is loaded.

    Args:
        rows: N.
        columns: C.
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(rows, columns, dtype=torch.int8), requires_grad=False
        )
        self.scale = nn.Parameter(torch.empty(rows, 1), requires_grad=False)
        nn.init.constant_(self.scale, columns**-0.5 / 73)  # 73: root mean square of the numbers
        self.weight.random_(-127, 128)

    def forward(self) -> Tensor:
        """Return the matrix, `(N, C)`."""
        return self.weight.to(self.scale.dtype) * self.scale

    def products(self, x: Tensor) -> Tensor:
        """Return the products of vectors `(T, C)` with all rows, `(T, N)`.

        A few rows at a time, so that the matrix never stands in memory in longer numbers.
        """
        parts = [F.linear(x, rows.to(x.dtype)) for rows in torch.split(self.weight, _ROWS_AT_ONCE)]
        return torch.cat(parts, dim=-1) * self.scale[:, 0].to(x.dtype)

    @torch.no_grad()
    def set(self, weight: Tensor) -> None:
        """Take the values of a matrix of the same shape, rounded to 8 bits."""
        numbers, scale = quantize_rows(weight)
        self.weight.copy_(numbers)
        self.scale.copy_(scale)


class Int8Linear(Int8Matrix):
    """A linear layer `(C) -> (N)` with a frozen 8-bit matrix and a bias."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(out_features, in_features)
        self.bias = nn.Parameter(torch.zeros(out_features), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Map `(..., C)` to `(..., N)`; rows are scaled after the product, which is shorter."""
        product = F.linear(x, self.weight.to(x.dtype))
        return torch.addcmul(self.bias.to(x.dtype), product, self.scale[:, 0].to(x.dtype))


class Int8Embedding(Int8Matrix):
    """A frozen table of N vectors of C values in 8 bits."""

    def forward(self, indices: Tensor) -> Tensor:  # type: ignore[override]
        """Return the vectors of int64 indices `(...)`, `(..., C)`."""
        return self.weight[indices].to(self.scale.dtype) * self.scale[indices]
