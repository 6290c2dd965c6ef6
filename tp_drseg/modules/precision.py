"""What must not be rounded when a model computes in half precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class ExactParts(nn.Module):
    """A module of which some parts keep their type when the rest is turned into a shorter one.

    In bf16 a mean of 123.675 would be 123.5, and a frequency that encodes places would be another.
    """

    exact_buffers: ClassVar[tuple[str, ...]] = ()
    """Names of such buffers, as `get_buffer` knows them."""

    def exact_modules(self) -> Iterable[nn.Module]:
        """Modules in this one that are such parts as a whole."""
        return ()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ExactParts:
        kept = [(store, name, store[name].data) for store, name in self._exact_tensors()]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for store, name, before in kept:
            after = store[name]
            if after.dtype.itemsize < min(before.dtype.itemsize, torch.float32.itemsize):
                after.data = before.to(after.device, torch.float32)
        return self

    def _exact_tensors(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Where a module keeps each of them, and by which name."""
        for name in self.exact_buffers:
            owner, _, own_name = name.rpartition(".")
            yield self.get_submodule(owner)._buffers, own_name
        for part in self.exact_modules():
            for module in part.modules():
                for store in (module._parameters, module._buffers):
                    yield from ((store, name) for name, value in store.items() if value is not None)


def float32_or_longer(x: Tensor) -> Tensor:
    """Values in float32, or as they are in float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def no_longer_than(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Values in a type, unless they are in a shorter one already, as those of autocast are."""
    return x.to(dtype) if x.dtype.itemsize > dtype.itemsize else x
