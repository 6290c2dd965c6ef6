"""Photographs without masks, and what a grade says of their lesions."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tp_drseg._runtime.names import NameMap
from tp_drseg._runtime.text_file import read_text
from tp_drseg.data.files import files_by_stem, refuse, some
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError
from tp_drseg.images import MAX_PIXELS
from tp_drseg.lesions import LesionCatalog

_MOST_BYTES: Final = 64 << 20
_GRADES: Final = range(5)
_NAME, _GRADE, _DISC = "image", "retinopathy_grade", ("disc_x", "disc_y")
_OF_GRADE_1: Final = "microaneurysm"


class Grading(NamedTuple):
    """What one row of a table of grades says of a photograph.

    Attributes:
        grade: Of diabetic retinopathy, 0 (none) to 4 (proliferative), after the international
            scale (Wilkinson et al., Ophthalmology 110(9), 2003).
        disc: x and y of the optic disc's centre in original pixels; None where it is not given.
    """

    grade: int
    disc: tuple[float, float] | None


@dataclass(frozen=True)
class Graded:
    """Photographs without masks.

    Attributes:
        learning: Those that a model may learn from, by name.
        kept_out: Every so many-th of them, which none may learn from, by name.
    """

    learning: tuple[Sample, ...]
    kept_out: tuple[Sample, ...]


def read_graded(
    folders: Sequence[Path],
    grades: Path | None,
    lesions: Iterable[str],
    every: int = 5,
    *,
    max_pixels: int = MAX_PIXELS,
) -> Graded:
    """List the photographs in folders, with what their grades say of their lesions.

    Without retinopathy (grade 0) the lesions of the packaged catalog are absent; at grade 1 only
    microaneurysms may be there. Of all else nothing is known: those lesions are not annotated.

    Sorted by name, the rows 0, ``every``, 2 ``every``, ... of the table are kept out, whichever
    folders are given; so are those of the photographs that the table does not name.

    Args:
        folders: Hold the photographs, with no folder in between.
        grades: A CSV table with the columns ``image`` (a file name, whatever its folder),
            ``retinopathy_grade`` and, if known, ``disc_x`` and ``disc_y``; None for no grades.
        lesions: Catalog names of those that a model is to learn.
        every: One in how many is kept out; 0 for none.
        max_pixels: The most pixels that a photograph may have, see `Sample`.

    Returns:
        One sample per photograph.

    Raises:
        DataError: A folder is missing or has no image, two photographs have the same stem, or the
            table cannot be read or names none of the photographs.
    """
    images: dict[str, Path] = {}
    for folder in folders:
        found = files_by_stem(folder)
        if twice := [name for name in found if name in NameMap(images.items())]:
            raise DataError(
                f"{folder} holds photographs that have the name of one in another folder: "
                f"{some(twice)}. Rename or remove them."
            )
        images |= found
    rows = NameMap[Grading]() if grades is None else read_grades(grades)
    if grades is not None and not any(name in rows for name in images):
        raise DataError(
            f"{grades} names none of the photographs in {', '.join(map(str, folders))}. Its column "
            f"{_NAME} must hold their file names."
        )
    lesions = tuple(lesions)
    samples = [
        Sample(
            name,
            images[name],
            _masks(row, lesions),
            disc=None if row is None else row.disc,
            max_pixels=max_pixels,
        )
        for name in sorted(images)
        for row in [rows.get(name)]
    ]
    others = [name for name in images if name not in rows]
    kept = NameMap((name, None) for name in (*_every(rows, every), *_every(others, every)))
    return Graded(
        learning=tuple(s for s in samples if s.name not in kept),
        kept_out=tuple(s for s in samples if s.name in kept),
    )


def read_grades(path: Path) -> NameMap[Grading]:
    """Read a table of grades; see `read_graded`.

    Returns:
        The rows by the stem of the photograph's file.

    Raises:
        DataError: The file is missing, too large or no such table; each line that is wrong is
            named.
    """
    table = csv.DictReader(io.StringIO(read_text(path, _MOST_BYTES, error=DataError)))
    try:
        columns, lines = table.fieldnames or (), list(table)
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a CSV table: {error}.") from error
    if missing := [name for name in (_NAME, _GRADE) if name not in columns]:
        raise DataError(
            f"{path} lacks the column {' and the column '.join(missing)}. Its first line must name "
            f"the columns."
        )
    found: dict[str, Grading] = {}
    problems = []
    for number, line in enumerate(lines, 2):
        # names as any system writes them
        stem = Path((line[_NAME] or "").strip().replace("\\", "/")).stem
        grade, disc = _whole(line[_GRADE]), _place([line.get(name) for name in _DISC])
        if not stem or stem in NameMap(found.items()):
            what = f"names {stem} again" if stem else "names no photograph"
            problems.append(f"{path}, line {number}, {what}.")
        elif grade not in _GRADES:
            problems.append(
                f"{path}, line {number}: the grade must be 0 to 4, got {line[_GRADE]!r}."
            )
        elif grade is not None:
            found[stem] = Grading(grade, disc)
    refuse(problems)
    return NameMap(found.items())


def _masks(row: Grading | None, lesions: Sequence[str]) -> dict[str, None]:
    """Return the lesions that are known to be absent, as a sample's masks."""
    if row is None or row.grade > 1:
        return {}
    known = {*LesionCatalog.default().names} - ({_OF_GRADE_1} if row.grade == 1 else set())
    return dict.fromkeys(lesion for lesion in lesions if lesion in known)


def _every(names: Iterable[str], every: int) -> list[str]:
    return sorted(names)[::every] if every else []


def _whole(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def _place(texts: Sequence[str | None]) -> tuple[float, float] | None:
    try:
        x, y = (float(text or "") for text in texts)
    except ValueError:
        return None
    return (x, y) if math.isfinite(x) and math.isfinite(y) else None
