from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.masks import MaskFile, read_ignored, read_mask
from tp_drseg.errors import DataError

TRUTH = np.array([[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=np.uint8)
INDEXES = np.array([[0, 1, 2, 3], [4, 4, 0, 1]], dtype=np.uint8)
SIZE = (2, 4)


def _palette(values: np.ndarray) -> Image.Image:
    image = Image.fromarray(values)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0])
    assert image.mode == "P"
    return image


def _with_full_alpha(colour: Image.Image) -> Image.Image:
    colour.putalpha(255)
    return colour


GREY = Image.fromarray(TRUTH * 255)
FILES = {
    "palette.tif": _palette(TRUTH),
    "one_bit.png": GREY.convert("1"),
    "grey_255.png": GREY,
    "grey_1.png": Image.fromarray(TRUTH),
    "soft_edges.png": Image.fromarray(TRUTH * 90 + 100),
    "rgb_red.png": Image.fromarray(TRUTH[..., None] * np.array([200, 0, 0], dtype=np.uint8)),
    "rgba.tif": _with_full_alpha(GREY.convert("RGB")),
    "grey_alpha.png": _with_full_alpha(GREY.copy()),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", [Path, MaskFile])
def test_every_kind_of_file_gives_the_same_mask(name: str, kind: type, tmp_path: Path) -> None:
    FILES[name].save(tmp_path / name)
    mask = read_mask(kind(tmp_path / name), (3, 4))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, TRUTH.astype(bool))
    assert not read_ignored(kind(tmp_path / name), (3, 4)).any()


def test_no_mask_is_an_absent_lesion() -> None:
    for read in (read_mask, read_ignored):
        found = read(None, (3, 4))
        assert found.shape == (3, 4) and found.dtype == bool and not found.any()


def test_alpha_alone_is_no_lesion(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 3), (0, 0, 0, 255)).save(tmp_path / "all_alpha.tif")
    assert not read_mask(tmp_path / "all_alpha.tif", (3, 4)).any()


def test_128_is_lesion_and_127_is_not(tmp_path: Path) -> None:
    Image.fromarray(np.array([[127, 128, 255]], dtype=np.uint8)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (1, 3)), [[False, True, True]])


@pytest.mark.parametrize("kind", ["palette", "grey", "equal channels"])
@pytest.mark.parametrize("value", [1, 2, 3, 4])
def test_label_maps(kind: str, value: int, tmp_path: Path) -> None:
    image = _palette(INDEXES) if kind == "palette" else Image.fromarray(INDEXES)
    (image.convert("RGB") if kind == "equal channels" else image).save(tmp_path / "m.png")
    for labels in (None, (0, 1, 2, 3, 4)):
        mask = MaskFile(tmp_path / "m.png", values=(value,), labels=labels)
        np.testing.assert_array_equal(read_mask(mask, SIZE), value == INDEXES)
    both = MaskFile(tmp_path / "m.png", values=(value, 4))
    np.testing.assert_array_equal(read_mask(both, SIZE), np.isin(INDEXES, (value, 4)))


def test_unknown_label(tmp_path: Path) -> None:
    _palette(INDEXES).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png' has the values 2, 4; only 0, 1, 3"):
        read_mask(MaskFile(tmp_path / "m.png", values=(3,), labels=(0, 1, 3)), SIZE)


def test_coloured_label_map(tmp_path: Path) -> None:
    _palette(INDEXES).convert("RGB").save(tmp_path / "m.png")
    with pytest.raises(DataError, match="in colour"):
        read_mask(MaskFile(tmp_path / "m.png", values=(1,)), SIZE)


def test_ignored_pixels_are_neither_lesion_nor_background(tmp_path: Path) -> None:
    grey = np.array([[0, 127, 255, 0]], dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "m.png")
    for values in (None, (255,), (127, 255)):
        mask = MaskFile(tmp_path / "m.png", values=values, ignored=(127,))
        np.testing.assert_array_equal(read_mask(mask, (1, 4)), grey == 255)
        np.testing.assert_array_equal(read_ignored(mask, (1, 4)), grey == 127)


def test_nothing_but_ignored_pixels_is_an_empty_mask(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 127, dtype=np.uint8)).save(tmp_path / "m.png")
    mask = MaskFile(tmp_path / "m.png", ignored=(127,))
    assert not read_mask(mask, (2, 2)).any()
    assert read_ignored(mask, (2, 2)).all()


def test_mask_of_another_size(tmp_path: Path) -> None:
    GREY.save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"3 x 4 pixels.*photograph 4 x 3"):
        read_mask(tmp_path / "m.png", (4, 3))
    with pytest.raises(DataError, match=r"3 x 4 pixels.*photograph 4 x 3"):
        read_ignored(MaskFile(tmp_path / "m.png", ignored=(127,)), (4, 3))


def test_label_map_is_refused_as_a_mask(tmp_path: Path) -> None:
    Image.fromarray(TRUTH * 4).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="values up to 4"):
        read_mask(tmp_path / "m.png", (3, 4))


def test_deep_grey_is_refused(tmp_path: Path) -> None:
    Image.fromarray(TRUTH.astype(np.uint16) * 65535).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="mode"):
        read_mask(tmp_path / "m.png", (3, 4))


def test_missing_and_broken_masks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"The mask '.*m\.png' does not exist"):
        read_mask(tmp_path / "m.png", (3, 4))
    GREY.save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:50])
    (tmp_path / "text.png").write_text("no image")
    for name in ("cut.png", "text.png"):
        with pytest.raises(DataError, match=rf"The mask '.*{name}' (holds text|cannot be decoded)"):
            read_mask(tmp_path / name, (3, 4))
