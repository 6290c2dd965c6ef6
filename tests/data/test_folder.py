from pathlib import Path

import pytest

from tp_drseg.data.folder import read_folder
from tp_drseg.data.samples import MaskFile
from tp_drseg.errors import DataError, LesionError
from tp_drseg.lesions import LesionCatalog

CATALOG = LesionCatalog.default()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, names in {
        "images": ("a.JPG", "b.png", "Thumbs.db", ".hidden.png"),
        "masks/Hard_Exudates": ("a.png",),
        "masks/MA": ("a.tif", "b.tif", "Thumbs.db"),
        "masks/.cache": ("c.png",),
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / name).touch()
    return tmp_path


def test_lesion_folders_are_resolved(root: Path) -> None:
    first, second = read_folder(root, CATALOG)
    assert (first.name, second.name) == ("a", "b")
    assert second.image == root / "images" / "b.png"
    assert first.masks == {
        "hard exudate": MaskFile(root / "masks" / "Hard_Exudates" / "a.png"),
        "microaneurysm": MaskFile(root / "masks" / "MA" / "a.tif"),
    }
    assert second.masks["hard exudate"] is None
    assert "haemorrhage" not in second.masks


def test_unknown_lesions_are_told_with_the_known_ones(root: Path) -> None:
    (root / "masks" / "drusenoid").mkdir()
    (root / "masks" / "scar").mkdir()
    with pytest.raises(LesionError) as caught:
        read_folder(root, CATALOG)
    text = str(caught.value)
    assert str(root / "masks") in text and "drusenoid, scar" in text
    for lesion in CATALOG:
        assert f"{lesion.name} ({lesion.abbreviation})" in text
    assert "tp-drseg finetune --lesions my.yaml" in text


def test_two_folders_of_one_lesion(root: Path) -> None:
    (root / "masks" / "EX").mkdir()
    with pytest.raises(DataError, match="hard exudate: EX and Hard_Exudates"):
        read_folder(root, CATALOG)


def test_orphan_mask(root: Path) -> None:
    (root / "masks" / "MA" / "c.png").touch()
    with pytest.raises(DataError, match=r"belong to no image: c\."):
        read_folder(root, CATALOG)


def test_two_images_of_one_stem(root: Path) -> None:
    (root / "images" / "a.png").touch()
    with pytest.raises(DataError, match=r"a\.JPG and a\.png"):
        read_folder(root, CATALOG)


def test_missing_folders(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DataError, match=r"no folder.*images"):
        read_folder(root / "gone", CATALOG)
    empty = tmp_path_factory.mktemp("empty")
    (empty / "images").mkdir()
    (empty / "images" / "a.jpg").touch()
    with pytest.raises(DataError, match=r"no folder of masks.*holds: images\..*hard_exudate"):
        read_folder(empty, CATALOG)
    (empty / "masks").mkdir()
    (empty / "masks" / "a.png").touch()
    with pytest.raises(DataError, match=r"no folder of masks.*holds: a\.png\."):
        read_folder(empty, CATALOG)


def test_empty_lesion_folder(root: Path) -> None:
    """None of the photographs has the lesion; files that are no masks are another matter."""
    (root / "masks" / "HE").mkdir()
    (root / "masks" / "HE" / "Thumbs.db").write_bytes(b"clutter")
    assert all(sample.masks["haemorrhage"] is None for sample in read_folder(root, CATALOG))
    (root / "masks" / "HE" / "a.npy").write_bytes(b"mask")
    with pytest.raises(DataError, match="no image in"):
        read_folder(root, CATALOG)
