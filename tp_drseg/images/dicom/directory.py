"""A DICOMDIR: the list of files on a disc from a clinic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tp_drseg.errors import ImageError
from tp_drseg.images.dicom.head import PHOTOGRAPH_CLASSES
from tp_drseg.images.dicom.header import Header, parse
from tp_drseg.images.source import read_file

_LARGEST: Final = 16 << 20  # bytes


def listed_photographs(path: Path) -> list[Path]:
    """Return the photographs that a DICOMDIR lists, where they are there.

    Args:
        path: The DICOMDIR.

    Returns:
        Files below its folder, links looked through; what leads out of it is left out.

    Raises:
        ImageError: It cannot be read, or is damaged.
    """
    file = read_file(path, _LARGEST, what="DICOMDIR")
    try:
        records = parse(file, _LARGEST).header.items("DirectoryRecordSequence")
    except ImageError:
        raise
    except Exception as error:  # damaged elements make pydicom raise nearly anything
        raise ImageError(f"{file.name} is damaged. Give the files that it lists.") from error
    found = (_file_of(record, path.parent) for record in records)
    return [one for one in found if one is not None]


def _file_of(record: Header, folder: Path) -> Path | None:
    kind = record.text("ReferencedSOPClassUIDInFile")
    parts = record.texts("ReferencedFileID")
    if kind not in PHOTOGRAPH_CLASSES or not parts:
        return None
    if any(part in {"", ".", ".."} or set(part) & set("/\\:\0") for part in parts):
        return None
    for path in (folder.joinpath(*parts), folder.joinpath(*map(str.lower, parts))):
        if path.is_file():
            inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
            return path if inside else None
    return None
