"""The weights inside the package: what they answer is guarded, and so are the guards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.shipped import FLOORS, answers, faults, load
from tp_drseg import TPDRSeg
from tp_drseg.images import FundusImage, read_fundus, read_image
from tp_drseg.inference import session
from tp_drseg.lesions import LesionCatalog

RETINA = Path(__file__).parents[1] / "examples" / "retina.jpg"
Mutation = Callable[[TPDRSeg, pytest.MonkeyPatch], TPDRSeg]


@pytest.fixture
def model() -> TPDRSeg:
    return load()


def test_the_drawn_lesions_are_found_as_they_were_before(model: TPDRSeg) -> None:
    found = answers(model)
    assert list(found) == list(model.catalog.names) == list(FLOORS)
    assert faults(found) == []


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_disc_fovea_and_eye_are_found(model: TPDRSeg, is_mirrored: bool) -> None:
    """The healthy left eye in `examples/`, and its mirror image; centres were read off by hand."""
    image = read_image(RETINA)
    width = image.shape[1]
    with model.load_image(image[:, ::-1].copy() if is_mirrored else image) as opened:
        found = opened.anatomy
    assert found.disc is not None and found.fovea is not None
    for landmark, x, y in ((found.disc, 217, 650), (found.fovea, 708, 699)):
        place = (width - x if is_mirrored else x, y)
        assert (landmark.x, landmark.y) == pytest.approx(place, abs=30)
    assert 170 < found.disc.diameter < 250
    assert found.eye == ("right" if is_mirrored else "left")


def _swap_two_lesions(model: TPDRSeg, patch: pytest.MonkeyPatch) -> TPDRSeg:
    """Microaneurysms and haemorrhages get each other's class group."""
    generator = model.network.prompt_generator
    with torch.no_grad():
        for weights in (generator.class_weight, generator.class_bias):
            weights[[0, 1]] = weights[[1, 0]]
    return model


def _reorder_the_catalog(model: TPDRSeg, patch: pytest.MonkeyPatch) -> TPDRSeg:
    names = LesionCatalog(tuple(reversed(list(model.catalog))))
    return TPDRSeg(model.network, model.config.replace(lesions=names))


def _swap_the_means_channels(model: TPDRSeg, patch: pytest.MonkeyPatch) -> TPDRSeg:
    """SAM's mean in the order BGR."""
    model.network.pixel_mean.copy_(model.network.pixel_mean.flip(-3))
    return model


def _leave_out_the_mean(model: TPDRSeg, patch: pytest.MonkeyPatch) -> TPDRSeg:
    model.network.pixel_mean.zero_()
    return model


def _leave_out_clips_mean(model: TPDRSeg, patch: pytest.MonkeyPatch) -> TPDRSeg:
    model.network.explicit_prior.pixel_mean.zero_()
    return model


def _mix_up_rgb_and_bgr(model: TPDRSeg, patch: pytest.MonkeyPatch) -> TPDRSeg:
    def swapped(image: str | Path, **options: int) -> FundusImage:
        return read_fundus(read_image(image)[..., ::-1], **options)

    patch.setattr(session, "read_fundus", swapped)
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")
@pytest.mark.parametrize(
    "mutate",
    [
        _swap_two_lesions,
        _reorder_the_catalog,
        _swap_the_means_channels,
        _leave_out_the_mean,
        _leave_out_clips_mean,
        _mix_up_rgb_and_bgr,
    ],
)
def test_what_breaks_the_answers_is_noticed(
    model: TPDRSeg, monkeypatch: pytest.MonkeyPatch, mutate: Mutation
) -> None:
    found = answers(mutate(model, monkeypatch), ["microaneurysm", "haemorrhage"])
    said = faults(found)
    assert {sentence.partition(":")[0] for sentence in said} == {"microaneurysm", "haemorrhage"}
    if mutate in (_swap_two_lesions, _reorder_the_catalog):
        assert any("Dice" in sentence for sentence in said)
