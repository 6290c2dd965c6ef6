"""Whatever a mask file holds, it is a mask of its photograph's size, or one of our errors."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.damaged import any_file
from tests.support.image_files import encoded
from tp_drseg._runtime.names import name_key
from tp_drseg.data.masks import MaskFile, read_ignored, read_mask
from tp_drseg.errors import DataError

bounded = settings(max_examples=60, deadline=None, database=None)

SIZE = (40, 48)
GREY = np.zeros(SIZE, np.uint8)
GREY[5:20, 10:30] = 255
LABELS = Image.fromarray(GREY // 85).convert("P")
LABELS.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
COLOUR = Image.fromarray(GREY).convert("RGB")
FILES = [
    encoded("PNG", GREY),
    encoded("PNG", Image.fromarray(GREY).convert("1")),
    encoded("PNG", LABELS),
    encoded("PNG", COLOUR.quantize(2)),
    encoded("PNG", COLOUR.convert("RGBA")),
    encoded("TIFF", GREY, compression="tiff_lzw"),
    encoded("TIFF", LABELS),
    encoded("TIFF", Image.fromarray(GREY).convert("1"), compression="group4"),
    encoded("BMP", LABELS),
    encoded("JPEG", GREY),
    encoded("WEBP", COLOUR, lossless=True),
]


@bounded
@given(
    data=any_file(FILES),
    values=st.none() | st.lists(st.integers(0, 255), max_size=3).map(tuple),
    ignored=st.lists(st.integers(0, 255), max_size=2).map(tuple),
    labels=st.none() | st.just((0, 1, 3, 255)),
)
def test_any_bytes_are_a_mask_or_refused(
    data: bytes,
    values: tuple[int, ...] | None,
    ignored: tuple[int, ...],
    labels: tuple[int, ...] | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    path.write_bytes(data)
    mask = MaskFile(path, values, ignored, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            lesion, nothing = read_mask(mask, SIZE), read_ignored(mask, SIZE)
        except DataError as error:
            assert str(error).endswith(".")
            return
    for found in (lesion, nothing):
        assert found.shape == SIZE and found.dtype == np.bool_
    assert not (lesion & nothing).any()


def test_the_files_are_good(tmp_path: Path) -> None:
    for data in FILES:
        (tmp_path / "m.png").write_bytes(data)
        np.testing.assert_array_equal(read_mask(tmp_path / "m.png", SIZE), GREY > 0)


@bounded
@given(st.text(max_size=20))
def test_key_of_a_name_is_its_own_key(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)
    assert name_key(name.casefold()) == name_key(name)
