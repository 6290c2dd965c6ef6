from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.idrid import read_idrid
from tp_drseg.data.samples import read_mask
from tp_drseg.errors import DataError

FOLDERS = {
    "MA": "1. Microaneurysms",
    "HE": "2. Haemorrhages",
    "EX": "3. Hard Exudates",
    "SE": "4. Soft Exudates",
    "OD": "5. Optic Disc",
}
MASKS = "2. All Segmentation Groundtruths"
REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "IDRiD"


def make_tree(home: Path, split: str = "a. Training Set") -> None:
    """Two photographs; the second has no soft exudates. Files are empty: none is opened."""
    images = home / "1. Original Images" / split
    images.mkdir(parents=True)
    for number in ("01", "02"):
        (images / f"IDRiD_{number}.jpg").touch()
    for suffix, name in FOLDERS.items():
        folder = home / MASKS / split / name
        folder.mkdir(parents=True)
        (folder / f"IDRiD_01_{suffix}.tif").touch()
        if suffix != "SE":
            (folder / f"IDRiD_02_{suffix}.tif").touch()


def test_official_tree(tmp_path: Path) -> None:
    home = tmp_path / "A. Segmentation"
    make_tree(home)
    first, second = read_idrid(tmp_path)
    assert (first.name, second.name) == ("IDRiD_01", "IDRiD_02")
    assert first.image == home / "1. Original Images" / "a. Training Set" / "IDRiD_01.jpg"
    masks = home / MASKS / "a. Training Set"
    assert second.masks == {
        "microaneurysm": masks / "1. Microaneurysms" / "IDRiD_02_MA.tif",
        "haemorrhage": masks / "2. Haemorrhages" / "IDRiD_02_HE.tif",
        "hard exudate": masks / "3. Hard Exudates" / "IDRiD_02_EX.tif",
        "soft exudate": None,
    }


@pytest.mark.parametrize(
    "nested",
    [
        "",
        "A. Segmentation",
        "A.%20Segmentation",
        "A. Segmentation/A. Segmentation",
        "A.%20Segmentation/A. Segmentation",
    ],
)
def test_ways_that_copies_are_nested(nested: str, tmp_path: Path) -> None:
    make_tree(tmp_path / nested)
    assert len(read_idrid(tmp_path)) == 2


def test_splits_and_optic_disc(tmp_path: Path) -> None:
    make_tree(tmp_path, "b. Testing Set")
    first, _ = read_idrid(tmp_path, "test", optic_disc=True)
    path = first.masks["optic disc"]
    assert path is not None and path.name == "IDRiD_01_OD.tif"
    with pytest.raises(DataError, match=r"a\. Training Set"):
        read_idrid(tmp_path, "train")
    with pytest.raises(DataError, match="no split 'valid'"):
        read_idrid(tmp_path, "valid")  # type: ignore[arg-type]


def test_orphan_mask(tmp_path: Path) -> None:
    make_tree(tmp_path)
    folder = tmp_path / MASKS / "a. Training Set" / FOLDERS["EX"]
    (folder / "IDRiD_77_EX.tif").touch()
    with pytest.raises(DataError, match=r"3\. Hard Exudates.*IDRiD_77_EX"):
        read_idrid(tmp_path)


def test_mask_in_the_folder_of_another_lesion(tmp_path: Path) -> None:
    make_tree(tmp_path)
    folder = tmp_path / MASKS / "a. Training Set" / FOLDERS["EX"]
    (folder / "IDRiD_01_SE.tif").touch()
    with pytest.raises(DataError, match="IDRiD_01_SE"):
        read_idrid(tmp_path)


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1\. Original Images"):
        read_idrid(tmp_path)
    make_tree(tmp_path)
    (tmp_path / MASKS / "a. Training Set" / FOLDERS["HE"]).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"no folder.*2\. Haemorrhages"):
        read_idrid(tmp_path)


def test_no_images(tmp_path: Path) -> None:
    make_tree(tmp_path)
    for image in (tmp_path / "1. Original Images" / "a. Training Set").iterdir():
        image.unlink()
    with pytest.raises(DataError, match="no image"):
        read_idrid(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="IDRiD is not here")
def test_real_training_set() -> None:
    samples = read_idrid(REAL)
    assert len(samples) == 54
    absent = {
        lesion: sum(sample.masks[lesion] is None for sample in samples)
        for lesion in samples[0].masks
    }
    assert absent == {"microaneurysm": 0, "haemorrhage": 1, "hard exudate": 0, "soft exudate": 28}
    path = samples[0].masks["hard exudate"]
    assert path is not None
    mask = read_mask(path, (2848, 4288))
    with Image.open(path) as file:
        assert mask.sum() == np.count_nonzero(np.asarray(file.convert("RGB")).any(axis=-1))
    assert 0 < mask.mean() < 0.1
