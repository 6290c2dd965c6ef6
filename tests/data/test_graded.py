from __future__ import annotations

from pathlib import Path

import pytest

from tp_drseg.data.graded import read_graded, read_grades
from tp_drseg.errors import DataError

LESIONS = ("microaneurysm", "haemorrhage", "drusen")
HEAD = "image,retinopathy_grade,disc_x,disc_y"


@pytest.fixture
def eyes(tmp_path: Path) -> Path:
    """`grades.csv` of eye0 to eye9, the grade of each its number modulo 5, in two folders."""
    lines = [HEAD]
    for number in range(10):
        folder = tmp_path / ("left" if number % 2 else "right")
        folder.mkdir(exist_ok=True)
        (folder / f"eye{number}.JPG").touch()
        disc = f"{100 + number},{number}.5" if number != 3 else ","
        lines.append(f"some\\where/eye{number}.jpg,{number % 5},{disc}")
    (tmp_path / "grades.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return tmp_path


def test_what_grades_say(eyes: Path) -> None:
    found = read_graded([eyes / "left", eyes / "right"], eyes / "grades.csv", LESIONS, 0)
    assert [s.name for s in found.learning] == [f"eye{n}" for n in range(10)]
    assert not found.kept_out
    absent = [list(sample.masks) for sample in found.learning[:5]]
    # nothing is known of what is no lesion of retinopathy
    assert absent == [["microaneurysm", "haemorrhage"], ["haemorrhage"], [], [], []]
    assert all(mask is None for s in found.learning for mask in s.masks.values())
    assert found.learning[2].disc == (102.0, 2.5) and found.learning[3].disc is None
    assert found.learning[7].image == eyes / "left" / "eye7.JPG"


def test_the_same_ones_are_kept_out_whichever_folders_are_given(eyes: Path) -> None:
    both = read_graded([eyes / "left", eyes / "right"], eyes / "grades.csv", LESIONS)
    assert [s.name for s in both.kept_out] == ["eye0", "eye5"]
    left = read_graded([eyes / "left"], eyes / "grades.csv", LESIONS)
    assert [s.name for s in left.kept_out] == ["eye5"]
    assert [s.name for s in left.learning] == ["eye1", "eye3", "eye7", "eye9"]
    # a photograph without a row changes nothing for the others
    for name in ("added", "another"):
        (eyes / "left" / f"{name}.png").touch()
    more = read_graded([eyes / "left"], eyes / "grades.csv", LESIONS)
    assert [s.name for s in more.kept_out] == ["added", "eye5"]
    assert next(s for s in more.learning if s.name == "another").masks == {}


def test_without_grades(eyes: Path) -> None:
    found = read_graded([eyes / "left"], None, LESIONS, 2, max_pixels=99)
    assert {s.max_pixels for s in (*found.learning, *found.kept_out)} == {99}
    assert [s.name for s in found.kept_out] == ["eye1", "eye5", "eye9"]
    assert all(not s.masks and s.disc is None for s in (*found.learning, *found.kept_out))
    assert read_graded([], None, LESIONS).learning == ()


def test_names_that_are_there_twice(eyes: Path) -> None:
    (eyes / "right" / "EYE1.png").touch()
    with pytest.raises(DataError, match="EYE1"):
        read_graded([eyes / "left", eyes / "right"], None, LESIONS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks the column image and the column retinopathy_grade"),
        ("image,grade\na.jpg,1", "lacks the column retinopathy_grade"),
        (f"{HEAD}\na.jpg,5,1,1", r"line 2: the grade must be 0 to 4, got '5'"),
        (f"{HEAD}\na.jpg,mild,1,1", "line 2.*'mild'"),
        (f"{HEAD}\na.jpg,1,1,1\nb/A.png,1,1,1", "line 3, names A again"),
        (f"{HEAD}\n,1,1,1", "line 2, names no photograph"),
        (f"{HEAD}\na.jpg", "line 2.*None"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "grades.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_grades(path)


def test_grades_of_other_photographs(eyes: Path) -> None:
    (eyes / "grades.csv").write_text(f"{HEAD}\nother.jpg,1,1,1")
    with pytest.raises(DataError, match="names none of the photographs"):
        read_graded([eyes / "left"], eyes / "grades.csv", LESIONS)
    with pytest.raises(DataError, match="cannot be read"):
        read_graded([eyes / "left"], eyes / "none.csv", LESIONS)
