from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tp_drseg.config import LearnedPhotograph, OperatingPoint
from tp_drseg.errors import ConfigError, LesionError
from tp_drseg.lesions import Description, Lesion
from tp_drseg.model import TPDRSeg
from tp_drseg.training.start import start_from, with_lesions

DISC = Lesion("optic disc", "OD", (), (Description("bright round disc"),))


def logits(model: TPDRSeg, classes: list[int]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 64, 64, generator=generator) * 255
    priors = torch.rand(1, len(classes), 4, 4, generator=generator)
    with torch.inference_mode():
        return model.network.eval()(images, priors, torch.tensor(classes))


LEARNED = (LearnedPhotograph(name="eye1", sha256="0" * 64),)


@pytest.fixture
def parent(model: TPDRSeg, stir: Callable[[TPDRSeg], TPDRSeg]) -> TPDRSeg:
    model = stir(model.network)
    model.model_id, model.revision = "org/eyes", "abc"
    model.config = model.config.replace(
        provenance={"facts": {"Training": "long"}, "photographs": LEARNED},
        inference={"operating_points": {"hard exudate": OperatingPoint(threshold=0.25)}},
    )
    return model


def test_start_from_the_same(parent: TPDRSeg) -> None:
    child = start_from(parent, {})
    assert torch.equal(logits(child, [0, 2]), logits(parent, [0, 2]))
    assert child.config.provenance.parent == "org/eyes@abc"
    assert not child.config.provenance.facts and not child.config.inference.operating_points
    assert child.config.provenance.photographs == LEARNED


def test_start_from_with_changes(parent: TPDRSeg) -> None:
    child = start_from(
        parent,
        {
            "architecture": {"injector_blocks": (3,), "sparse_tokens": 5},
            "inference": {"working_diameter": 96},
        },
    )
    assert child.config.inference.working_diameter == 96
    own, given = child.network.state_dict(), parent.network.state_dict()
    anew = {name for name in own if name not in given or own[name].shape != given[name].shape}
    assert {name.split(".")[0] for name in anew} <= {"image_encoder", "prompt_generator"}
    assert "prompt_generator.sparse.weight" in anew
    assert all(torch.equal(own[name], given[name]) for name in own.keys() - anew)


def test_start_from_with_impossible_changes(parent: TPDRSeg) -> None:
    with pytest.raises(ConfigError, match="colour"):
        start_from(parent, {"colour": "red"})
    with pytest.raises(ConfigError, match="sparse_tokens"):
        start_from(parent, {"architecture": {"sparse_tokens": 0}})


def test_more_lesions(parent: TPDRSeg) -> None:
    child = with_lesions(parent, [DISC])
    assert child.catalog.names == (*parent.catalog.names, "optic disc")
    assert child.config.provenance.parent == "org/eyes@abc" and not child.config.provenance.facts
    assert child.config.provenance.photographs == LEARNED
    assert child.config.inference.operating_points == parent.config.inference.operating_points
    assert torch.equal(logits(child, [0, 1, 2]), logits(parent, [0, 1, 2]))
    # the new group is another than those that were trained
    new = logits(child, [3])
    assert new.isfinite().all() and not torch.equal(new, logits(child, [0]))
    assert not child.network.prompt_generator.class_bias[3].any()


def test_a_name_that_is_taken(parent: TPDRSeg) -> None:
    with pytest.raises(LesionError, match="EX"):
        with_lesions(parent, [Lesion("drusen", "EX", (), (Description("pale dots"),))])
