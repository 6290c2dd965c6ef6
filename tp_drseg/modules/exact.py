"""Constants that must not be rounded when a model computes in half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn


class ExactBuffers(nn.Module):
    """A module of which some buffers keep their type when the rest is turned into a shorter one.

    In bf16 a mean of 123.675 would be 123.5, and a frequency that encodes places would be another.
    """

    exact_buffers: ClassVar[tuple[str, ...]] = ()
    """Their names, as `get_buffer` knows them."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ExactBuffers:
        before = {name: self.get_buffer(name) for name in self.exact_buffers}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            owner, _, own_name = name.rpartition(".")
            after = self.get_buffer(name)
            if after.dtype.itemsize < buffer.dtype.itemsize:
                setattr(self.get_submodule(owner), own_name, buffer.to(after.device))
        return self


def float32_or_longer(x: Tensor) -> Tensor:
    """Values in float32, or as they are in float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
