from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tp_drseg.data.samples import MaskFile, Sample
from tp_drseg.errors import DataError, ImageError
from tp_drseg.training.data import annotated
from tp_drseg.training.data.annotated import (
    AnnotatedImage,
    load_annotated,
    load_cached,
)

LESIONS = ("red", "pale", "absent", "not annotated")
Y, X = np.mgrid[:120, :160]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A retina of radius 50 about (80, 45), cut at the top, with two lesions."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[np.hypot(Y - 45, X - 80) < 50] = (140, 100, 70)
    masks: dict[str, MaskFile | None] = {"absent": None}
    for name, (left, top) in {"red": (60, 20), "pale": (90, 60)}.items():
        mask = np.zeros((120, 160), np.uint8)
        mask[top : top + 10, left : left + 10] = 255
        image[mask > 0] = (250, 50, 20) if name == "red" else (250, 240, 200)
        masks[name] = MaskFile(tmp_path / f"{name}.png")
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    Image.fromarray(image).save(tmp_path / "eye.png")
    return Sample("eye", tmp_path / "eye.png", masks)


def test_a_square_of_the_field_of_view(sample: Sample) -> None:
    found = load_annotated(sample, LESIONS, 198)
    assert found.name == "eye"
    assert found.image.shape == (3, 198, 198) and found.image.dtype == torch.uint8
    assert found.masks.shape == (4, 198, 198) and found.masks.dtype == torch.uint8
    assert found.field_of_view.shape == (1, 198, 198)
    # twice as large as it was: 99 pixels wide, 95 high, the rest is padding
    height = round(198 * 95 / 99)
    assert not found.image[:, height:].any() and not found.field_of_view[:, height:].any()
    assert found.field_of_view[0, height // 2, 99] == 1 and found.field_of_view[0, 185, 5] == 0
    assert set(found.masks.flatten().tolist()) == {0, 1}
    for i, colour in ((0, (250, 50, 20)), (1, (250, 240, 200))):
        assert int(found.masks[i].sum()) == pytest.approx(400, abs=45)
        seen = found.image[:, found.masks[i] == 1].float().median(dim=1).values
        assert seen.tolist() == pytest.approx(colour, abs=12)
    assert not found.masks[2:].any()
    assert found.ignored is None and found.annotated == (True, True, True, False)
    assert [found.knows(lesion) for lesion in range(4)] == [True, True, True, False]


def test_files_that_cannot_be_used(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="none"):
        load_annotated(Sample("none", tmp_path / "none.png", {}), LESIONS, 64)
    Image.new("L", (20, 20)).save(tmp_path / "red.png")
    with pytest.raises(DataError, match=r"red\.png"):
        load_annotated(sample, LESIONS, 64)


def equal(one: AnnotatedImage, other: AnnotatedImage) -> bool:
    def tensors(p: AnnotatedImage) -> list[torch.Tensor]:
        return [p.image, p.masks, p.field_of_view, *([] if p.ignored is None else [p.ignored])]

    pairs = zip(tensors(one), tensors(other), strict=True)
    named = (one.name, one.annotated) == (other.name, other.annotated)
    return named and all(torch.equal(a, b) for a, b in pairs)


def test_what_is_neither_lesion_nor_background(sample: Sample, tmp_path: Path) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[20:30, 60:70], mask[40:60, 60:80] = 255, 127
    Image.fromarray(mask).save(tmp_path / "red.png")
    red = MaskFile(tmp_path / "red.png", values=(255,), ignored=(127,))
    found = load_annotated(replace(sample, masks={**sample.masks, "red": red}), LESIONS, 198)
    assert found.ignored is not None and found.ignored.shape == found.masks.shape
    assert int(found.masks[0].sum()) == pytest.approx(400, abs=45)
    assert int(found.ignored[0].sum()) == pytest.approx(1600, abs=200)
    assert not (found.ignored[0] & found.masks[0]).any()
    assert not found.ignored[1:].any()


def test_the_cache_gives_what_the_files_give(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = replace(sample.masks["red"], ignored=(3,))
    samples = [sample, replace(sample, name="other", masks={**sample.masks, "red": red})]
    direct = [load_annotated(s, LESIONS, 64) for s in samples]
    assert direct[0].ignored is None and direct[1].ignored is not None
    fresh = load_cached(samples, LESIONS, 64, tmp_path / "cache")
    assert all(map(equal, fresh, direct))

    def never(*_: object) -> None:
        raise AssertionError("read anew")

    monkeypatch.setattr(annotated, "read_fundus", never)
    again = load_cached(samples, LESIONS, 64, tmp_path / "cache")
    assert all(map(equal, again, direct))
    # what a run does to them does not reach the cache
    again[0].image.zero_()
    assert equal(load_cached(samples[:1], LESIONS, 64, tmp_path / "cache")[0], direct[0])


@pytest.mark.parametrize("change", ["photograph", "mask", "rule", "diameter", "lesions"])
def test_what_has_changed_is_read_anew(sample: Sample, tmp_path: Path, change: str) -> None:
    load_cached([sample], LESIONS, 64, tmp_path / "cache")
    diameter, lesions = 64, LESIONS
    if change in ("photograph", "mask"):
        path = tmp_path / ("eye.png" if change == "photograph" else "red.png")
        with Image.open(path) as file:
            pixels = np.asarray(file).copy()
        pixels[30:40, 60:70] = 255
        Image.fromarray(pixels).save(path)
        os.utime(path, ns=(1, 1))
    elif change == "rule":
        red = replace(sample.masks["red"], values=(0,))
        sample = replace(sample, masks={**sample.masks, "red": red})
    elif change == "diameter":
        diameter = 80
    else:
        lesions = ("pale", "red")
    (found,) = load_cached([sample], lesions, diameter, tmp_path / "cache")
    assert equal(found, load_annotated(sample, lesions, diameter))
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_the_cache_of_files_that_are_missing(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "red.png").unlink()
    with pytest.raises(DataError, match=r"red\.png"):
        load_cached([sample], LESIONS, 64, tmp_path / "cache")
    with pytest.raises(ImageError, match="none"):
        load_cached([Sample("none", tmp_path / "none.png", {})], LESIONS, 64, tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*"))
