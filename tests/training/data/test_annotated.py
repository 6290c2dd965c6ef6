from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from tp_drseg.config import TPDRSegConfig
from tp_drseg.data.samples import MaskFile, Sample
from tp_drseg.errors import DataError, ImageError
from tp_drseg.images import find_field_of_view, frame_photograph, read_image
from tp_drseg.training.data import annotated
from tp_drseg.training.data.annotated import (
    AnnotatedImage,
    FrameSizes,
    load_annotated,
    load_cached,
)

LESIONS: tuple[str, ...] = ("red", "pale", "absent", "not annotated")
SIZES = FrameSizes(working=64, fine=72, clip=48)
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


def mask_of(sample: Sample, lesion: str) -> MaskFile:
    mask = sample.masks[lesion]
    assert mask is not None
    return mask


def test_a_square_of_the_field_of_view(sample: Sample) -> None:
    found = load_annotated(sample, LESIONS, FrameSizes(working=99, fine=198, clip=64))
    assert found.name == "eye"
    assert [level.shape for level in found.levels] == [(3, 99, 99), (3, 198, 198)]
    assert found.masks.shape == (4, 198, 198) and found.masks.dtype == torch.uint8
    assert found.field_of_view.shape == (1, 198, 198)
    # twice as large as it was: 99 pixels wide, 95 high, the rest is padding
    height = round(198 * 95 / 99)
    image = found.levels[-1]
    assert image.dtype == torch.uint8
    assert not image[:, height:].any() and not found.field_of_view[:, height:].any()
    assert found.field_of_view[0, height // 2, 99] == 1 and found.field_of_view[0, 185, 5] == 0
    assert set(found.masks.flatten().tolist()) == {0, 1}
    for i, colour in ((0, (250, 50, 20)), (1, (250, 240, 200))):
        assert int(found.masks[i].sum()) == pytest.approx(400, abs=45)
        seen = image[:, found.masks[i] == 1].float().median(dim=1).values
        assert seen.tolist() == pytest.approx(colour, abs=12)
    assert not found.masks[2:].any()
    assert found.ignored is None and found.annotated == (True, True, True, False)
    assert [found.knows(lesion) for lesion in range(4)] == [True, True, True, False]


def test_without_masks(sample: Sample, tmp_path: Path) -> None:
    """Nothing is kept of masks that are not there; the disc is where the pixels are."""
    bare = Sample("eye", sample.image, {"absent": None}, disc=(64.0, 24.0))
    for found in (
        load_annotated(bare, LESIONS, SIZES), *load_cached([bare], LESIONS, SIZES, tmp_path / "c")
    ):  # fmt: skip
        assert found.masks.shape == (4, 72, 72) and not found.masks.any()
        assert found.annotated == (False, False, True, False)
        assert found.disc is not None
        x, y = (int(share * 72) for share in found.disc)
        # 64, 24 is in the corner of the red lesion
        assert found.levels[-1][:, y + 1, x + 1].tolist() == pytest.approx((250, 50, 20), abs=12)
    assert load_annotated(sample, LESIONS, SIZES).disc is None


def test_the_frames_are_those_of_inference(sample: Sample) -> None:
    image = read_image(sample.image)
    field_of_view = find_field_of_view(image)
    found = load_annotated(sample, LESIONS, FrameSizes(working=80, fine=96, clip=64))
    for level, diameter in zip(found.levels, (80, 96), strict=True):
        framed = frame_photograph(image, field_of_view, diameter)
        height, width = framed.frame.size
        assert torch.equal(level[:, :height, :width].permute(1, 2, 0), torch.tensor(framed.pixels))
    clip = frame_photograph(image, field_of_view, 64)
    assert torch.equal(found.clip_pixels, torch.from_numpy(clip.pixels))
    assert torch.equal(found.clip_inside == 1, torch.from_numpy(clip.inside >= 0.5))


def test_sizes(make_config: Callable[..., TPDRSegConfig]) -> None:
    model = make_config(inference={"working_diameter": 100})
    clip = model.architecture.clip.image_size
    assert FrameSizes.of(model) == FrameSizes(100, 120, clip)
    assert FrameSizes.of(model, 300) == FrameSizes(100, 300, clip)
    assert FrameSizes.of(model, 50) == FrameSizes(100, 100, clip)


def test_the_level_for_a_resolution(sample: Sample) -> None:
    found = load_annotated(sample, LESIONS, FrameSizes(working=80, fine=96, clip=64))
    for side, expected in (
        (20, 80),
        (80, 80),
        (80 * (1 + 1e-9), 80),
        (81, 96),
        (96, 96),
        (500, 96),
    ):
        assert found.level(side).shape[-1] == expected
    only = load_annotated(sample, LESIONS, FrameSizes(working=80, fine=80, clip=64))
    assert len(only.levels) == 1 and only.level(500) is only.levels[0]


def test_files_that_cannot_be_used(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="none"):
        load_annotated(Sample("none", tmp_path / "none.png", {}), LESIONS, SIZES)
    Image.new("L", (20, 20)).save(tmp_path / "red.png")
    with pytest.raises(DataError, match=r"red\.png"):
        load_annotated(sample, LESIONS, SIZES)


def equal(one: AnnotatedImage, other: AnnotatedImage) -> bool:
    def tensors(p: AnnotatedImage) -> list[torch.Tensor]:
        return [
            *p.levels,
            p.masks,
            p.field_of_view,
            p.clip_pixels,
            p.clip_inside,
            *([] if p.ignored is None else [p.ignored]),
        ]

    pairs = zip(tensors(one), tensors(other), strict=True)
    named = (one.name, one.annotated) == (other.name, other.annotated)
    return named and all(torch.equal(a, b) for a, b in pairs)


def test_what_is_neither_lesion_nor_background(sample: Sample, tmp_path: Path) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[20:30, 60:70], mask[40:60, 60:80] = 255, 127
    Image.fromarray(mask).save(tmp_path / "red.png")
    red = MaskFile(tmp_path / "red.png", values=(255,), ignored=(127,))
    found = load_annotated(
        replace(sample, masks={**sample.masks, "red": red}), LESIONS, FrameSizes(99, 198, 64)
    )
    assert found.ignored is not None and found.ignored.shape == found.masks.shape
    assert int(found.masks[0].sum()) == pytest.approx(400, abs=45)
    assert int(found.ignored[0].sum()) == pytest.approx(1600, abs=200)
    assert not (found.ignored[0] & found.masks[0]).any()
    assert not found.ignored[1:].any()


def test_the_cache_gives_what_the_files_give(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = replace(mask_of(sample, "red"), ignored=(3,))
    samples = [sample, replace(sample, name="other", masks={**sample.masks, "red": red})]
    direct = [load_annotated(s, LESIONS, SIZES) for s in samples]
    assert direct[0].ignored is None and direct[1].ignored is not None
    fresh = load_cached(samples, LESIONS, SIZES, tmp_path / "cache")
    assert all(map(equal, fresh, direct))

    def never(*_: object) -> None:
        raise AssertionError("read anew")

    monkeypatch.setattr(annotated, "read_fundus", never)
    again = load_cached(samples, LESIONS, SIZES, tmp_path / "cache")
    assert all(map(equal, again, direct))
    # what a run does to them does not reach the cache
    again[0].levels[0].zero_()
    assert equal(load_cached(samples[:1], LESIONS, SIZES, tmp_path / "cache")[0], direct[0])


@pytest.mark.parametrize("change", ["photograph", "mask", "rule", "sizes", "lesions"])
def test_what_has_changed_is_read_anew(sample: Sample, tmp_path: Path, change: str) -> None:
    load_cached([sample], LESIONS, SIZES, tmp_path / "cache")
    sizes, lesions = SIZES, LESIONS
    if change in ("photograph", "mask"):
        path = tmp_path / ("eye.png" if change == "photograph" else "red.png")
        with Image.open(path) as file:
            pixels = np.asarray(file).copy()
        pixels[30:40, 60:70] = 255
        Image.fromarray(pixels).save(path)
        os.utime(path, ns=(1, 1))
    elif change == "rule":
        red = replace(mask_of(sample, "red"), values=(0,))
        sample = replace(sample, masks={**sample.masks, "red": red})
    elif change == "sizes":
        sizes = FrameSizes(64, 72, 50)
    else:
        lesions = LESIONS[1::-1]
    (found,) = load_cached([sample], lesions, sizes, tmp_path / "cache")
    assert equal(found, load_annotated(sample, lesions, sizes))
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 2


def test_the_cache_of_files_that_are_missing(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "red.png").unlink()
    with pytest.raises(DataError, match=r"red\.png"):
        load_cached([sample], LESIONS, SIZES, tmp_path / "cache")
    with pytest.raises(ImageError, match="none"):
        load_cached([Sample("none", tmp_path / "none.png", {})], LESIONS, SIZES, tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*"))


@pytest.mark.parametrize("name", ["field_of_view", "masks", "clip_inside", "disc", "level/00064"])
@pytest.mark.parametrize("change", ["shape", "type", "name"])
def test_a_cache_of_another_run_is_not_believed(
    sample: Sample, tmp_path: Path, name: str, change: str
) -> None:
    """What a stranger's run folder holds under a photograph's key has shapes of its own."""
    (before,) = load_cached([sample], LESIONS, SIZES, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    data = path.read_bytes()
    tensors = load(data)
    found = tensors.pop(name)
    if change == "name":
        tensors[f"{name}0"] = found
    else:
        tensors[name] = found[..., :-1].clone() if change == "shape" else found.to(torch.int32)
    path.unlink()  # what is mapped stays as it is
    path.write_bytes(save(tensors))
    (after,) = load_cached([sample], LESIONS, SIZES, tmp_path / "cache")
    assert equal(before, after) and path.read_bytes() == data


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_cache_is_made_anew(sample: Sample, tmp_path: Path, damage: str) -> None:
    (before,) = load_cached([sample], LESIONS, SIZES, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    data = path.read_bytes()
    content = {"cut": data[:-50], "empty": b"", "other": save({"x": torch.zeros(1)})}[damage]
    path.unlink()  # what is mapped stays as it is
    path.write_bytes(content)
    (after,) = load_cached([sample], LESIONS, SIZES, tmp_path / "cache")
    assert equal(before, after) and path.read_bytes() == data
