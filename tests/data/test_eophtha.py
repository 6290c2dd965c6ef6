import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from tp_drseg.data.check import check
from tp_drseg.data.eophtha import read_eophtha
from tp_drseg.data.samples import MaskFile
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

LESIONS = ("hard exudate", "microaneurysm")


@pytest.fixture
def root(tmp_path: Path, photograph: Any, mask: Any, clutter: Any) -> Path:
    """One photograph is in both parts; exams hold several photographs; names recur among exams."""
    ex, ma = tmp_path / "e_optha_EX", tmp_path / "e_optha_MA"
    for exam, stem in (("E0000404", "C0021833"), ("E0000404", "C0021834"), ("E0000500", "DS1")):
        photograph(ex / "EX" / exam / f"{stem}.jpg")
        mask(ex / "Annotation_EX" / exam / f"{stem}_EX.png")
    photograph(ex / "healthy" / "E0000043" / "DS000DGV.JPG")
    photograph(ma / "MA" / "E0000404" / "C0021833.jpg", ma / "MA" / "E0000225" / "DS1.JPG")
    mask(ma / "Annotation_MA" / "E0000404" / "C0021833.png")
    mask(ma / "Annotation_MA" / "E0000225" / "DS1.png")
    photograph(ma / "healthy" / "E0000475" / "C0001629.jpg")
    photograph(ma / "healthy" / "E0000500" / "DS1.jpg")  # has exudates, but no microaneurysms
    (ma / "e_optha_MA.html").touch()
    clutter(tmp_path)
    return tmp_path


def test_both_parts(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = {sample.name: sample for sample in read_eophtha(root)}
    assert list(samples) == [
        "E0000043_DS000DGV",
        "E0000225_DS1",
        "E0000404_C0021833",
        "E0000404_C0021834",
        "E0000475_C0001629",
        "E0000500_DS1",
    ]
    ex, ma = root / "e_optha_EX", root / "e_optha_MA"
    assert samples["E0000404_C0021833"].image == ex / "EX" / "E0000404" / "C0021833.jpg"
    assert samples["E0000404_C0021833"].masks == {
        "hard exudate": MaskFile(ex / "Annotation_EX" / "E0000404" / "C0021833_EX.png"),
        "microaneurysm": MaskFile(ma / "Annotation_MA" / "E0000404" / "C0021833.png"),
    }
    # A photograph of one part alone says nothing on the other's lesion.
    assert set(samples["E0000404_C0021834"].masks) == {"hard exudate"}
    assert samples["E0000043_DS000DGV"].masks == {"hard exudate": None}
    assert samples["E0000475_C0001629"].masks == {"microaneurysm": None}
    assert set(samples["E0000500_DS1"].masks) == set(LESIONS)
    assert samples["E0000500_DS1"].masks["microaneurysm"] is None
    exudate, aneurysm = check(list(samples.values()), LESIONS).lesions
    assert (exudate.present, exudate.absent, exudate.not_annotated) == (3, 1, 2)
    assert (aneurysm.present, aneurysm.absent, aneurysm.not_annotated) == (2, 2, 2)
    assert not caplog.records


def test_one_part_alone(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        samples = read_eophtha(root / "e_optha_EX")
    assert len(samples) == 4
    assert {lesion for sample in samples for lesion in sample.masks} == {"hard exudate"}
    assert "Annotation_MA" in caplog.text and "Going on without this part" in caplog.text
    shutil.rmtree(root / "e_optha_MA" / "Annotation_MA")
    shutil.rmtree(root / "e_optha_EX" / "Annotation_EX")
    with pytest.raises(DataError, match=r"(?s)2 problems.*Annotation_EX.*Annotation_MA"):
        read_eophtha(root)


def test_a_catalog_with_one_of_the_lesions(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    catalog = LesionCatalog((LesionCatalog.default()["MA"],))
    with caplog.at_level(logging.WARNING):
        assert len(read_eophtha(root, catalog)) == 4
    assert not caplog.records


def test_without_the_healthy(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(root / "e_optha_EX" / "healthy")
    with caplog.at_level(logging.WARNING):
        assert len(read_eophtha(root)) == 5
    assert "no folder 'healthy'" in caplog.text


def test_bad_trees(root: Path, photograph: Any, mask: Any) -> None:
    ex = root / "e_optha_EX"
    (ex / "Annotation_EX" / "E0000404" / "C0021834_EX.png").unlink()
    mask(ex / "Annotation_EX" / "E0000404" / "C0021833.png")
    mask(ex / "Annotation_EX" / "E0000999" / "DS2_EX.png")
    photograph(ex / "healthy" / "E0000500" / "DS1.jpg")
    with pytest.raises(DataError) as caught:
        read_eophtha(root)
    head, *lines = str(caught.value).splitlines()
    assert head == "There are 4 problems:"
    assert "C0021833.jpg has 2 masks" in lines[0]
    assert "C0021834.jpg has no masks" in lines[1]
    assert "E0000999 belong to no image" in lines[2] and "DS2_EX" in lines[2]
    assert "both with and without the lesion" in lines[3]


def test_missing_and_empty_folders(root: Path) -> None:
    ma = root / "e_optha_MA"
    (ma / "MA").rename(ma / "images")
    with pytest.raises(DataError, match=r"no folder .*e_optha_MA/MA\. .*holds: Annotation_MA"):
        read_eophtha(root)
    (ma / "MA").mkdir()
    shutil.rmtree(ma / "Annotation_MA")
    (ma / "Annotation_MA").mkdir()
    with pytest.raises(DataError, match=r"no photograph with a mask in .*MA/<exam>"):
        read_eophtha(root)
