from __future__ import annotations

import copy
import io
import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.errors import ImageError, OutputError, PromptError
from tp_drseg.images import Frame
from tp_drseg.inference.result import Origin, Segmentation


@pytest.fixture
def result() -> Segmentation:
    rng = np.random.default_rng(0)
    probability = np.zeros((40, 60), np.float32)
    probability[5:10, 5:10] = 0.9  # 25 px
    probability[10:12, 10:12] = 0.5  # 4 px that touch the first region at a corner, at threshold
    probability[30, 50] = 0.6  # 1 px
    probability[0, :] = 1.0  # outside of the field of view
    field_of_view = np.ones((40, 60), bool)
    field_of_view[0] = False
    return Segmentation(
        lesion="hard exudate",
        abbreviation="EX",
        texts=("yellow deposits", "sharp margins"),
        threshold=0.5,
        probability=probability,
        working_prior=np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30),
        frame=Frame((40, 60), (0, 0, 60, 40), (20, 30)),
        field_of_view=field_of_view,
        image=rng.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        origin=Origin("fake", None, "cpu", "bfloat16"),
    )


def test_numbers_are_of_the_mask_inside_the_field_of_view(result: Segmentation) -> None:
    assert result.mask.dtype == bool
    assert not result.mask[0].any()
    assert result.area_px == 30
    assert [region.area_px for region in result.regions] == [29, 1]
    assert result.area_percent == pytest.approx(100 * 30 / (39 * 60))
    assert result.max_probability == pytest.approx(0.9)
    assert result.mean_probability == pytest.approx((25 * 0.9 + 4 * 0.5 + 0.6) / (39 * 60))
    assert result.text == "yellow deposits | sharp margins"


def test_another_threshold_gives_another_mask(result: Segmentation) -> None:
    assert result.area_px == 30
    assert result.at(0.7).area_px == 25
    assert result.at(0).area_px == 39 * 60
    assert result.at(0.7).probability is result.probability and result.threshold == 0.5
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(PromptError, match=r"\[0, 1\]"):
            result.at(wrong)


def test_it_is_frozen(result: Segmentation) -> None:
    with pytest.raises(FrozenInstanceError):
        result.threshold = 0.1  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        result.mask[0, 0] = True


def test_repr_shows_no_arrays(result: Segmentation) -> None:
    assert repr(result) == (
        "Segmentation('hard exudate', 60 x 40 px, 2 regions, 1.282 % of the field of view, "
        "threshold 0.5)"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("probability", np.zeros((40, 61), np.float32)),
        ("probability", np.zeros((40, 60), np.float64)),
        ("working_prior", np.zeros((40, 60), np.float32)),
        ("field_of_view", np.ones((40, 60), np.uint8)),
        ("field_of_view", np.zeros((40, 60), bool)),
        ("image", np.zeros((40, 60), np.uint8)),
    ],
)
def test_wrong_arrays_are_refused(result: Segmentation, name: str, value: np.ndarray) -> None:
    with pytest.raises(ImageError, match=name.replace("field_of_view", "field.of.view")):
        replace(result, **{name: value})  # type: ignore[arg-type]


def test_overlay_changes_only_pixels_at_the_mask(result: Segmentation) -> None:
    overlay = np.asarray(result.overlay())
    assert overlay.shape == result.image.shape
    changed = (overlay != result.image).any(axis=2)
    rows, columns = np.nonzero(result.mask)
    near = np.zeros_like(result.mask)
    for row, column in zip(rows, columns, strict=True):
        near[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = True
    assert changed.any()
    assert not (changed & ~near).any()


def test_overlay_without_fill_keeps_the_lesion_in_view(result: Segmentation) -> None:
    overlay = np.asarray(result.overlay(fill=0, colour=(1, 2, 3)))
    assert (overlay[result.mask] == result.image[result.mask]).all()
    assert (overlay[4, 4:11] == (1, 2, 3)).all()  # the line just above the first region


def test_save_mask(result: Segmentation, tmp_path: Path) -> None:
    path = result.save(tmp_path / "new" / "mask.png")
    with Image.open(path) as saved:
        assert saved.mode == "L"
        assert saved.size == (60, 40)
        assert (np.asarray(saved) == np.where(result.mask, 255, 0)).all()


def test_save_maps(result: Segmentation, tmp_path: Path) -> None:
    for content, values in (("probability", result.probability), ("prior", result.prior)):
        result.save(tmp_path / "map.png", content)  # type: ignore[arg-type]
        with Image.open(tmp_path / "map.png") as saved:
            assert np.abs(np.asarray(saved) / 255 - values).max() <= 0.5 / 255 + 1e-6


def test_save_overlay_as_jpeg(result: Segmentation, tmp_path: Path) -> None:
    with Image.open(result.save(tmp_path / "overlay.jpg", "overlay")) as saved:
        assert saved.format == "JPEG"
        assert saved.size == (60, 40)


def test_a_mask_is_never_saved_with_loss(result: Segmentation, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.png"):
        result.save(tmp_path / "mask.jpg")
    assert list(tmp_path.iterdir()) == []


def test_unknown_content_is_refused(result: Segmentation, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mask, probability"):
        result.save(tmp_path / "x.png", "logits")  # type: ignore[arg-type]


def test_it_shows_itself_in_a_notebook(result: Segmentation) -> None:
    with Image.open(io.BytesIO(result._repr_png_())) as shown:
        assert shown.format == "PNG" and shown.size == (60, 40)
        assert (np.asarray(shown) == np.asarray(result.overlay())).all()


def test_copies_are_whole_and_carry_nothing_derived(result: Segmentation) -> None:
    _ = result.mask, result.prior, result.regions, result.max_probability
    pickled = pickle.dumps(result)
    arrays = (result.image, result.probability, result.field_of_view, result.working_prior)
    assert len(pickled) < sum(array.nbytes for array in arrays) + 2000
    for copied in (pickle.loads(pickled), copy.deepcopy(result)):
        assert copied.origin == result.origin and copied.texts == result.texts
        for name in ("image", "probability", "mask", "prior", "field_of_view"):
            np.testing.assert_array_equal(getattr(copied, name), getattr(result, name))


def test_the_light_form(result: Segmentation) -> None:
    summary = result.summary()
    assert len(pickle.dumps(summary)) < 2000
    np.testing.assert_array_equal(summary.mask, result.mask)
    assert summary.mask.dtype == np.bool_ and summary.size == (40, 60)
    assert summary.regions == result.regions and summary.area_px == 30
    assert summary.row() == {
        "lesion": "hard exudate",
        "threshold": 0.5,
        "regions": 2,
        "area_px": 30,
        "area_percent_of_field_of_view": round(100 * 30 / (39 * 60), 6),
        "mean_probability": round(result.mean_probability, 6),
        "max_probability": 0.9,
    }
