from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.check import check, fingerprint
from tp_drseg.data.idrid import read_idrid
from tp_drseg.data.samples import MaskFile, read_mask
from tp_drseg.errors import DataError, LesionError
from tp_drseg.lesions import Description, Lesion, LesionCatalog

FOLDERS = {
    "MA": "1. Microaneurysms",
    "HE": "2. Haemorrhages",
    "EX": "3. Hard Exudates",
    "SE": "4. Soft Exudates",
    "OD": "5. Optic Disc",
}
MASKS = "2. All Segmentation Groundtruths"
REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "IDRiD"
DISC = Lesion("optic disc", "OD", ("disc",), (Description("a bright disc"),))
WITH_DISC = LesionCatalog.default().add(DISC)


@pytest.fixture
def make_tree(photograph: Any, mask: Any) -> Any:
    def make(home: Path, split: str = "a. Training Set") -> None:
        """Two photographs; the second has no soft exudates. All masks but OD are palette files."""
        for number in ("01", "02"):
            photograph(home / "1. Original Images" / split / f"IDRiD_{number}.jpg")
        for suffix, name in FOLDERS.items():
            for number in ("01",) if suffix == "SE" else ("01", "02"):
                path = home / MASKS / split / name / f"IDRiD_{number}_{suffix}.tif"
                mask(path, 255 if suffix == "OD" else 1, palette=suffix != "OD")

    return make


def test_official_tree(tmp_path: Path, make_tree: Any, clutter: Any) -> None:
    home = tmp_path / "A. Segmentation"
    make_tree(home)
    clutter(tmp_path)
    # The data set's other parts have original images too.
    (tmp_path / "B. Disease Grading" / "1. Original Images").mkdir(parents=True)
    first, second = read_idrid(tmp_path)
    assert (first.name, second.name) == ("IDRiD_01", "IDRiD_02")
    assert first.image == home / "1. Original Images" / "a. Training Set" / "IDRiD_01.jpg"
    masks = home / MASKS / "a. Training Set"
    assert second.masks == {
        "microaneurysm": MaskFile(masks / "1. Microaneurysms" / "IDRiD_02_MA.tif"),
        "haemorrhage": MaskFile(masks / "2. Haemorrhages" / "IDRiD_02_HE.tif"),
        "hard exudate": MaskFile(masks / "3. Hard Exudates" / "IDRiD_02_EX.tif"),
        "soft exudate": None,
    }
    survey = check([first, second], second.masks)
    assert [(c.present, c.absent) for c in survey.lesions] == [(2, 0), (2, 0), (2, 0), (1, 1)]


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
def test_ways_that_copies_are_nested(nested: str, tmp_path: Path, make_tree: Any) -> None:
    make_tree(tmp_path / nested)
    assert len(read_idrid(tmp_path)) == 2


def test_the_rgba_mask(tmp_path: Path, make_tree: Any) -> None:
    make_tree(tmp_path)
    path = tmp_path / MASKS / "a. Training Set" / FOLDERS["EX"] / "IDRiD_01_EX.tif"
    pixels = np.zeros((36, 48, 4), np.uint8)
    pixels[3:5, 7:9, 0] = 255
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(path)
    first, _ = read_idrid(tmp_path)
    assert np.argwhere(read_mask(first.masks["hard exudate"], (36, 48))).tolist() == [
        [3, 7], [3, 8], [4, 7], [4, 8],
    ]  # fmt: skip


def test_splits(tmp_path: Path, make_tree: Any) -> None:
    make_tree(tmp_path, "b. Testing Set")
    assert len(read_idrid(tmp_path, "test")) == 2
    with pytest.raises(DataError, match=r"no folder.*a\. Training Set.*holds: b\. Testing Set"):
        read_idrid(tmp_path, "train")
    with pytest.raises(DataError, match=r"no split 'valid'.*train, test"):
        read_idrid(tmp_path, "valid")


def test_lesions_that_the_catalog_knows(tmp_path: Path, make_tree: Any) -> None:
    make_tree(tmp_path)
    first, _ = read_idrid(tmp_path, "train", WITH_DISC)
    assert len(first.masks) == 5
    disc = first.masks["optic disc"]
    assert disc is not None and disc.path.name == "IDRiD_01_OD.tif"
    alone, _ = read_idrid(tmp_path, "train", LesionCatalog((DISC,)))
    assert set(alone.masks) == {"optic disc"}
    drusen = LesionCatalog((Lesion("drusen", "DR", (), (Description("yellow"),)),))
    with pytest.raises(LesionError, match=r"microaneurysm.*asked for are drusen"):
        read_idrid(tmp_path, "train", drusen)


def test_orphan_masks_in_all_folders_are_told_at_once(tmp_path: Path, make_tree: Any) -> None:
    make_tree(tmp_path)
    masks = tmp_path / MASKS / "a. Training Set"
    (masks / FOLDERS["EX"] / "IDRiD_77_EX.tif").touch()
    (masks / FOLDERS["MA"] / "IDRiD_01_SE.tif").touch()  # of another lesion
    with pytest.raises(DataError) as caught:
        read_idrid(tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "There are 2 problems:"
    assert "1. Microaneurysms" in lines[1] and "IDRiD_01_SE" in lines[1]
    assert "3. Hard Exudates" in lines[2] and "IDRiD_77_EX" in lines[2]


def test_missing_folders(tmp_path: Path, make_tree: Any) -> None:
    with pytest.raises(DataError, match=rf"no folder '{MASKS}' in it.* is empty"):
        read_idrid(tmp_path)
    make_tree(tmp_path)
    (tmp_path / MASKS / "a. Training Set" / FOLDERS["HE"]).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"no folder.*2\. Haemorrhages.*1\. Micro.*Complete"):
        read_idrid(tmp_path)
    with pytest.raises(DataError, match=r"no folder .*gone"):
        read_idrid(tmp_path / "gone")


def test_no_images(tmp_path: Path, make_tree: Any) -> None:
    make_tree(tmp_path)
    for image in (tmp_path / "1. Original Images" / "a. Training Set").iterdir():
        image.unlink()
    with pytest.raises(DataError, match="no image"):
        read_idrid(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="IDRiD is not here")
def test_real_training_set() -> None:
    samples = read_idrid(REAL, "train", WITH_DISC)
    assert len(samples) == 54
    absent = {
        lesion: sum(sample.masks[lesion] is None for sample in samples)
        for lesion in samples[0].masks
    }
    assert list(absent.values()) == [0, 1, 0, 28, 0]
    path = REAL / "A. Segmentation" / MASKS / "a. Training Set" / FOLDERS["EX"]
    with Image.open(path / "IDRiD_01_EX.tif") as file:
        assert file.mode == "P"
        marked = np.asarray(file.convert("RGB")).any(axis=-1)
    mask = read_mask(samples[0].masks["hard exudate"], (2848, 4288))
    np.testing.assert_array_equal(mask, marked)
    assert 0 < mask.mean() < 0.1


@pytest.mark.skipif(not REAL.is_dir(), reason="IDRiD is not here")
def test_real_photographs_pass_the_check() -> None:
    samples = read_idrid(REAL, "train", WITH_DISC)[27:29]
    survey = check(samples, WITH_DISC.names)
    assert survey.warnings == ("no photograph has a soft exudate.",)
    assert [c.present for c in survey.lesions] == [2, 2, 2, 0, 2]
    assert len(fingerprint(samples)) == 64
