from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from tests.support.annotated import annotated
from tp_drseg.errors import TrainingError
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.points import PADDING
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.batch import Batch, collate
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.data.made import Donor, finish
from tp_drseg.training.data.made_crops import MadeCrops, crops_of
from tp_drseg.training.data.paste import soft_border

HE, EX, SE = 0, 1, 2
MakeMade = Callable[..., MadeCrops]
ALL = {"unlabelled_share": 1.0, "lesions_per_crop": 0, "points": 0.0}
STILL = {**ALL, "photometric": False, "geometric": False, "scales": (1.0, 1.0)}


@pytest.fixture
def unlabelled(photograph: Callable[..., AnnotatedImage]) -> list[AnnotatedImage]:
    """Two annotated photographs, one without lesions, one of which nothing is known."""
    return [
        photograph("one", 1), photograph("two", 2), photograph("healthy", 3, lesions=False),
        photograph("unknown", 4, lesions=False, annotated=(False,) * 3),
    ]  # fmt: skip


@pytest.fixture
def make_made(model: TPDRSeg, unlabelled: list[AnnotatedImage]) -> MakeMade:
    def make(photographs: list[AnnotatedImage] = unlabelled, **fields: Any) -> MadeCrops:
        config = TrainingConfig.model_validate({"steps": 10, **fields})
        return MadeCrops(model, photographs, config)

    return make


def no_answer(batch: Batch) -> Tensor:
    return torch.zeros_like(batch.targets[[made.row for made in batch.made]])


def donor_of(batch: Batch) -> Donor:
    donor = batch.made[0].donor
    assert donor is not None
    return donor


def touched_by(regions: Tensor) -> Tensor:
    """The pixels of the target that a pasted region or its border reaches."""
    return F.max_pool2d((soft_border(regions) > 0)[None].float(), 2)[0] > 0


def tensors(batch: Batch) -> list[Tensor]:
    found = [batch.images, batch.priors, batch.targets, batch.classes]
    found += [] if batch.scored is None else [batch.scored]
    for made in batch.made:
        if made.donor is not None:
            found += [x for x in vars(made.donor).values() if isinstance(x, Tensor)]
    return found


