import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.check import check, fingerprint
from tp_drseg.data.folder import read_folder
from tp_drseg.data.samples import MaskFile, Sample
from tp_drseg.errors import DataError
from tp_drseg.lesions import LesionCatalog

CATALOG = LesionCatalog.default()


@pytest.fixture
def root(tmp_path: Path, photograph: Any, mask: Any) -> Path:
    """Three photographs: EX on two and absent on one; HE an empty mask, and absent on two."""
    photograph(*(tmp_path / "images" / f"{name}.png" for name in "abc"))
    mask(tmp_path / "masks" / "EX" / "a.png")
    mask(tmp_path / "masks" / "EX" / "b.png", 1, palette=True)
    mask(tmp_path / "masks" / "HE" / "a.png", 0)
    return tmp_path


def _read(root: Path) -> list[Sample]:
    return read_folder(root, CATALOG)


def test_survey(root: Path) -> None:
    survey = check(_read(root), CATALOG.names)
    assert survey.photographs == 3
    counts = {
        c.lesion: (c.present, c.absent, c.empty, c.not_annotated, c.files) for c in survey.lesions
    }
    assert counts == {
        "microaneurysm": (0, 0, 0, 3, 0),
        "haemorrhage": (0, 2, 1, 0, 1),
        "hard exudate": (2, 1, 0, 0, 2),
        "soft exudate": (0, 0, 0, 3, 0),
    }
    assert survey.warnings == (
        "microaneurysm is annotated on no photograph.",
        "no photograph has a haemorrhage.",
        "1 mask(s) of haemorrhage are empty, which is taken as absent: a.",
        "soft exudate is annotated on no photograph.",
    )
    lines = survey.text().splitlines()
    assert lines[0] == "3 photographs"
    assert lines[2] == "lesion         present  absent  empty mask  not annotated  mask files"
    assert "hard exudate         2       1           0              0           2" in lines
    assert "Warning: soft exudate is annotated on no photograph." in lines


def test_all_problems_in_one_error(root: Path, mask: Any) -> None:
    whole = (root / "images" / "a.png").read_bytes()
    (root / "images" / "a.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (20, 20)).save(root / "masks" / "EX" / "b.png")
    mask(root / "masks" / "HE" / "b.png", 3)
    (root / "masks" / "EX" / "c.png").write_text("no image")
    samples = _read(root)
    samples.append(Sample("c", root / "images" / "gone.png", {}))
    with pytest.raises(DataError) as caught:
        check(samples, CATALOG.names)
    head, *lines = str(caught.value).splitlines()
    assert head == f"There are {len(lines)} problems:"
    expected = (
        ("2 photographs have the name c", "gone.png"),
        ("The photograph", "a.png' cannot be decoded"),
        ("b.png' has values up to 3",),
        ("b.png' is 20 x 20 pixels", "36 x 48"),
        ("c.png' holds text",),
        ("The photograph", "gone.png' does not exist"),
    )
    assert len(lines) == len(expected)
    for line, words in zip(lines, expected, strict=True):
        assert all(word in line for word in words), line


def test_only_the_lesions_asked_for_are_opened(root: Path) -> None:
    (root / "masks" / "HE" / "a.png").write_text("no image")
    survey = check(_read(root), ["hard exudate"])
    assert [c.lesion for c in survey.lesions] == ["hard exudate"]
    with pytest.raises(DataError, match="holds text"):
        check(_read(root), ["haemorrhage"])


def test_nothing_to_check(root: Path) -> None:
    with pytest.raises(DataError, match="no photograph to check"):
        check([], CATALOG.names)
    with pytest.raises(DataError, match="annotated for any of: optic disc"):
        check(_read(root), ["optic disc"])


def test_truncated_jpeg(tmp_path: Path, photograph: Any) -> None:
    photograph(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    samples = [Sample("a", tmp_path / "a.jpg", {"haemorrhage": None})]
    check(samples, ["haemorrhage"])
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DataError, match=r"a\.jpg' cannot be decoded.*truncated"):
        check(samples, ["haemorrhage"])


def test_a_photograph_that_is_turned_has_masks_as_it_is_shown(tmp_path: Path, mask: Any) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be shown turned by 90 degrees
    Image.new("RGB", (36, 48), (120, 60, 30)).save(tmp_path / "a.jpg", exif=exif)
    mask(tmp_path / "m.png")  # 36 high, 48 wide
    samples = [Sample("a", tmp_path / "a.jpg", {"haemorrhage": MaskFile(tmp_path / "m.png")})]
    assert check(samples, ["haemorrhage"]).lesions[0].present == 1


def test_photograph_too_small(tmp_path: Path) -> None:
    Image.new("RGB", (31, 48)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"31x48 px: too small, at least 32"):
        check([Sample("a", tmp_path / "a.png", {"haemorrhage": None})], ["haemorrhage"])


def test_what_looks_wrong(root: Path, mask: Any) -> None:
    mask(root / "masks" / "EX" / "c.png", rows=30)
    shutil.copy(root / "images" / "a.png", root / "images" / "c.png")
    warnings = check(_read(root), ["hard exudate"]).warnings
    assert warnings == (
        "1 mask(s) of hard exudate cover more than half of the photograph. Are they inverted? c.",
        "a and c are the same photograph, byte for byte: they must not be on both sides of a "
        "split.",
    )


def test_fingerprint_is_of_names_and_contents(root: Path, tmp_path_factory: Any) -> None:
    before = fingerprint(_read(root))
    assert len(before) == 64 and set(before) <= set("0123456789abcdef")
    copy = tmp_path_factory.mktemp("copy") / "elsewhere"
    shutil.copytree(root, copy)
    assert fingerprint(_read(copy)) == before
    assert fingerprint(_read(root)[::-1]) == before


def _change_photograph(root: Path) -> None:
    Image.fromarray(np.zeros((36, 48, 3), np.uint8)).save(root / "images" / "a.png")


def _change_mask(root: Path) -> None:
    Image.fromarray(np.full((36, 48), 255, np.uint8)).save(root / "masks" / "EX" / "a.png")


def _remove_mask(root: Path) -> None:
    (root / "masks" / "EX" / "a.png").unlink()


def _move_mask(root: Path) -> None:
    (root / "masks" / "EX" / "b.png").rename(root / "masks" / "EX" / "c.png")


def _rename_photograph(root: Path) -> None:
    (root / "images" / "c.png").rename(root / "images" / "d.png")


def _other_lesion(root: Path) -> None:
    (root / "masks" / "EX").rename(root / "masks" / "SE")


@pytest.mark.parametrize(
    "change",
    [
        _change_photograph,
        _change_mask,
        _remove_mask,
        _move_mask,
        _rename_photograph,
        _other_lesion,
    ],
)
def test_fingerprint_changes_with(change: Any, root: Path) -> None:
    before = fingerprint(_read(root))
    change(root)
    assert fingerprint(_read(root)) != before


def test_fingerprint_of_the_reading_rule(tmp_path: Path, photograph: Any, mask: Any) -> None:
    photograph(tmp_path / "a.png")
    mask(tmp_path / "m.png")
    seen = {
        fingerprint([Sample("a", tmp_path / "a.png", {"haemorrhage": m})])
        for m in (
            MaskFile(tmp_path / "m.png"),
            MaskFile(tmp_path / "m.png", values=(1,)),
            MaskFile(tmp_path / "m.png", ignored=(127,)),
            None,
        )
    }
    assert len(seen) == 4
    with pytest.raises(DataError, match=r"gone\.png' does not exist"):
        fingerprint([Sample("a", tmp_path / "gone.png", {})])
