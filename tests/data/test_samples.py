from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.samples import Sample, hold_out, read_lesion_free, read_mask
from tp_drseg.errors import DataError

TRUTH = np.array([[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=np.uint8)


def _palette() -> Image.Image:
    image = Image.fromarray(TRUTH)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert image.mode == "P"
    return image


def _with_full_alpha(colour: Image.Image) -> Image.Image:
    colour.putalpha(255)
    return colour


GREY = Image.fromarray(TRUTH * 255)
FILES = {
    "palette.tif": _palette(),
    "one_bit.png": GREY.convert("1"),
    "grey_255.png": GREY,
    "grey_1.png": Image.fromarray(TRUTH),
    "soft_edges.png": Image.fromarray(TRUTH * 90 + 100),
    "rgb_red.png": Image.fromarray(TRUTH[..., None] * np.array([200, 0, 0], dtype=np.uint8)),
    "rgba.tif": _with_full_alpha(GREY.convert("RGB")),
    "grey_alpha.png": _with_full_alpha(GREY.copy()),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_mask(name: str, tmp_path: Path) -> None:
    FILES[name].save(tmp_path / name)
    mask = read_mask(tmp_path / name, (3, 4))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, TRUTH.astype(bool))


def test_alpha_alone_is_no_lesion(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 3), (0, 0, 0, 255)).save(tmp_path / "all_alpha.tif")
    assert not read_mask(tmp_path / "all_alpha.tif", (3, 4)).any()


def test_128_is_lesion_and_127_is_not(tmp_path: Path) -> None:
    Image.fromarray(np.array([[127, 128, 255]], dtype=np.uint8)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (1, 3)), [[False, True, True]])


def test_mask_of_another_size(tmp_path: Path) -> None:
    GREY.save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"3 x 4 pixels.*photograph 4 x 3"):
        read_mask(tmp_path / "m.png", (4, 3))


def test_label_map_is_refused(tmp_path: Path) -> None:
    Image.fromarray(TRUTH * 4).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="values up to 4"):
        read_mask(tmp_path / "m.png", (3, 4))


def test_deep_grey_is_refused(tmp_path: Path) -> None:
    Image.fromarray(TRUTH.astype(np.uint16) * 65535).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="mode"):
        read_mask(tmp_path / "m.png", (3, 4))


def test_missing_and_broken_masks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no mask file"):
        read_mask(tmp_path / "m.png", (3, 4))
    GREY.save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:50])
    (tmp_path / "text.png").write_text("no image")
    for name in ("cut.png", "text.png"):
        with pytest.raises(DataError, match="cannot be read"):
            read_mask(tmp_path / name, (3, 4))


def test_lesion_free_photographs(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.JPG", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    samples = read_lesion_free(tmp_path, ["microaneurysm", "hard exudate"])
    assert [(sample.name, sample.image) for sample in samples] == [
        ("a", tmp_path / "a.JPG"),
        ("b", tmp_path / "b.jpg"),
    ]
    assert samples[0].masks == {"microaneurysm": None, "hard exudate": None}


def test_lesion_free_folder_without_photographs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        read_lesion_free(tmp_path, ["microaneurysm"])
    with pytest.raises(DataError, match="no folder"):
        read_lesion_free(tmp_path / "gone", ["microaneurysm"])


def test_hold_out_takes_every_fifth_by_name() -> None:
    samples = [Sample(f"IDRiD_{n:02d}", Path(), {}) for n in range(54, 0, -1)]
    training, validation = hold_out(samples)
    assert [s.name for s in validation] == [f"IDRiD_{n:02d}" for n in range(1, 55, 5)]
    assert len(validation) == 11
    assert {s.name for s in training} | {s.name for s in validation} == {s.name for s in samples}
    assert len(training) == 43
    with pytest.raises(DataError, match="every=1"):
        hold_out(samples, every=1)
