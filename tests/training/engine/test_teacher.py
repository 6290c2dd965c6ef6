from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.batch import collate
from tp_drseg.training.data.made_crops import MadeCrops
from tp_drseg.training.engine.average import EMA
from tp_drseg.training.engine.parameter_groups import parameter_groups
from tp_drseg.training.engine.teacher import Teacher, consistency_loss

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_loss_against_its_equation() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 7, generator=generator)
    answers = torch.rand(2, 3, 5, 7, generator=generator)
    left_open = torch.rand(2, 3, 5, 7, generator=generator) < 0.6
    left_open[1, 2] = False
    for sure in (0.5, 0.8):
        found = consistency_loss(logits, answers, left_open, sure)
        assert found.shape == (2, 3)
        for m in range(2):
            for i in range(3):
                s = 1 / (1 + np.exp(-logits[m, i].double().numpy()))
                t, o = answers[m, i].double().numpy(), left_open[m, i].numpy()
                counted = [
                    (a - b) ** 2
                    for a, b, known in zip(s.flat, t.flat, o.flat, strict=True)
                    if known and (b >= sure or b <= 1 - sure)
                ]
                expected = sum(counted) / max(1, len(counted))
                assert float(found[m, i]) == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def crops(model: TPDRSeg, photograph: Callable[..., AnnotatedImage]) -> MadeCrops:
    images = [
        photograph("one", 1), photograph("healthy", 3, lesions=False),
        photograph("unknown", 4, lesions=False, annotated=(False,) * 3),
    ]  # fmt: skip
    config = TrainingConfig(steps=9, unlabelled_share=0.7, lesions_per_crop=0, points=1.0)
    return MadeCrops(model, images, config)


def test_it_answers_with_the_average_where_nothing_is_known(
    model: TPDRSeg, crops: MadeCrops
) -> None:
    network = model.network.train()
    parameters = {
        name: p for own in parameter_groups(network, {}).values() for name, p in own.items()
    }
    average = EMA(list(parameters.values()), 0.9)
    before = {name: p.detach().clone() for name, p in parameters.items()}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in parameters.values():
            p.add_(torch.randn(p.shape, generator=generator), alpha=0.05)
    student = {name: p.detach().clone() for name, p in parameters.items()}
    batch = collate([crops[number] for number in range(8)])
    hosts = [batch.names[made.row].split("+")[0] for made in batch.made]
    assert {*hosts} == {"healthy", "unknown"} and len(hosts) < 8
    found = Teacher(network, parameters, average, bf16=False).answer(batch)
    assert not found.requires_grad
    assert all(torch.equal(p, student[name]) for name, p in parameters.items())

    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(before[name])
        logits = network(batch.images, batch.priors, batch.classes, batch.points)
    for place, (made, host) in enumerate(zip(batch.made, hosts, strict=True)):
        if host == "unknown":
            torch.testing.assert_close(found[place], logits[made.row].sigmoid())
        else:
            assert not found[place].any()


def test_nothing_is_asked_where_all_is_known(crops: MadeCrops) -> None:
    class Refusing(nn.Module):
        def forward(self, *given: object) -> None:
            raise AssertionError

    parameter = nn.Parameter(torch.zeros(1))
    teacher = Teacher(Refusing(), {}, EMA([parameter], 0.5), bf16=False)  # type: ignore[arg-type]
    made = (crops[number] for number in range(40))
    healthy = next(b for b in made if b.made and b.names[0].startswith("healthy"))
    assert not teacher.answer(healthy).any()
    assert not teacher.answer(replace(healthy, scored=torch.ones_like(healthy.targets))).any()
