import logging
from pathlib import Path
from typing import Any

import pytest

from tp_drseg.data.check import check
from tp_drseg.data.ddr import read_ddr
from tp_drseg.data.samples import MaskFile
from tp_drseg.errors import DataError

CODES = {"microaneurysm": "MA", "haemorrhage": "HE", "hard exudate": "EX", "soft exudate": "SE"}


@pytest.fixture
def root(tmp_path: Path, photograph: Any, mask: Any, clutter: Any) -> Path:
    """Two photographs a split; masks of SE are empty."""
    home = tmp_path / "DDR-dataset" / "lesion_segmentation"
    for split, labels in (("train", "label"), ("valid", "segmentation label"), ("test", "label")):
        for stem in (f"007-1-{split}", f"20170-{split}"):
            photograph(home / split / "image" / f"{stem}.jpg")
            for code in CODES.values():
                path = home / split / labels / code / f"{stem}.tif"
                mask(path, 0 if code == "SE" else 255)
    clutter(tmp_path)
    return tmp_path


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_split(root: Path, split: str, caplog: pytest.LogCaptureFixture) -> None:
    first, second = read_ddr(root, split)
    assert (first.name, second.name) == (f"007-1-{split}", f"20170-{split}")
    home = root / "DDR-dataset" / "lesion_segmentation" / split
    labels = home / ("segmentation label" if split == "valid" else "label")
    assert first.image == home / "image" / f"{first.name}.jpg"
    assert first.masks == {
        lesion: MaskFile(labels / code / f"{first.name}.tif") for lesion, code in CODES.items()
    }
    counts = check([first, second], CODES).lesions
    assert [(c.present, c.empty) for c in counts] == [(2, 0), (2, 0), (2, 0), (0, 2)]
    assert not caplog.records


def test_from_any_folder_above(root: Path) -> None:
    for folder in (root / "DDR-dataset", root / "DDR-dataset" / "lesion_segmentation"):
        assert read_ddr(folder) == read_ddr(root, "train")


def test_missing_mask_is_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = root / "DDR-dataset" / "lesion_segmentation" / "train"
    (home / "label" / "HE" / "20170-train.tif").unlink()
    with caplog.at_level(logging.WARNING):
        _, second = read_ddr(root)
    assert second.masks["haemorrhage"] is None
    (record,) = caplog.records
    assert "haemorrhage for every photograph, this copy none for 1 of 2 (20170" in record.message


def test_orphan_mask(root: Path, mask: Any) -> None:
    home = root / "DDR-dataset" / "lesion_segmentation" / "train"
    mask(home / "label" / "HE" / "stray.tif")
    with pytest.raises(DataError, match=r"1 mask\(s\) in .*HE belong to no image: stray"):
        read_ddr(root)


def test_missing_folders(root: Path) -> None:
    home = root / "DDR-dataset" / "lesion_segmentation"
    (home / "train" / "label" / "EX").rename(home / "EX")
    with pytest.raises(DataError, match=r"no folder .*train/label/EX.*holds:.* HE, MA, SE"):
        read_ddr(root)
    (home / "valid" / "segmentation label").rename(home / "labels")
    with pytest.raises(DataError, match=r"no folder .*valid/segmentation label.*image"):
        read_ddr(root, "valid")
    (home / "test" / "image").rename(home / "test" / "images")
    with pytest.raises(DataError, match=r"no folder 'test/image' in it.*DDR-dataset"):
        read_ddr(root, "test")


def test_unknown_split(root: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'val'.*train, valid, test"):
        read_ddr(root, "val")
