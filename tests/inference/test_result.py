from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.errors import ImageError, OutputError
from tp_drseg.inference.result import Segmentation, overlay_all


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
        texts=("yellow deposits", "sharp margins"),
        threshold=0.5,
        probability=probability,
        make_prior=lambda: np.linspace(0, 1, 2400, dtype=np.float32).reshape(40, 60),
        field_of_view=field_of_view,
        image=rng.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        model_id="fake",
        revision=None,
    )


def test_numbers_are_of_the_mask_inside_the_field_of_view(result: Segmentation) -> None:
    assert result.mask.dtype == bool
    assert not result.mask[0].any()
    assert result.area_px == 30
    assert result.regions == 2
    assert result.area_percent == pytest.approx(100 * 30 / (39 * 60))
    assert result.max_probability == pytest.approx(0.9)
    assert result.mean_probability == pytest.approx((25 * 0.9 + 4 * 0.5 + 0.6) / (39 * 60))
    assert result.text == "yellow deposits | sharp margins"


def test_another_threshold_gives_another_mask(result: Segmentation) -> None:
    assert result.area_px == 30
    assert replace(result, threshold=0.7).area_px == 25
    assert replace(result, threshold=0.0).area_px == 39 * 60


def test_it_is_frozen(result: Segmentation) -> None:
    with pytest.raises(FrozenInstanceError):
        result.threshold = 0.1  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        result.mask[0, 0] = True


def test_repr_shows_no_arrays(result: Segmentation) -> None:
    assert "hard exudate" in repr(result)
    assert "array" not in repr(result)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("probability", np.zeros((40, 61), np.float32)),
        ("probability", np.zeros((40, 60), np.float64)),
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


def test_overlay_of_all_lesions_keeps_the_photograph_and_adds_a_legend(
    result: Segmentation,
) -> None:
    other = replace(result, lesion="haemorrhage", threshold=0.8)
    both = overlay_all({"hard exudate": result, "haemorrhage": other})
    assert both.width == 60
    assert both.height > 40
    assert (np.asarray(both)[20:28] == result.image[20:28]).all()
    assert np.asarray(both)[40:].max() > 200  # something bright is written
    with pytest.raises(ValueError, match="no result"):
        overlay_all([])
