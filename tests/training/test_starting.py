from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tp_drseg.config import LearnedPhotograph, OperatingPoint
from tp_drseg.errors import CheckpointError, ConfigError, LesionError, TrainingError
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.run_config import ModelChanges, StartConfig
from tp_drseg.training.starting import Start, child_of, inherited_points, open_start, parent_name

DISC = Lesion("optic disc", "OD", (), (Description("bright round disc"),))
LEARNED = LearnedPhotograph(name="eye1", sha256="0" * 64)


def logits(model: TPDRSeg, classes: list[int]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 64, 64, generator=generator) * 255
    priors = torch.rand(1, len(classes), 4, 4, generator=generator)
    with torch.inference_mode():
        found: Tensor = model.network.eval()(images, priors, torch.tensor(classes))
    return found


@pytest.fixture
def parent(model: TPDRSeg, stir: Callable[..., Any], tmp_path: Path) -> Path:
    """A saved model whose parts all have a say."""
    stir(model.network)
    model.config = model.config.replace(
        provenance={"facts": {"Training": "long"}, "photographs": (LEARNED,)},
        inference={"operating_points": {"hard exudate": OperatingPoint(threshold=0.25)}},
    )
    return model.save_pretrained(tmp_path / "parent")


def start(parent: Path, **fields: Any) -> Start:
    return open_start(StartConfig(checkpoint=str(parent), **fields))


def parent_of(opened: Start) -> TPDRSeg:
    assert opened.parent is not None
    return opened.parent


def test_from_a_trained_model(parent: Path) -> None:
    opened = start(parent)
    child = opened.build(None, seed=0)
    assert torch.equal(logits(child, [0, 2]), logits(parent_of(opened), [0, 2]))
    provenance = child.config.provenance
    assert provenance.parent == str(parent) and not provenance.facts
    assert provenance.photographs == (LEARNED,)  # which the child has learned from, too
    assert not opened.taught and not opened.trains_clip


def test_with_changes(parent: Path) -> None:
    changes = ModelChanges(
        architecture={"injector_blocks": (3,), "sparse_tokens": 5},
        inference={"working_diameter": 96},
    )
    opened = start(parent, changes=changes)
    child = opened.build(None, seed=0)
    assert child.config.inference.working_diameter == 96
    own, given = child.network.state_dict(), parent_of(opened).network.state_dict()
    anew = {name for name in own if name not in given or own[name].shape != given[name].shape}
    assert {name.split(".")[0] for name in anew} <= {"image_encoder", "prompt_generator"}
    assert "prompt_generator.sparse.weight" in anew
    assert all(torch.equal(own[name], given[name]) for name in own.keys() - anew)


def test_more_lesions(parent: Path) -> None:
    opened = start(parent, lesions=LesionCatalog((DISC,)))
    child, before = opened.build(None, seed=0), parent_of(opened)
    assert opened.taught == ("optic disc",)
    assert child.catalog.names == (*before.catalog.names, "optic disc") == opened.catalog.names
    assert torch.equal(logits(child, [0, 1, 2]), logits(before, [0, 1, 2]))
    # the new group is another than those that were trained
    new = logits(child, [3])
    assert new.isfinite().all() and not torch.equal(new, logits(child, [0]))
    assert not child.network.prompt_generator.class_bias[3].any()


def test_a_name_that_is_taken(parent: Path) -> None:
    taken = Lesion("drusen", "EX", (), (Description("pale dots"),))
    with pytest.raises(LesionError, match="EX"):
        start(parent, lesions=LesionCatalog((taken,)))


def test_the_seed_alone_decides(parent: Path) -> None:
    """And nobody's generator is touched."""
    opened = start(parent, lesions=LesionCatalog((DISC,)))
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (opened.build(None, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(logits(one, [3]), logits(same, [3]))
    assert not torch.equal(logits(one, [3]), logits(other, [3]))


def test_nothing_fits(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = start(parent)
    model = parent_of(opened)
    state = {name: value[..., None] for name, value in model.network.state_dict().items()}
    monkeypatch.setattr(model.network, "state_dict", lambda: state)
    with pytest.raises(TrainingError, match="Not one tensor"):
        child_of(model, opened.config)


def test_operating_points_of_what_learns(parent: Path) -> None:
    """The threshold is the best guess until another is chosen; its figures no longer hold."""
    model = parent_of(start(parent))
    points = {
        name: OperatingPoint(threshold=0.25, sensitivity=0.5, precision=0.5, chosen_on="three eyes")
        for name in ("haemorrhage", "hard exudate")
    }
    model.config = model.config.replace(inference={"operating_points": points})
    found = inherited_points(model, ["hard exudate"])
    assert found["haemorrhage"] == points["haemorrhage"]
    changed = found["hard exudate"]
    assert changed.threshold == 0.25 and changed.sensitivity is None and changed.precision is None
    assert "before more was learned: three eyes" in changed.chosen_on


def test_the_name_of_a_parent(model: TPDRSeg) -> None:
    assert parent_name(model) == "a model that was not saved"
    model.model_id, model.revision = "org/eyes", "abc"
    assert parent_name(model) == "org/eyes@abc"


@pytest.fixture
def sam(tmp_path: Path) -> Path:
    """Something that has the outside of a SAM of the size vit_b."""
    position = torch.zeros(1, 64, 64, 768)
    tensors = {"image_encoder.pos_embed": position, "mask_decoder.x": position}
    torch.save(tensors, tmp_path / "sam.pth")
    return tmp_path / "sam.pth"


def test_another_sam_than_the_recipe_s(sam: Path) -> None:
    found = hashlib.sha256(sam.read_bytes()).hexdigest()
    with pytest.raises(CheckpointError, match=f"(?s)sam.pth.*{found}.*{'1' * 64}.*sam_sha256"):
        open_start(StartConfig(sam=str(sam), sam_sha256="1" * 64, clip="x"))
    for expected in (found, None):  # the very one, or any
        opened = open_start(StartConfig(sam=str(sam), sam_sha256=expected, clip="x"))
        assert opened.config.architecture.image_encoder.kind == "vit"


def test_a_clip_is_missing(sam: Path) -> None:
    with pytest.raises(ConfigError, match=r"start\.clip is missing.* vit_b"):
        open_start(StartConfig(sam=str(sam)))


def test_a_sam_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no\.pt"):
        open_start(StartConfig(sam=str(tmp_path / "no.pt"), sam_sha256="1" * 64))


def test_backbones_of_the_size_tiny(mobile_sam: Path) -> None:
    opened = open_start(StartConfig(sam=str(mobile_sam)))
    assert opened.trains_clip and opened.parent is None and not opened.taught
    model = opened.build(None, seed=3)  # with an untrained CLIP, as a dry run takes it
    assert model.config.architecture.image_encoder.kind == "tiny_vit"
    again = opened.build(None, seed=3).network.state_dict()
    assert all(torch.equal(v, again[k]) for k, v in model.network.state_dict().items())
