"""Mask files of a palette: the lesion is what a viewer shows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.masks import MaskFile, read_ignored, read_mask
from tp_drseg.errors import DataError

TRUTH = np.zeros((40, 50), bool)
TRUTH[5:20, 10:30] = True
BLACK, WHITE, RED, GREEN, DARK = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (40, 0, 0)
Colour = tuple[int, int, int]


def indexed(values: np.ndarray, *colours: Colour) -> Image.Image:
    image = Image.fromarray(values.astype(np.uint8))
    image.putpalette([channel for colour in colours for channel in colour])
    return image


def read(image: Image.Image, folder: Path, ending: str = "png", **rule: object) -> np.ndarray:
    image.save(folder / f"m.{ending}")
    return read_mask(MaskFile(folder / f"m.{ending}", **rule), (40, 50))  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
@pytest.mark.parametrize(
    ("first", "second", "inverted"),
    [
        (BLACK, WHITE, False),
        (WHITE, BLACK, True),
        (BLACK, RED, False),
        (RED, BLACK, True),
        (BLACK, DARK, False),  # a label's colour may be dark
        (GREEN, (20, 20, 20), True),
        (BLACK, BLACK, False),  # a palette that was lost: indexes are all there is
        ((9, 9, 9), (9, 9, 9), False),
    ],
)
def test_lesion_is_what_is_shown(
    first: Colour, second: Colour, inverted: bool, ending: str, tmp_path: Path
) -> None:
    image = indexed(~TRUTH if inverted else TRUTH, first, second)
    if (ending, first, second) == ("bmp", BLACK, WHITE):
        with pytest.raises(DataError, match=r"m\.bmp' is a BMP of two greys"):
            read(image, tmp_path, ending)  # which Pillow misreads
    else:
        np.testing.assert_array_equal(read(image, tmp_path, ending), TRUTH)


@pytest.mark.parametrize("colours", [2, 4, 16])
@pytest.mark.parametrize("lesion", [WHITE, RED, (0, 200, 255)])
def test_palettes_of_pillow(colours: int, lesion: Colour, tmp_path: Path) -> None:
    picture = Image.fromarray(np.where(TRUTH[:, :, None], np.array(lesion, np.uint8), 0))
    for image in (
        picture.quantize(colours),
        picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=colours),
    ):
        np.testing.assert_array_equal(read(image, tmp_path), TRUTH)


def test_grey_levels_in_a_palette_have_the_rule_of_grey_files(tmp_path: Path) -> None:
    soft = np.where(TRUTH, 255, 0).astype(np.uint8)
    soft[4], soft[20] = 127, 128
    expected = soft >= 128
    np.testing.assert_array_equal(read(Image.fromarray(soft).convert("P"), tmp_path), expected)
    ramp = [(level, level, level) for level in range(255, -1, -1)]
    np.testing.assert_array_equal(read(indexed(255 - soft, *ramp), tmp_path), expected)
    labels = indexed(TRUTH * 3, *reversed(ramp))
    with pytest.raises(DataError, match="values up to 3: neither 0/1 nor 0/255"):
        read(labels, tmp_path)
    np.testing.assert_array_equal(read(labels, tmp_path, values=(3,)), TRUTH)


def test_one_index_alone(tmp_path: Path) -> None:
    empty, full = np.zeros_like(TRUTH), np.ones_like(TRUTH)
    assert not read(indexed(empty, BLACK, RED), tmp_path).any()
    assert read(indexed(full, BLACK, RED), tmp_path).all()
    assert not read(indexed(full, WHITE, BLACK), tmp_path).any()


def test_background_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"m\.png' has a palette without a dark colour"):
        read(indexed(TRUTH, (0, 0, 200), (255, 255, 0)), tmp_path)


def test_indexes_of_a_label_map_are_not_their_colours(tmp_path: Path) -> None:
    """A white index 0 changes nothing where the values are told."""
    image = indexed(TRUTH, WHITE, BLACK)
    np.testing.assert_array_equal(read(image, tmp_path, values=(1,)), TRUTH)
    image.save(tmp_path / "m.png")
    ignored = MaskFile(tmp_path / "m.png", ignored=(1,))
    np.testing.assert_array_equal(read_ignored(ignored, (40, 50)), TRUTH)
    np.testing.assert_array_equal(read_mask(ignored, (40, 50)), ~TRUTH)


def test_transparent_index_does_not_count(tmp_path: Path) -> None:
    indexed(TRUTH, BLACK, WHITE).save(tmp_path / "m.png", transparency=1)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (40, 50)), TRUTH)
