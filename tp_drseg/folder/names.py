"""What results are called: names that every disk takes, and that stay below the output folder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from tp_drseg._runtime.names import name_key
from tp_drseg._runtime.text import is_unseen
from tp_drseg.corrections.names import CORRECTED, REVIEW

THUMBNAIL_FOLDER: Final = "thumbnails"
PHOTOGRAPHS_TABLE: Final = "photographs.csv"
LESIONS_TABLE: Final = "lesions.csv"
RUN_FILE: Final = "run.json"
CONTACT_SHEET: Final = "index.html"
TABLES: Final = (PHOTOGRAPHS_TABLE, LESIONS_TABLE, RUN_FILE, CONTACT_SHEET)

MASK: Final = ".mask.png"
OVERLAY: Final = ".overlay.jpg"
THUMBNAIL: Final = ".thumbnail.jpg"
REPORT: Final = ".report.html"
DICOM_ENDINGS: Final = (".seg.dcm", ".sr.dcm", ".capture.dcm")
_RESULTS: Final = (MASK, OVERLAY, THUMBNAIL, REPORT, *DICOM_ENDINGS, CORRECTED, REVIEW)

_LONGEST_PART: Final = 180  # bytes: room for what is added to it; most disks take 255
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"}
)  # Windows opens a device by these names, whatever the ending
_NOT_ON_WINDOWS: Final = frozenset('<>:"|?*\\')


def output_name(parts: Sequence[str]) -> str:
    """Return what a photograph's results are called: its path, in a form that every disk takes.

    A part that some disk or program cannot take (control characters, bytes that are no Unicode,
    names of devices, a name of our own) is changed, and gets a tag made from what it was, so that
    two such parts stay apart.

    Args:
        parts: The photograph's path below the input folder, the file's name last.

    Returns:
        The name under the output folder, with forward slashes.
    """
    *folders, file = parts
    kept = [_taken_by_all(folder, is_top=i == 0) for i, folder in enumerate(folders)]
    return "/".join([*kept, _taken_by_all(file)])


def is_output_name(name: str) -> bool:
    """Tell whether a name is one that `output_name` can have given."""
    parts = name.split("/")
    return len(name) <= 4096 and output_name(parts) == name


def tagged(name: str, source: str) -> str:
    """Return a name that is told from others of the same kind by a tag made from a text."""
    plain = PurePosixPath(name)
    suffix = plain.suffix[:10]
    return str(plain.with_name(f"{plain.name.removesuffix(suffix)}~{_tag(source)}{suffix}"))


def is_result_name(name: str) -> bool:
    """Tell whether a file's name is one that a run gives to its results."""
    return name.casefold().endswith(_RESULTS)


def _taken_by_all(part: str, *, is_top: bool = False) -> str:
    cleaned = "".join(
        "_" if is_unseen(letter) or letter in _NOT_ON_WINDOWS else letter for letter in part or "_"
    )
    stripped = cleaned.rstrip(". ")  # Windows drops them from the end
    cleaned = stripped + "_" * (len(cleaned) - len(stripped))
    if cleaned.startswith(".") or cleaned.split(".")[0].strip().casefold() in _DEVICES:
        cleaned = f"_{cleaned}"
    is_ours = is_top and name_key(cleaned) in {*TABLES, THUMBNAIL_FOLDER}
    is_long = len(cleaned.encode()) > _LONGEST_PART
    if cleaned == part and not is_ours and not is_long and not is_result_name(part):
        return part
    stem, suffix = os.path.splitext(cleaned)  # noqa: PTH122 - no path
    if not re.fullmatch(r"\.\w{1,10}", suffix):
        stem, suffix = cleaned, ""
    return f"{stem[:40]}~{_tag(part)}{suffix}"


def _tag(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
