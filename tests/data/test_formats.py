from pathlib import Path
from typing import Any

import pytest

from tp_drseg.data.formats import FORMATS, choose_split, read_dataset
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

CATALOG = LesionCatalog.default()


def test_names_splits_and_descriptions() -> None:
    assert {name: format.splits for name, format in FORMATS.items()} == {
        "idrid": ("train", "test"),
        "ddr": ("train", "valid", "test"),
        "fgadr": (),
        "retinal-lesions": (),
        "tjdr": ("train", "test"),
        "e-ophtha": (),
        "folder": (),
        "review": (),
    }
    for format in FORMATS.values():
        assert format.description and "\n" not in format.description


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_with_each_of_its_splits(name: str, tmp_path: Path) -> None:
    # An empty folder gets as far as the reader of that very format.
    for split in (None, *FORMATS[name].splits):
        with pytest.raises(DataError, match=str(tmp_path)):
            read_dataset(tmp_path, name, split, CATALOG)


def test_the_training_set_is_read_where_no_split_is_given(
    tmp_path: Path, photograph: Any, mask: Any
) -> None:
    for split in ("train", "valid"):
        photograph(tmp_path / split / "image" / f"{split}.jpg")
        for code in ("MA", "HE", "EX", "SE"):
            mask(tmp_path / split / "label" / code / f"{split}.tif")
    assert [s.name for s in read_dataset(tmp_path, "ddr", None, CATALOG)] == ["train"]
    assert [s.name for s in read_dataset(tmp_path, "ddr", "valid", CATALOG)] == ["valid"]


def test_the_plain_folder(tmp_path: Path, photograph: Any, mask: Any) -> None:
    photograph(tmp_path / "images" / "a.jpg")
    mask(tmp_path / "masks" / "EX" / "a.png")
    (sample,) = read_dataset(tmp_path, "folder", None, CATALOG)
    assert set(sample.masks) == {"hard exudate"}


def test_unknown_format_and_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data format 'coco'.*idrid, ddr, .*folder"):
        read_dataset(tmp_path, "coco", None, CATALOG)
    with pytest.raises(DataError, match=r"'ddr' has no split 'val'.*train, valid, test"):
        read_dataset(tmp_path, "ddr", "val", CATALOG)
    with pytest.raises(DataError, match=r"'folder' has no splits. Leave out the split 'train'"):
        read_dataset(tmp_path, "folder", "train", CATALOG)
    assert choose_split("idrid", None) == "train"
    assert choose_split("folder", None) is None
    assert choose_split("tjdr", "test") == "test"