def same(one: Batch, other: Batch) -> bool:
    assert one.names == other.names
    assert [m.light for m in one.made] == [m.light for m in other.made]
    pairs = zip(tensors(one), tensors(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_made_crop_as_it_is(make_made: MakeMade) -> None:
    """Before a teacher has seen it: the host's pixels, and nothing that is known to be there."""
    crops = make_made(**ALL)
    for number in range(12):
        batch = crops[number]
        assert batch.names == (crops.name(number),) and len(batch.made) == 1
        host, donor = batch.names[0].split("+")
        assert host in {"healthy", "unknown"} and donor in {"one", "two"}
        assert not batch.targets.any()
        assert (batch.scored is None) == (host == "healthy")
        assert batch.scored is None or not batch.scored.any()
        assert batch.made[0].light is not None
        assert donor_of(batch).masks.shape == (3, 64, 64)
        assert donor_of(batch).priors.shape == (3, 4, 4)


def test_what_is_pasted_and_what_stays(make_made: MakeMade) -> None:
    crops, seen = make_made(**STILL), 0
    for number in range(30):
        batch = crops[number]
        donor = donor_of(batch)
        done, left_open = finish(batch, no_answer(batch))
        share = soft_border(donor.regions)
        assert same(batch, crops[number])  # it is left as it is
        assert torch.equal(done.images[0][:, share == 0], batch.images[0][:, share == 0])
        inner = donor.regions > 0
        torch.testing.assert_close(done.images[0][:, inner], donor.image[:, inner])
        assert torch.equal(done.targets[0], F.avg_pool2d(donor.masks * inner, 2))
        touched = touched_by(donor.regions).expand(3, -1, -1)
        assert done.scored is not None
        if batch.names[0].startswith("unknown"):
            assert torch.equal(done.scored[0] > 0, touched)
            assert torch.equal(left_open[0], ~touched)
        else:
            assert done.scored.all() and not left_open.any()
        cells = F.adaptive_max_pool2d(share[None], (4, 4))[0] > 0
        assert torch.equal(done.priors[0][:, ~cells], batch.priors[0][:, ~cells])
        assert torch.equal(done.priors[0][:, cells], donor.priors[:, cells])
        seen += bool(inner.any())
    assert seen > 15


def test_pasted_lesions_look_like_lesions(make_made: MakeMade) -> None:
    """Where the target says exudate, the finished crop is bright."""
    crops, seen = make_made(**STILL), 0
    for number in range(30):
        done, _ = finish(crops[number], no_answer(crops[number]))
        on = done.targets[0, EX] > 0.99
        if on.any():
            seen += 1
            green = F.avg_pool2d(done.images[0, 1:2], 2)[0]
            assert green[on].min() > 150
    assert seen > 5


def test_nothing_lands_outside_or_on_what_the_teacher_sees(
    make_made: MakeMade, unlabelled: list[AnnotatedImage]
) -> None:
    field = torch.zeros_like(unlabelled[3].field_of_view)
    field[:, :, :40] = 1
    host = replace(unlabelled[3], field_of_view=field)
    crops = make_made([*unlabelled[:2], host], **STILL)
    left = 0
    for number in range(40):
        batch = crops[number]
        done, _ = finish(batch, no_answer(batch))
        changed = (done.images != batch.images).any(dim=1)[0]
        if crops.extent >= 1:  # the crop is the whole photograph, 64 pixels for 80
            assert not changed[:, 33:].any()
        left += bool(done.targets.any())
        silent, left_open = finish(batch, torch.ones_like(no_answer(batch)))
        assert torch.equal(silent.images, batch.images) and not silent.targets.any()
        assert left_open.all()
    assert left > 3


def test_a_teacher_that_sees_one_of_two_lesions(make_made: MakeMade) -> None:
    masks = torch.zeros(3, 64, 64, dtype=torch.uint8)
    masks[HE, 20:24, 20:24] = masks[EX, 40:44, 40:44] = 1
    crops = make_made([flat("donor", masks), flat("host", torch.zeros_like(masks))], **STILL)
    seen = 0
    for number in range(20):
        batch = crops[number]
        donor = donor_of(batch)
        gone, stays = (donor.regions * (donor.masks[i] > 0) for i in (HE, EX))
        if not gone.any() or not stays.any():
            continue
        seen += 1
        answer = no_answer(batch)
        answer[0, SE] = F.max_pool2d((gone > 0)[None].float(), 2)[0]
        done, _ = finish(batch, answer)
        assert torch.equal(done.images[0][:, gone > 0], batch.images[0][:, gone > 0])
        assert not done.targets[0, HE].any()
        assert torch.equal(done.targets[0, EX], F.avg_pool2d(donor.masks[EX][None], 2)[0])
    assert seen > 3


def test_what_the_donor_was_not_annotated_for_stays_open_to_none(
    make_made: MakeMade, photograph: Callable[..., AnnotatedImage], unlabelled: list[AnnotatedImage]
) -> None:
    donor = photograph("one", 1, annotated=(True, True, False))
    crops = make_made([donor, unlabelled[2]], **STILL)
    batch = next(b for b in (crops[n] for n in range(20)) if donor_of(b).regions.any())
    done, left_open = finish(batch, no_answer(batch))
    assert done.scored is not None
    touched = touched_by(donor_of(batch).regions)
    assert not done.scored[0, SE][touched].any() and done.scored[0, SE][~touched].all()
    assert done.scored[0, HE].all()
    assert not left_open.any()


def test_share_of_made_crops(make_made: MakeMade, model: TPDRSeg) -> None:
    crops = make_made(unlabelled_share=0.4, lesion_free_share=0.0)
    hosts = Counter(crops.name(number).split("+")[0] for number in range(400))
    assert hosts["healthy"] + hosts["unknown"] == pytest.approx(160, abs=40)
    assert min(hosts["healthy"], hosts["unknown"]) > 50
    for number in range(10):
        is_made = crops.name(number).split("+")[0] in {"healthy", "unknown"}
        assert bool(crops[number].made) == is_made
    none = crops_of(model, crops.images, TrainingConfig(steps=1))
    assert type(none) is Crops
    with pytest.raises(TrainingError, match="no photograph without masks"):
        make_made(crops.images[:2], unlabelled_share=0.4)


def test_seed_and_number_alone(make_made: MakeMade) -> None:
    crops, again = (make_made(seed=3, unlabelled_share=0.6, points=0.5) for _ in range(2))
    forwards = [crops[number] for number in range(6)]
    torch.manual_seed(7)
    backwards = [again[number] for number in reversed(range(6))]
    pairs = list(zip(forwards, reversed(backwards), strict=True))
    assert all(same(a, b) for a, b in pairs)
    made = [pair for pair in pairs if pair[0].made]
    assert made
    assert all(same(*(finish(b, no_answer(b))[0] for b in pair)) for pair in made)


def test_made_and_annotated_crops_in_one_batch(make_made: MakeMade) -> None:
    crops = make_made(unlabelled_share=0.5, points=1.0, seed=2, batch_size=4, lesions_per_crop=0)
    (batch,) = DataLoader(
        crops, batch_sampler=[[0, 1, 2, 3, 4, 5]], collate_fn=collate, num_workers=1
    )
    alone = [crops[number] for number in range(6)]
    assert [made.row for made in batch.made] == [i for i, one in enumerate(alone) if one.made]
    assert 0 < len(batch.made) < 6
    assert same(batch, collate(alone))
    done, _ = finish(batch, no_answer(batch))
    assert batch.points is not None
    for row, one in enumerate(alone):
        labels = batch.points.labels[3 * row : 3 * row + 3]
        assert not one.made or (labels == PADDING).all()
        single = finish(one, no_answer(one))[0] if one.made else one
        assert torch.equal(done.images[row], single.images[0])
        assert torch.equal(done.targets[row], single.targets[0])


def test_light_changes_after_pasting(make_made: MakeMade) -> None:
    crops = make_made(**{**STILL, "photometric": True})
    batch = crops[0]
    lit, _ = finish(batch, no_answer(batch))
    plain = replace(batch, made=tuple(replace(made, light=None) for made in batch.made))
    unlit, _ = finish(plain, no_answer(plain))
    assert not torch.equal(lit.images, unlit.images)
    assert torch.equal(lit.targets, unlit.targets)


def flat(name: str, masks: Tensor, **more: Any) -> AnnotatedImage:
    """A photograph of one colour that is all field of view."""
    image = torch.full((3, 64, 64), 90, dtype=torch.uint8)
    return annotated(name, image, masks, torch.ones(1, 64, 64, dtype=torch.uint8), **more)


def test_nothing_lands_on_the_disc(make_made: MakeMade) -> None:
    """Its diameter is 0.13 of the field of view's."""
    masks = torch.zeros(3, 64, 64, dtype=torch.uint8)
    masks[HE, 8::12, 8::12] = 1
    row, column = torch.meshgrid(*[(torch.arange(64) + 0.5) / 64] * 2, indexing="ij")
    nearest = {}
    for disc in (None, (0.25, 0.5)):
        host = flat("host", torch.zeros_like(masks), disc=disc)
        crops = make_made([flat("donor", masks), host], **STILL)
        assert crops.extent == 1  # the host's window is the whole photograph
        away = [
            ((column - 0.25) ** 2 + (row - 0.5) ** 2).sqrt()[donor_of(crops[n]).regions > 0].min()
            for n in range(10)
        ]
        nearest[disc] = float(torch.stack(away).min())
    assert nearest[None] < 0.065 < nearest[0.25, 0.5]
