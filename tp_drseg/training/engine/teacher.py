"""The mean teacher: the moving average of the weights, whose answers the student learns from.

Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tp_drseg.modules.network import TPDRSegNetwork
from tp_drseg.modules.points import Points
from tp_drseg.training.data.batch import Batch
from tp_drseg.training.engine.average import EMA


class Teacher:
    """What a network with the average of its weights says of crops.

    Args:
        network: The network.
        parameters: What learns in it, by name.
        average: Their average, in the same order.
        bf16: Whether to compute in bf16 mixed precision.
    """

    def __init__(
        self,
        network: TPDRSegNetwork,
        parameters: Mapping[str, nn.Parameter],
        average: EMA,
        bf16: bool,
    ) -> None:
        self.network, self.average, self.bf16 = network, average, bf16
        self._names = tuple(parameters)

    @torch.no_grad()
    def answer(self, batch: Batch) -> Tensor:
        """Return the probabilities for a batch's made crops, `(M, L, h, w)` on the CPU.

        They are 0 where nothing is asked, since all of a crop is known.
        """
        rows = [made.row for made in batch.made]
        answers = torch.zeros_like(batch.targets[rows])
        if batch.scored is None:
            return answers
        asked = [i for i, row in enumerate(rows) if not bool(batch.scored[row].all())]
        if asked:
            answers[asked] = self._probabilities(batch, [rows[i] for i in asked])
        return answers

    def _probabilities(self, batch: Batch, rows: Sequence[int]) -> Tensor:
        device = self.network.device
        places = torch.tensor(rows, device="cpu")
        points = None
        if batch.points is not None:
            count = batch.classes.shape[1]
            own = (places[:, None] * count + torch.arange(count, device="cpu")).flatten()
            points = Points(batch.points.coords[own], batch.points.labels[own]).to(device)
        inputs = (batch.images, batch.priors, batch.classes)
        given = (*(x[places].to(device) for x in inputs), points)
        weights = dict(zip(self._names, self.average.values, strict=True))
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            logits: Tensor = functional_call(self.network, weights, given)
        return logits.float().sigmoid().cpu()


def consistency_loss(logits: Tensor, answers: Tensor, open_: Tensor, sure: float) -> Tensor:
    """Return the mean squared difference from a teacher, mask by mask.

    `sum(c (sigmoid(logits) - t)^2) / sum(c)`, where `c` is 1 on the pixels that are open and on
    which the teacher's `t` is at least `sure` or at most `1 - sure`.

    Args:
        logits: `(M, L, h, w)` of the student.
        answers: the same shape in [0, 1], `t`.
        open_: the same shape, true where nothing is known but what the teacher says.
        sure: from 0.5 on, which leaves out nothing.

    Returns:
        `(M, L)`; 0 where no pixel counts.
    """
    counted = open_ & ((answers >= sure) | (answers <= 1 - sure))
    error = (logits.sigmoid() - answers) ** 2 * counted
    return error.sum(dim=(-2, -1)) / counted.sum(dim=(-2, -1)).clamp(min=1)
