from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from tp_drseg._runtime import allocator
from tp_drseg.config import OperatingPoint, TPDRSegConfig
from tp_drseg.errors import ImageError, LesionError, PromptError
from tp_drseg.inference.result import Segmentation
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.clicks import BOTTOM_RIGHT, ON, TOP_LEFT, Clicks

BOTH_KINDS = pytest.mark.parametrize("small_config", ["tiny_vit", "vit"], indirect=True)
Stir = Callable[[nn.Module], nn.Module]


@pytest.fixture
def model(small_model: TPDRSeg, stir: Stir) -> TPDRSeg:
    """A model in which every part has a say."""
    stir(small_model)
    return small_model


@pytest.fixture
def photo(retina: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(120, 160, 3), black to the left and right of the retina."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[:, 20:140] = np.asarray(Image.fromarray(retina).resize((120, 120)))
    return image


def inputs(images: int, lesions: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.rand(images, 3, 64, 64, generator=generator) * 255,
        torch.rand(images, lesions, 4, 4, generator=generator),
        torch.tensor([2, 0, 3, 1][:lesions]),
    )


@pytest.fixture(autouse=True)
def _no_gradient() -> Iterator[None]:
    with torch.no_grad():
        yield


@BOTH_KINDS
def test_shapes(model: TPDRSeg) -> None:
    images, priors, classes = inputs(2, 3)
    logits = model(images, priors, classes)
    side = 32 if model.config.architecture.detail else 16
    assert logits.shape == (2, 3, side, side) and logits.isfinite().all()
    assert torch.equal(model.decode(model.shared(images), priors, classes), logits)


@BOTH_KINDS
def test_many_at_once_are_as_one_at_a_time(model: TPDRSeg) -> None:
    images, priors, classes = inputs(2, 3)
    together = model(images, priors, classes)
    assert together.std() > 1e-3
    for b in range(2):
        for i in range(3):
            alone = model(images[b : b + 1], priors[b : b + 1, i : i + 1], classes[i : i + 1])
            torch.testing.assert_close(alone[0, 0], together[b, i], rtol=1e-3, atol=1e-4)
    # the comparison above can fail: neither image, prior nor class is without effect
    assert not torch.allclose(together[0], together[1], atol=1e-3)
    other_class = model(images, priors, classes.flip(0))
    assert not torch.allclose(other_class[:, 0], together[:, 0], atol=1e-3)
    other_prior = model(images, priors.flip(1), classes)
    assert not torch.allclose(other_prior[:, 0], together[:, 0], atol=1e-3)


@pytest.mark.parametrize("clicked", [False, True])
@pytest.mark.parametrize(
    ("kind", "detail"), [("tiny_vit", True), ("tiny_vit", False), ("vit", False)]
)
def test_bf16_is_close_to_float32(
    make_model: Callable[..., TPDRSeg], stir: Stir, kind: str, detail: bool, clicked: bool
) -> None:
    model = make_model(kind, detail=detail)
    stir(model)
    images, priors, classes = inputs(2, 3)
    clicks = Clicks(torch.full((6, 2, 2), 20.0), torch.tensor([[ON, ON]] * 6)) if clicked else None
    expected = model(images, priors, classes, clicks)
    model.to(torch.bfloat16)
    assert model.dtype == torch.bfloat16
    found = model(images, priors, classes, clicks)
    assert found.dtype == torch.float32 and found.shape == expected.shape
    assert not torch.equal(found, expected)  # it was another computation
    error = (found - expected).square().mean().sqrt() / (expected - expected.mean()).std()
    assert error < 0.1
    assert torch.equal(model(images, priors, classes, clicks), found)


@BOTH_KINDS
def test_priors_in_bf16(model: TPDRSeg) -> None:
    images = inputs(1, 1)[0] / 255
    texts = ["yellow spots", "dark red dots"]
    expected = model.explicit_prior(images, texts)
    model.to(torch.bfloat16)
    features = model.explicit_prior.image_features(images)
    assert features.dtype == model.explicit_prior.text_features(texts).dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones_like(features[:, 0]))
    found = model.explicit_prior(images, texts)
    assert found.dtype == torch.float32 and found.min() == 0 and found.max() == 1
    assert not torch.equal(found, expected)
    assert (found - expected).square().mean().sqrt() < 0.05


