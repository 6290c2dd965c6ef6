"""The moving average of what learns, which a run ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class EMA:
    """An exponential moving average of parameters, on PyTorch's `AveragedModel`.

    After `n` updates the decay is `min(decay, (1 + n) / (10 + n))`: a young average forgets the
    first steps sooner. With `steps`, `1 - (1 - decay) (1 + cos(pi n / steps)) / 2` stands in the
    place of `decay`: it rises to 1.

    Args:
        parameters: what learns; their order stays.
        decay: share of the average that an update keeps; 0 for no average at all.
        steps: after how many updates it shall be 1; None for a constant one.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], decay: float, steps: int | None = None
    ) -> None:
        def blend(averages: list[Tensor], values: list[Tensor], updates: Tensor | int) -> None:
            count = int(updates)
            most = decay
            if steps is not None:
                most = 1 - (1 - decay) * (1 + math.cos(math.pi * count / steps)) / 2
            kept = min(most, (1 + count) / (10 + count))
            torch._foreach_lerp_(averages, values, 1 - kept)

        # of these alone, not of the model: most of it is frozen
        self._parameters = nn.ParameterList(parameters)
        self._average = AveragedModel(self._parameters, multi_avg_fn=blend)  # type: ignore[arg-type]
        self._average.update_parameters(self._parameters)  # the first one copies

    @property
    def values(self) -> list[Tensor]:
        """The average of each parameter."""
        return [p.detach() for p in self._average.module.parameters()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are after a step."""
        self._average.update_parameters(self._parameters)

    @torch.no_grad()
    def restore(self, values: Sequence[Tensor], updates: int) -> None:
        """Put back an average as it was after so many updates."""
        for own, value in zip(self.values, values, strict=True):
            own.copy_(value)
        self._average.n_averaged.fill_(updates + 1)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the parameters; a second time undoes it."""
        for own, parameter in zip(self.values, self._parameters, strict=True):
            value = parameter.detach().clone()
            parameter.copy_(own)
            own.copy_(value)
