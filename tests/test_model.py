from __future__ import annotations

import socket
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from tp_drseg.config import OperatingPoint, TPDRSegConfig
from tp_drseg.errors import ImageError, LesionError, PromptError
from tp_drseg.inference.prior import clip_features, working_priors
from tp_drseg.inference.request import Prompt
from tp_drseg.inference.result import Origin
from tp_drseg.model import TPDRSeg

BOTH_KINDS = pytest.mark.parametrize("small_config", ["tiny_vit", "vit"], indirect=True)
Stir = Callable[[nn.Module], nn.Module]
MakeModel = Callable[..., TPDRSeg]
PLACES: dict[str, Any] = {
    "point_coords": [(80, 60)],
    "point_labels": [1],
    "boxes": [(60, 40, 100, 80)],
}


@pytest.fixture
def model(small_model: TPDRSeg, stir: Stir) -> TPDRSeg:
    """A model in which every part has a say."""
    stir(small_model.network)
    return small_model


@pytest.fixture
def photo(retina: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(120, 160, 3), black to the left and right of the retina."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, 20:140] = np.asarray(Image.fromarray(retina).resize((120, 120)))
    return image


@BOTH_KINDS
def test_a_photograph_in_bf16(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    prompts = [Prompt("EX"), Prompt("EX", **PLACES)]
    expected = [model.segment(photo, prompt) for prompt in prompts]
    model.to(dtype=torch.bfloat16)
    found = [model.segment(photo, prompt) for prompt in prompts]
    again = [model.segment(photo, prompt) for prompt in prompts]
    for one, same, exact in zip(found, again, expected, strict=True):
        assert one.probability.dtype == one.prior.dtype == np.float32
        assert np.abs(one.probability - exact.probability).max() < 0.1
        assert np.abs(one.prior - exact.prior).max() < 0.2
        np.testing.assert_array_equal(one.probability, same.probability)
        np.testing.assert_array_equal(one.prior, same.prior)
        assert (one.origin.dtype, exact.origin.dtype) == ("bfloat16", "float32")
    assert model.prior_map(photo, "anything at all").dtype == np.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@BOTH_KINDS
def test_what_else_is_asked_changes_nothing(
    model: TPDRSeg, photo: NDArray[np.uint8], dtype: torch.dtype
) -> None:
    """The answer to a prompt is the same, bit for bit, alone, beside others, and asked again."""
    model.to(dtype=dtype)
    everything = model.segment_many(photo)
    with model.load_image(photo) as session:
        for result in everything:
            for other in (model.segment(photo, result.lesion), session.segment(result.lesion)):
                np.testing.assert_array_equal(other.probability, result.probability)
                np.testing.assert_array_equal(other.prior, result.prior)


def test_building_needs_no_network(
    small_config: TPDRSegConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it went to the network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model = TPDRSeg.build(small_config)
    assert model.origin == Origin("", None, "cpu", "float32")
    assert "random weights" in repr(model) and len(repr(model)) < 200
    assert not model.network.training


def prior_of(model: TPDRSeg, photo: NDArray[np.uint8], texts: list[str]) -> NDArray[np.float32]:
    """The prior of texts that are said to describe hard exudates, step by step."""
    with model.load_image(photo) as session, torch.inference_mode():
        geometry = session.geometry
        clip = clip_features(
            model.network.explicit_prior, geometry.clip_pixels, geometry.clip_inside
        )
        feature = model.network.explicit_prior.text_features(texts, "hard exudate")
        diameter = model.config.inference.working_diameter
        working = working_priors(clip.priors_of(feature[None]), diameter, geometry.padded_size)
        restored: NDArray[np.float32] = geometry.restore(working[0])[0]
        return restored


def test_text_is_description_or_name(make_model: MakeModel, photo: NDArray[np.uint8]) -> None:
    by_description, by_name = make_model(), make_model(text="name")
    lesion = by_name.catalog["EX"]
    one, other = by_description.segment(photo, "EX"), by_name.segment(photo, "EX")
    assert (one.texts, other.texts) == (lesion.texts, ("hard exudate",))
    assert not np.array_equal(one.prior, other.prior)
    np.testing.assert_array_equal(other.prior, prior_of(by_name, photo, ["hard exudate"]))


def test_one_or_many(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    everything = model.segment_many(photo)
    assert everything.names == model.catalog.names
    for name in ("haemorrhage", "HE", "Retinal Hemorrhages"):
        one = model.segment(photo, name)
        assert one.lesion == "haemorrhage"
        np.testing.assert_array_equal(one.probability, everything["HE"].probability)
    some = model.segment_many(photo, ["SE", "microaneurysms", "soft exudate"])
    assert some.names == ("soft exudate", "microaneurysm")
    assert model.segment_many(photo, ["SE"]).names == ("soft exudate",)


def test_result_arrays(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    named = TPDRSeg(model.network, model.config, model_id="org/name", revision="abc")
    result = named.segment(photo, "EX")
    field = result.field_of_view
    assert field.shape == (120, 160) and field.dtype == np.bool_
    assert not field[:, :15].any() and not field[:, 145:].any() and field[60, 80]
    for values in (result.probability, result.prior):
        assert values.shape == (120, 160) and values.dtype == np.float32
        assert values.min() >= 0 and values.max() <= 1
        assert not values[~field].any() and values[field].any()
    assert result.mask.shape == (120, 160) and result.mask.dtype == np.bool_
    np.testing.assert_array_equal(result.image, photo)
    assert result.texts == model.catalog["EX"].texts
    assert result.origin == Origin("org/name", "abc", "cpu", "float32")


def test_thresholds(make_model: MakeModel, photo: NDArray[np.uint8]) -> None:
    points = {"hard exudate": OperatingPoint(threshold=0.25)}
    model = make_model(operating_points=points)
    results = model.segment_many(photo, ["EX", "HE"])
    assert results["hard exudate"].threshold == 0.25
    assert results["haemorrhage"].threshold == 0.5
    median = float(np.median(results["haemorrhage"].probability[photo.any(axis=-1)]))
    given = model.segment(photo, Prompt("HE", threshold=median))
    assert given.threshold == median and given.mask.any() and not given.mask.all()
    np.testing.assert_array_equal(given.mask, (given.probability >= median) & given.field_of_view)


def test_a_description_takes_the_place_of_the_texts(
    model: TPDRSeg, photo: NDArray[np.uint8]
) -> None:
    own = model.segment(photo, "EX")
    one = model.segment(photo, Prompt("EX", ["dark red spots"]))
    assert one.lesion == "hard exudate" and one.texts == ("dark red spots",)
    assert not np.array_equal(one.prior, own.prior)
    np.testing.assert_array_equal(one.prior, prior_of(model, photo, ["dark red spots"]))
    assert not np.array_equal(one.probability, own.probability)
    two = model.segment(photo, Prompt("EX", ["dark red spots", "pale patches"]))
    assert two.texts == ("dark red spots", "pale patches")
    np.testing.assert_array_equal(
        two.prior, prior_of(model, photo, ["dark red spots", "pale patches"])
    )
    same = model.segment(photo, Prompt("EX", model.catalog["EX"].texts))
    np.testing.assert_array_equal(same.probability, own.probability)


def test_prior_map(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    prior = model.prior_map(photo, "anything at all")
    assert prior.shape == (120, 160) and prior.dtype == np.float32
    assert prior.min() == 0 and 0.7 < prior.max() <= 1
    empty: list[str | list[str]] = ["", "  ", [], ["a text", ""]]
    for text in empty:
        with pytest.raises(PromptError, match="description"):
            model.prior_map(photo, text)


def test_image_work_is_shared(
    model: TPDRSeg, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, call)

    for name in ("encode_image", "encode_prompt", "decode"):
        counted(model.network, name)
    counted(model.network.explicit_prior, "image_and_coarse_features")
    model.segment_many(photo)
    # the photograph fits in one tile
    assert calls.count("encode_image") == 1 and calls.count("image_and_coarse_features") == 1
    assert calls.count("encode_prompt") == calls.count("decode") == len(model.catalog)


@BOTH_KINDS
def test_twice_the_same_bits(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    first, second = model.segment(photo, "EX"), model.segment(photo, "EX")
    np.testing.assert_array_equal(first.probability, second.probability)
    np.testing.assert_array_equal(first.prior, second.prior)


def test_path_pil_and_array(model: TPDRSeg, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    expected = model.segment(photo, "EX").probability
    for source in (tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(photo)):
        result = model.segment(source, "EX")
        np.testing.assert_array_equal(result.probability, expected)
        np.testing.assert_array_equal(result.image, photo)


def test_points_and_boxes(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    points: dict[str, Any] = {"point_coords": [(80, 60), (90, 70)], "point_labels": [1, 0]}
    boxes: dict[str, Any] = {"boxes": [(60, 40, 100, 80)]}
    asked = [Prompt("EX", **own) for own in ({}, points, boxes, points | boxes)]
    results = [model.segment(photo, prompt).probability for prompt in asked]
    for i, one in enumerate(results):
        assert not any(np.array_equal(one, other) for other in results[i + 1 :])


def test_places_reach_their_own_lesion(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    clicked = Prompt("EX", point_coords=[(80, 60)], point_labels=[1])
    together = model.segment_many(photo, ["HE", clicked])
    np.testing.assert_array_equal(
        together["HE"].probability, model.segment(photo, "HE").probability
    )
    np.testing.assert_array_equal(
        together["EX"].probability, model.segment(photo, clicked).probability
    )


def test_what_cannot_be_asked_is_said_before_the_photograph_is_read(model: TPDRSeg) -> None:
    with pytest.raises(LesionError, match="'glaucoma'") as caught:
        model.segment("no-such-file.jpg", "glaucoma")
    for lesion in model.catalog:
        assert f"{lesion.name} ({lesion.abbreviation})" in str(caught.value)
    with pytest.raises(LesionError, match="'glaucoma'"):
        model.segment_many("no-such-file.jpg", ["EX", "glaucoma"])
    with pytest.raises(LesionError, match="'glaucoma'"):
        model.segment_batch(["no-such-file.jpg"], ["EX", "glaucoma"])
    with pytest.raises(PromptError, match="list of lesions is empty"):
        model.segment_many("no-such-file.jpg", [])
    with pytest.raises(ImageError, match=r"no-such-file\.jpg"):
        model.segment("no-such-file.jpg", "EX")


def test_places_outside_of_the_photograph(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    for prompt, message in (
        (Prompt("EX", (), [(161, 60)], [1]), r"\(161, 60\).*160 x 120"),
        (Prompt("EX", (), [(80, -1)], [1]), r"\(80, -1\).*160 x 120"),
        (Prompt("EX", boxes=[(60, 40, 100, 121)]), r"\(100, 121\).*160 x 120"),
    ):
        with pytest.raises(PromptError, match=message):
            model.segment(photo, prompt)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_batch_is_as_one_by_one(
    model: TPDRSeg, photo: NDArray[np.uint8], batch_size: int
) -> None:
    photographs = [photo, photo[:, ::-1], photo[::-1]]
    pulled: list[int] = []

    def source() -> Iterator[NDArray[np.uint8]]:
        for number, photograph in enumerate(photographs):
            pulled.append(number)
            yield photograph

    batch = model.segment_batch(source(), ["EX", "HE"], batch_size=batch_size)
    assert pulled == []
    found = []
    for results in batch:
        found.append(results)
        assert len(pulled) <= len(found) + 2 * batch_size
    assert len(found) == 3
    for photograph, results in zip(photographs, found, strict=True):
        expected = model.segment_many(photograph, ["EX", "HE"])
        for one, other in zip(results, expected, strict=True):
            np.testing.assert_array_equal(one.probability, other.probability)


def test_a_photograph_that_cannot_be_read_has_its_turn(
    model: TPDRSeg, photo: NDArray[np.uint8]
) -> None:
    batch = model.segment_batch([photo, "no-such-file.jpg", photo], ["EX"], batch_size=3)
    assert next(batch).names == ("hard exudate",)
    with pytest.raises(ImageError, match="no-such-file"):
        next(batch)
    with pytest.raises(StopIteration):
        next(batch)


def test_several_threads_may_ask(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    expected = {name: model.segment(photo, name).probability for name in model.catalog.names}
    names = list(model.catalog.names) * 3
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(lambda name: model.segment(photo, name), names))
    for name, result in zip(names, found, strict=True):
        assert result.lesion == name
        np.testing.assert_array_equal(result.probability, expected[name])


def test_no_side_effects(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    """A call leaves generators, default types and warning filters of the process alone."""
    before = torch.get_rng_state(), torch.get_default_dtype(), list(warnings.filters)
    random = repr(np.random.get_state())
    model.segment_many(photo)
    list(model.segment_batch([photo]))
    TPDRSeg.from_pretrained(device="cpu")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert repr(np.random.get_state()) == random
    assert (torch.get_default_dtype(), warnings.filters) == before[1:]


def test_another_default_dtype_has_no_say(photo: NDArray[np.uint8]) -> None:
    expected = TPDRSeg.from_pretrained(device="cpu").segment(photo, "EX").probability
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        model = TPDRSeg.from_pretrained(device="cpu", dtype="float32")
        tensors = [*model.network.parameters(), *model.network.buffers()]
        assert not [value for value in tensors if value.dtype == torch.float64]
        found = model.segment(photo, "EX").probability
    finally:
        torch.set_default_dtype(before)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_loaded_can_be_saved(tmp_path: Path) -> None:
    """The default type is one to which no weight is rounded."""
    TPDRSeg.from_pretrained(device="cpu").save_pretrained(tmp_path / "model")
    again = TPDRSeg.from_pretrained(tmp_path / "model", device="cpu").network.state_dict()
    for name, value in TPDRSeg.from_pretrained(device="cpu").network.state_dict().items():
        assert torch.equal(again[name], value)