def test_every_question_keeps_freed_memory(
    model: TPDRSeg, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(allocator, "_set", lambda values: seen.append(values is allocator._KEEP))
    model.segment(photo, "EX")
    model.explain(photo, "yellow spots")
    with model.open(photo) as view:
        view.segment("EX")
        view.explain("yellow spots")
    assert seen == [True, False] * 4
    seen.clear()
    with model.working():
        model.segment(photo, "EX")
        model.segment(photo, "MA")
    assert seen == [True, False]


@pytest.mark.parametrize("injector_blocks", [(2,), (0, 3)])
def test_what_tiny_vit_shares_is_not_rounded(
    make_model: Callable[..., TPDRSeg], injector_blocks: tuple[int, ...]
) -> None:
    """Up to the first injector it is float32's own, cast; what follows it is bf16's."""
    images = inputs(1, 1)[0]
    model = make_model("tiny_vit", injector_blocks=injector_blocks)
    expected = model.shared(images).feature
    outputs = model.image_encoder.shared((images - model.pixel_mean) / model.pixel_std).detail
    model.to(torch.bfloat16)
    assert torch.equal(model.shared(images).feature, expected.bfloat16())
    rounded = model.image_encoder.shared((images - model.pixel_mean) / model.pixel_std).detail
    first = injector_blocks[0]
    for block, one, other in zip(
        model.image_encoder.backbone.detail_blocks, rounded, outputs, strict=True
    ):
        assert one.dtype == (torch.float32 if block <= first else torch.bfloat16)
        assert torch.equal(one, other) == (block <= first)


@BOTH_KINDS
def test_a_photograph_in_bf16(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    prompts = {"points": [(80, 60, 1)], "boxes": [(60, 40, 100, 80)]}
    expected = [segment_one(model, photo, "EX"), segment_one(model, photo, "EX", **prompts)]
    model.to(torch.bfloat16)
    found = [segment_one(model, photo, "EX"), segment_one(model, photo, "EX", **prompts)]
    again = [segment_one(model, photo, "EX"), segment_one(model, photo, "EX", **prompts)]
    for one, same, exact in zip(found, again, expected, strict=True):
        assert one.probability.dtype == one.prior.dtype == np.float32
        assert np.abs(one.probability - exact.probability).max() < 0.1
        assert np.abs(one.prior - exact.prior).max() < 0.2
        np.testing.assert_array_equal(one.probability, same.probability)
        np.testing.assert_array_equal(one.prior, same.prior)
    assert model.explain(photo, "anything at all").dtype == np.float32


def test_clicks_reach_their_own_prompt(model: TPDRSeg) -> None:
    images, priors, classes = inputs(2, 2)
    coordinates = torch.full((4, 2, 2), 20.0)
    labels = torch.tensor([[ON, ON]] * 4)
    before = model(images, priors, classes, Clicks(coordinates, labels))
    assert before.shape == (2, 2, 32, 32)
    # the second lesion of the first image gets a box in place of the points
    labels[1] = torch.tensor([TOP_LEFT, BOTTOM_RIGHT])
    coordinates[1, 1] = 50.0
    after = model(images, priors, classes, Clicks(coordinates, labels))
    changed = (after - before).abs().amax(dim=(-2, -1))
    assert changed[0, 1] > 1e-4
    changed[0, 1] = 0
    assert changed.max() < 1e-5
    plain = model(images, priors, classes)
    assert not torch.allclose(plain, before, atol=1e-4)


@BOTH_KINDS
def test_what_learns(model: TPDRSeg) -> None:
    learning = {name.split(".")[0] for name, _ in model.trained_parameters()}
    parts = {"image_encoder", "prompt_generator", "mask_decoder"}
    assert learning == parts | ({"detail_head"} if model.detail_head is not None else set())
    for name, _ in model.trained_parameters():
        assert not name.startswith("image_encoder.") or ".injectors." in name
    model.train()
    assert not model.explicit_prior.clip.training
    assert not model.image_encoder.backbone.training


def test_the_constructor_needs_no_network(
    small_config: TPDRSegConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it went to the network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model = TPDRSeg(small_config)
    assert (model.model_id, model.revision) == ("", None)
    assert model.device == torch.device("cpu") and model.dtype == torch.float32


def test_text_is_description_or_name(
    make_model: Callable[..., TPDRSeg], photo: NDArray[np.uint8]
) -> None:
    by_description, by_name = make_model(), make_model(text="name")
    lesion = by_name.catalog["EX"]
    assert by_description.prompt_texts(lesion) == lesion.texts
    assert by_name.prompt_texts(lesion) == ("hard exudate",)
    one, other = by_description.segment(photo, "EX"), by_name.segment(photo, "EX")
    assert isinstance(one, Segmentation) and isinstance(other, Segmentation)
    assert (one.texts, other.texts) == (lesion.texts, ("hard exudate",))
    assert not np.array_equal(one.prior, other.prior)
    np.testing.assert_array_equal(other.prior, by_name.explain(photo, "hard exudate"))


def segment_one(model: TPDRSeg, *arguments: Any, **options: Any) -> Segmentation:
    result = model.segment(*arguments, **options)
    assert isinstance(result, Segmentation)
    return result


def test_one_name_many_or_all(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    everything = model.segment(photo)
    assert isinstance(everything, dict)
    assert tuple(everything) == model.catalog.names
    for name in ("haemorrhage", "HE", "Retinal Hemorrhages"):
        one = segment_one(model, photo, name)
        assert one.lesion == "haemorrhage"
        expected = everything["haemorrhage"].probability
        np.testing.assert_allclose(one.probability, expected, atol=1e-6)
    some = model.segment(photo, ["SE", "microaneurysms", "soft exudate"])
    assert isinstance(some, dict) and list(some) == ["soft exudate", "microaneurysm"]
    np.testing.assert_allclose(
        some["soft exudate"].probability, everything["soft exudate"].probability, atol=1e-6
    )
    single = model.segment(photo, ["SE"])
    assert isinstance(single, dict) and list(single) == ["soft exudate"]


def test_result_arrays(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    model.model_id, model.revision = "org/name", "abc"
    result = segment_one(model, photo, "EX")
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
    assert (result.model_id, result.revision) == ("org/name", "abc")


def test_thresholds(make_model: Callable[..., TPDRSeg], photo: NDArray[np.uint8]) -> None:
    model = make_model(operating_points={"hard exudate": OperatingPoint(threshold=0.25)})
    results = model.segment(photo, ["EX", "HE"])
    assert isinstance(results, dict)
    assert results["hard exudate"].threshold == 0.25
    assert results["haemorrhage"].threshold == 0.5
    median = float(np.median(results["haemorrhage"].probability[photo.any(axis=-1)]))
    given = segment_one(model, photo, "HE", threshold=median)
    assert given.threshold == median and given.mask.any() and not given.mask.all()
    np.testing.assert_array_equal(given.mask, (given.probability >= median) & given.field_of_view)


def test_a_description_takes_the_place_of_the_texts(
    model: TPDRSeg, photo: NDArray[np.uint8]
) -> None:
    own = segment_one(model, photo, "EX")
    one = segment_one(model, photo, "EX", description="dark red spots")
    assert one.lesion == "hard exudate" and one.texts == ("dark red spots",)
    assert not np.array_equal(one.prior, own.prior)
    np.testing.assert_array_equal(one.prior, model.explain(photo, "dark red spots"))
    assert not np.array_equal(one.probability, own.probability)
    two = segment_one(model, photo, "EX", description=["dark red spots", "pale patches"])
    assert two.texts == ("dark red spots", "pale patches")
    np.testing.assert_array_equal(
        two.prior, model.explain(photo, ["dark red spots", "pale patches"])
    )
    same = segment_one(model, photo, "EX", description=model.catalog["EX"].texts)
    np.testing.assert_array_equal(same.probability, own.probability)


def test_explain(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    prior = model.explain(photo, "anything at all")
    assert prior.shape == (120, 160) and prior.dtype == np.float32
    assert prior.min() == 0 and 0.7 < prior.max() <= 1
    for empty in ("", "  ", [], ["a text", ""]):
        with pytest.raises(PromptError, match="description"):
            model.explain(photo, empty)


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

    counted(model, "shared")
    counted(model, "prompt")
    counted(model, "predict")
    counted(model.explicit_prior, "image_features")
    model.segment(photo)
    # the photograph fits in one tile
    assert calls.count("shared") == 1 and calls.count("image_features") == 1
    assert calls.count("prompt") == calls.count("predict") == len(model.catalog)


@BOTH_KINDS
def test_twice_the_same_bits(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    first, second = segment_one(model, photo, "EX"), segment_one(model, photo, "EX")
    np.testing.assert_array_equal(first.probability, second.probability)
    np.testing.assert_array_equal(first.prior, second.prior)


def test_path_pil_and_array(model: TPDRSeg, photo: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    expected = segment_one(model, photo, "EX").probability
    for source in (tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(photo)):
        result = segment_one(model, source, "EX")
        np.testing.assert_array_equal(result.probability, expected)
        np.testing.assert_array_equal(result.image, photo)


def test_points_and_boxes(model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    plain = segment_one(model, photo, "EX").probability
    point = segment_one(model, photo, "EX", points=[(80, 60, 1), (90, 70, 0)]).probability
    box = segment_one(model, photo, "EX", boxes=[(60, 40, 100, 80)]).probability
    both = segment_one(
        model, photo, "EX", points=np.array([[80, 60, 1], [90, 70, 0]]), boxes=[(60, 40, 100, 80)]
    ).probability
    results = [plain, point, box, both]
    for i, one in enumerate(results):
        assert not any(np.array_equal(one, other) for other in results[i + 1 :])
    none = segment_one(model, photo, "EX", points=[], boxes=[]).probability
    np.testing.assert_array_equal(none, plain)


def test_unknown_lesion(model: TPDRSeg) -> None:
    # before the photograph is even looked for
    for asked in ("glaucoma", ["EX", "glaucoma"]):
        with pytest.raises(LesionError, match="'glaucoma'") as caught:
            model.segment("no-such-file.jpg", asked)
        for lesion in model.catalog:
            assert f"{lesion.name} ({lesion.abbreviation})" in str(caught.value)


def test_missing_image(model: TPDRSeg) -> None:
    with pytest.raises(ImageError, match=r"no-such-file\.jpg"):
        model.segment("no-such-file.jpg", "EX")


UNUSABLE: list[tuple[Any, dict[str, Any], str]] = [
    ([], {}, "list of lesions is empty"),
    (["EX", "HE"], {"description": "a text"}, "one lesion"),
    (None, {"description": "a text"}, "one lesion"),
    (None, {"points": [(80, 60, 1)]}, "one lesion"),
    (["EX", "HE"], {"boxes": [(60, 40, 100, 80)]}, "one lesion"),
    ("EX", {"threshold": -0.1}, r"\[0, 1\], got -0.1"),
    ("EX", {"threshold": 1.1}, r"\[0, 1\], got 1.1"),
    ("EX", {"threshold": float("nan")}, "got nan"),
    ("EX", {"description": ""}, "description"),
    ("EX", {"description": " \n"}, "description"),
    ("EX", {"description": []}, "description"),
    ("EX", {"description": ["a text", ""]}, "description"),
    ("EX", {"points": [(161, 60, 1)]}, r"\(161, 60\).*160 x 120"),
    ("EX", {"points": [(80, -1, 1)]}, r"\(80, -1\).*160 x 120"),
    ("EX", {"points": [(80, 60, 2)]}, "label must be 1"),
    ("EX", {"points": [(80, 60, 0.5)]}, "label must be 1"),
    ("EX", {"points": [(float("nan"), 60, 1)]}, "points must be finite"),
    ("EX", {"points": [(80, 60)]}, "points must be a list of"),
    ("EX", {"points": (80, 60, 1)}, "points must be a list of"),
    ("EX", {"points": [("a", "b", 1)]}, "points must be a list of"),
    ("EX", {"boxes": [(100, 40, 60, 80)]}, "left < right"),
    ("EX", {"boxes": [(60, 80, 100, 40)]}, "top < bottom"),
    ("EX", {"boxes": [(60, 40, 60, 80)]}, "left < right"),
    ("EX", {"boxes": [(60, 40, 100, float("inf"))]}, "boxes must be finite"),
    ("EX", {"boxes": [(60, 40, 100, 121)]}, r"\(100, 121\).*160 x 120"),
    ("EX", {"boxes": [(60, 40, 100)]}, "boxes must be a list of"),
]


def test_prompts_that_cannot_be_used(small_model: TPDRSeg, photo: NDArray[np.uint8]) -> None:
    for lesion, options, message in UNUSABLE:
        with pytest.raises(PromptError, match=message):
            small_model.segment(photo, lesion, **options)
