"""Whatever comes in, a photograph comes out as it should be, or one of our errors."""

import struct
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from tests.support.damaged import any_file
from tests.support.image_files import encoded, png16, png_chunk, png_with, tiff
from tp_drseg.errors import ImageError
from tp_drseg.images import (
    FieldOfView,
    find_field_of_view,
    find_regions,
    frame_photograph,
    fundus_doubt,
    read_fundus,
    read_image,
)
from tp_drseg.images.headers import orientation, png_without_large_text, read_directory, webp_size

bounded = settings(max_examples=80, deadline=None, database=None)

NOISE = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
GREY, RGBA = NOISE[:, :, 0], np.dstack([NOISE, NOISE[:, :, 0]])
TURNED = Image.Exif()
TURNED[274] = 6
FILES = [
    encoded("JPEG", NOISE, exif=TURNED),
    encoded("JPEG", NOISE, progressive=True),
    encoded("PNG", NOISE),
    encoded("PNG", RGBA),
    encoded("PNG", Image.fromarray(NOISE).quantize(16), transparency=1),
    png16(NOISE.astype(np.uint16) * 257),
    png_with(encoded("PNG", GREY), png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>")),
    encoded("TIFF", NOISE, compression="tiff_lzw"),
    encoded("TIFF", GREY.astype(np.float32) / 255),
    tiff(NOISE.astype(np.uint16) * 257),
    encoded("BMP", NOISE),
    encoded("WEBP", NOISE, lossless=True),
    encoded("WEBP", RGBA),
    encoded("PPM", NOISE),
]


@bounded
@given(any_file(FILES))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fundus = read_fundus(data, max_pixels=1_000_000)
        except ImageError as error:
            assert str(error).endswith(".")
            return
    assert fundus.pixels.dtype == np.uint8
    assert fundus.pixels.ndim == 3 and fundus.pixels.shape[2] == 3
    assert fundus.pixels.flags.c_contiguous
    assert fundus.field_of_view.mask.shape == fundus.pixels.shape[:2]
    assert fundus.field_of_view.mask.any()


KINDS = st.sampled_from(["u1", "u2", ">u2", "?", "f2", "f4", "f8", "i4", "c8", "M8[s]"])


@bounded
@given(arrays(KINDS, array_shapes(max_dims=4, min_side=0, max_side=40)))
def test_any_array_is_read_or_refused(values: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = read_image(values)
        except ImageError:
            return
    assert image.dtype == np.uint8
    assert image.shape == (*values.shape[:2], 3)


def pictures() -> st.SearchStrategy[np.ndarray]:
    sides = st.integers(1, 64)
    shapes = st.tuples(sides, sides, st.just(3))
    levels = st.sampled_from([0, 1, 40, 128, 190, 255]) | st.integers(0, 255)
    return arrays(np.uint8, shapes, elements=levels, fill=levels)


@bounded
@given(pictures())
def test_any_picture_has_a_field_of_view_or_none(image: np.ndarray) -> None:
    try:
        found = find_field_of_view(image)
    except ImageError:
        return
    left, top, right, bottom = found.box
    assert found.mask.shape == image.shape[:2]
    assert found.mask[top:bottom, left:right].sum() == found.area > 0
    assert 0 <= left < right <= image.shape[1] and 0 <= top < bottom <= image.shape[0]
    doubt = fundus_doubt(image, found)
    assert doubt is None or doubt.startswith("The image does not look like")


@bounded
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24)))
def test_regions_share_the_mask_out(mask: np.ndarray) -> None:
    regions = find_regions(mask, np.ones(mask.shape, np.float32))
    assert sum(region.area_px for region in regions) == mask.sum()
    assert [r.area_px for r in regions] == sorted((r.area_px for r in regions), reverse=True)
    for region in regions:
        left, top, right, bottom = region.box
        edges = mask[top:bottom, left:right]
        assert edges[0].any() and edges[-1].any() and edges[:, 0].any() and edges[:, -1].any()
        assert left <= region.centroid[0] < right and top <= region.centroid[1] < bottom
        assert region.mean_probability == region.max_probability == 1.0


@bounded
@given(
    mask=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=30)),
    diameter=st.integers(1, 60),
)
def test_framing_keeps_to_the_field_of_view(mask: np.ndarray, diameter: int) -> None:
    mask[0, 0] = True
    framed = frame_photograph(
        np.zeros((*mask.shape, 3), np.uint8), FieldOfView.from_mask(mask), diameter
    )
    height, width = framed.frame.size
    assert max(height, width) == diameter
    assert framed.pixels.shape == (height, width, 3)
    assert framed.inside.shape == (height, width)
    assert 0.0 <= framed.inside.min() <= framed.inside.max() <= 1.0


@bounded
@given(st.binary(max_size=200), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0+", b""]))
def test_headers_of_any_bytes(data: bytes, head: bytes) -> None:
    for reader in (read_directory, webp_size):
        try:
            reader(head + data)
        except (ValueError, struct.error):
            continue
    kept, _ = png_without_large_text(b"\x89PNG\r\n\x1a\n" + data)
    assert kept.startswith(b"\x89PNG")


METADATA = st.none() | st.binary(max_size=80) | st.text(max_size=80)


@bounded
@given(
    st.fixed_dictionaries(
        {key: METADATA for key in ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")}
    )
)
def test_orientation_of_any_metadata(info: Mapping[str, Any]) -> None:
    assert 1 <= orientation(info) <= 8


@pytest.mark.parametrize("data", FILES, ids=range(len(FILES)))
def test_the_files_are_good(data: bytes) -> None:
    assert read_image(data).shape[2] == 3
