"""Read the results of a folder run again: is each file what it was when it was written?"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from tp_drseg._runtime.confined import confined, read_regular
from tp_drseg._runtime.files import is_folder
from tp_drseg._runtime.json_text import parse_json
from tp_drseg._runtime.text import table_cell
from tp_drseg.errors import OutputError
from tp_drseg.export.csv import csv_bytes
from tp_drseg.folder.names import (
    DICOM_ENDINGS,
    LESIONS_TABLE,
    MASK,
    PHOTOGRAPHS_TABLE,
    RUN_FILE,
    is_result_name,
)
from tp_drseg.folder.record import ImageRecord, WrittenFile
from tp_drseg.folder.store import RecordStore
from tp_drseg.folder.tables import LESION_COLUMNS, lesion_rows
from tp_drseg.folder.verify_reviews import review_files, review_problems
from tp_drseg.images.dicom.head import is_dicom

_LARGEST_TABLE: Final = 256 << 20  # bytes; a line is some 200


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was written.

    Attributes:
        name: The file, below the output folder.
        what: What is wrong with it.
    """

    name: str
    what: str


@dataclass(frozen=True)
class Verified:
    """What was read again.

    Attributes:
        photographs: Number of photographs with results.
        files: Number of files that records vouch for.
        problems: What is wrong; empty where all is well.
        unknown: Files that are named like results and that no record vouches for.
    """

    photographs: int
    files: int
    problems: tuple[Problem, ...]
    unknown: tuple[str, ...]


def is_results_folder(folder: Path) -> bool:
    """Tell whether a folder holds the results of a run."""
    return is_folder(RecordStore(folder).folder)


def verify_results(out: Path) -> Verified:
    """Read all files of an output folder and compare them with what the records say.

    Each file must be there, have its size and hash, and be a picture that can be decoded, a mask of
    its photograph's size that holds 0 and 255 alone. `lesions.csv` must say what the records say.
    What was corrected in `tp-drseg review` must be what its review vouches for. Nothing is changed.

    Args:
        out: The output folder.

    Raises:
        OutputError: It is not the output folder of a run.
    """
    if not is_results_folder(out):
        raise OutputError(f"{out} holds no results of a run. Give the folder of `segment --out`.")
    store = RecordStore(out)
    problems: list[Problem] = []
    records: list[ImageRecord] = []
    for path in store.paths():
        try:
            records.append(store.read(path))
        except ValueError as error:
            problems.append(Problem(path.relative_to(out).as_posix(), str(error)))
    finished = sorted((r for r in records if r.is_complete), key=lambda record: record.image)
    for record in records:
        if not record.is_complete:
            problems.append(Problem(record.image, "It was being written when a run was stopped."))
    for record in finished:
        for file in record.files:
            if (what := _what_is_wrong(out, record, file)) is not None:
                problems.append(Problem(file.name, what))
    problems += _table_problems(out, finished)
    problems += [Problem(name, what) for name, what in review_problems(out)]
    known = {file.name for record in records for file in record.files} | review_files(out)
    unknown = sorted(
        name
        for path in out.rglob("*")
        if is_result_name(path.name) and (name := path.relative_to(out).as_posix()) not in known
    )
    files = sum(len(record.files) for record in finished)
    return Verified(len(finished), files, tuple(problems), tuple(unknown))


def _what_is_wrong(out: Path, record: ImageRecord, file: WrittenFile) -> str | None:
    try:
        data = read_regular(confined(out, file.name), file.size)
    except FileNotFoundError:
        return "It is missing."
    except OSError as error:
        return f"It cannot be read, or is larger than it was ({error.strerror or error})."
    if len(data) != file.size:
        return f"It has {len(data)} bytes, and had {file.size}."
    if hashlib.sha256(data).hexdigest() != file.sha256:
        return "Its content was changed."
    if file.name.endswith(DICOM_ENDINGS):
        return None if is_dicom(data[:132]) else "It is no DICOM file."
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            picture.load()
            pixels = np.asarray(picture)
    except Exception as error:  # damaged data makes Pillow raise nearly anything
        return f"It is no whole picture ({error})."
    if file.name.endswith(MASK):
        if pixels.ndim != 2:
            return "It is no mask: it is no grey picture."
        if pixels.shape != (record.height, record.width):
            return f"It is {pixels.shape[1]} x {pixels.shape[0]} px, the photograph was not."
        if not np.isin(pixels, (0, 255)).all():
            return "It is no mask: it holds other values than 0 and 255."
    return None


def _table_problems(out: Path, records: list[ImageRecord]) -> list[Problem]:
    problems = []
    expected = csv_bytes(LESION_COLUMNS, lesion_rows(records))
    readers: dict[str, Callable[[bytes], str | None]] = {
        LESIONS_TABLE: lambda data: None if data == expected else "It differs from the records.",
        PHOTOGRAPHS_TABLE: lambda data: _missing(data, records),
        RUN_FILE: _damage_of_log,
    }
    for name, look in readers.items():
        try:
            what = look(read_regular(out / name, _LARGEST_TABLE))
        except FileNotFoundError:
            what = "It is missing."
        except (OSError, ValueError, OutputError, csv.Error) as error:
            what = f"It is damaged ({error})."
        if what is not None:
            problems.append(Problem(name, what))
    return problems


def _damage_of_log(data: bytes) -> str | None:
    found = parse_json(data.decode("utf-8"), "It", error=OutputError)
    return None if isinstance(found, dict) else "It is damaged."


def _missing(data: bytes, records: list[ImageRecord]) -> str | None:
    rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    known = {row.get("image") for row in rows}
    missing = sum(table_cell(record.image) not in known for record in records)
    return f"It lacks {missing} photographs." if missing else None
