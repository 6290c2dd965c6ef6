"""Names of images and masks belong together whatever their case and their Unicode form."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tp_drseg._runtime.names import NameMap, name_key
from tp_drseg.data import read_dataset
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

CATALOG = LesionCatalog.default()
COMPOSED = unicodedata.normalize("NFC", "œil_gauché_Ä")
APART = unicodedata.normalize("NFD", COMPOSED)


def test_key_is_that_of_every_spelling() -> None:
    assert COMPOSED != APART
    spellings = (COMPOSED, APART, COMPOSED.upper(), APART.lower())
    assert len({name_key(name) for name in spellings}) == 1
    assert name_key("IDRiD_01") != name_key("IDRiD_02")


def test_map_keeps_its_own_spelling() -> None:
    names = NameMap([("B_01", 1), (APART, 2)])
    assert list(names) == ["B_01", APART]
    assert names["b_01"] == 1 and names[COMPOSED] == 2
    assert COMPOSED in names and "C" not in names
    assert names.get("C") is None
    assert list(names.without(["b_01", "C"])) == [APART]


def test_folder(tmp_path: Path, photograph: Any, mask: Any) -> None:
    photograph(tmp_path / "images" / f"{APART}.PNG")
    mask(tmp_path / "masks" / "EX" / f"{COMPOSED.lower()}.png")
    (sample,) = read_dataset(tmp_path, "folder", None, CATALOG)
    assert sample.name == APART
    assert sample.masks["hard exudate"] is not None


def test_idrid(tmp_path: Path, photograph: Any, mask: Any) -> None:
    part = tmp_path / "A. Segmentation"
    photograph(part / "1. Original Images" / "a. Training Set" / "IDRiD_01.png")
    masks = part / "2. All Segmentation Groundtruths" / "a. Training Set"
    mask(masks / "1. Microaneurysms" / "idrid_01_ma.TIF")
    mask(masks / "2. Haemorrhages" / "IDRiD_01_HE.tif")
    mask(masks / "3. Hard Exudates" / "IDRiD_01_EX.tif")
    mask(masks / "4. Soft Exudates" / "IDRID_01_SE.tif")
    (sample,) = read_dataset(tmp_path, "idrid", "train", CATALOG)
    assert sample.name == "IDRiD_01"
    assert all(sample.masks.values())


def test_eophtha(tmp_path: Path, photograph: Any, mask: Any) -> None:
    home = tmp_path / "e_optha_MA"
    photograph(home / "MA" / "E0001" / "C001.jpg")
    mask(home / "Annotation_MA" / "e0001" / "c001_ma.png")
    (home / "healthy").mkdir()
    (sample,) = read_dataset(tmp_path, "e-ophtha", None, CATALOG)
    assert sample.name == "E0001_C001"
    assert sample.masks["microaneurysm"] is not None


def test_retinal_lesions_and_tjdr(tmp_path: Path, photograph: Any, mask: Any) -> None:
    photograph(tmp_path / "images_896x896" / "A.png")
    mask(tmp_path / "lesion_segs_896x896" / "a" / "Hard_Exudate.png")
    (sample,) = read_dataset(tmp_path, "retinal-lesions", None, CATALOG)
    assert sample.masks["hard exudate"] is not None
    photograph(tmp_path / "train" / "image" / "T.png")
    mask(tmp_path / "train" / "annotation" / "t.PNG", 1)
    (sample,) = read_dataset(tmp_path, "tjdr", "train", CATALOG)
    assert sample.name == "T"


def test_two_spellings_of_one_name_are_refused(tmp_path: Path, photograph: Any) -> None:
    photograph(tmp_path / "images" / f"{APART}.png", tmp_path / "images" / f"{COMPOSED}.png")
    if len(list((tmp_path / "images").iterdir())) == 1:
        pytest.skip("this file system takes the two for one")
    with pytest.raises(DataError, match="share one stem"):
        read_dataset(tmp_path, "folder", None, CATALOG)
