import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.fgadr import read_fgadr
from tp_drseg.data.samples import MaskFile, read_mask
from tp_drseg.errors import DataError
from tp_drseg.lesions import Description, Lesion, LesionCatalog

FOLDERS = {
    "microaneurysm": "Microaneurysms_Masks",
    "haemorrhage": "Hemohedge_Masks",
    "hard exudate": "HardExudate_Masks",
    "soft exudate": "SoftExudate_Masks",
}


@pytest.fixture
def root(tmp_path: Path, photograph: Any, mask: Any, clutter: Any) -> Path:
    home = tmp_path / "FGADR-Seg-set_Release" / "Seg-set"
    for stem in ("0000_1", "0001_2"):
        photograph(home / "Original_Images" / f"{stem}.png")
        for folder in FOLDERS.values():
            mask(home / folder / f"{stem}.png")
    mask(home / "IRMA_Masks" / "0001_2.png")
    mask(home / "Neovascularization_Masks" / "0000_1.png")
    (home / "DR_Seg_Grading_Label.csv").write_text("0000_1.png,0\n")
    clutter(tmp_path)
    return tmp_path


def test_the_four_lesions(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = root / "FGADR-Seg-set_Release" / "Seg-set"
    first, second = read_fgadr(root)
    assert (first.name, second.name) == ("0000_1", "0001_2")
    assert second.image == home / "Original_Images" / "0001_2.png"
    assert second.masks == {
        lesion: MaskFile(home / folder / "0001_2.png") for lesion, folder in FOLDERS.items()
    }
    assert read_fgadr(home) == [first, second]
    assert not caplog.records


def test_rare_lesions_that_the_catalog_knows(root: Path) -> None:
    irma = Lesion("vascular abnormality", "IRMA", (), (Description("fine looping vessels"),))
    new = Lesion("neovascularization", "NV", (), (Description("a net of fine vessels"),))
    first, second = read_fgadr(root, LesionCatalog((irma, new)))
    assert set(first.masks) == {"vascular abnormality", "neovascularization"}
    assert first.masks["vascular abnormality"] is None
    assert second.masks["neovascularization"] is None
    assert second.masks["vascular abnormality"] is not None


def test_soft_edges(root: Path) -> None:
    home = root / "FGADR-Seg-set_Release" / "Seg-set"
    ramp = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (36, 1))
    Image.fromarray(ramp).convert("RGB").save(home / "HardExudate_Masks" / "0000_1.png")
    first, _ = read_fgadr(root)
    np.testing.assert_array_equal(read_mask(first.masks["hard exudate"], (36, 48)), ramp >= 128)


def test_missing_mask_is_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = root / "FGADR-Seg-set_Release" / "Seg-set"
    (home / "SoftExudate_Masks" / "0000_1.png").unlink()
    with caplog.at_level(logging.WARNING):
        first, _ = read_fgadr(root)
    assert first.masks["soft exudate"] is None
    (record,) = caplog.records
    assert "soft exudate for every photograph, this copy none for 1 of 2" in record.message


def test_bad_trees(root: Path, mask: Any) -> None:
    home = root / "FGADR-Seg-set_Release" / "Seg-set"
    mask(home / "Hemohedge_Masks" / "0009_3.png")
    (home / "SoftExudate_Masks").rename(home / "Soft")
    with pytest.raises(DataError) as caught:
        read_fgadr(root)
    text = str(caught.value)
    assert "2 problems" in text and "0009_3" in text
    assert "no folder" in text and "SoftExudate_Masks" in text and "Soft" in text
    (home / "Original_Images").rename(home / "Images")
    with pytest.raises(DataError, match=r"No FGADR.*'Original_Images'.*FGADR-Seg-set_Release"):
        read_fgadr(root)
