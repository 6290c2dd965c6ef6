"""What results are called: names that every disk takes, and that stay below the output folder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from tp_drseg._runtime.names import name_key
from tp_drseg._runtime.text import is_unseen
from tp_drseg.errors import OutputError

STATE_FOLDER: Final = ".tp-drseg"
THUMBNAIL_FOLDER: Final = "thumbnails"
PHOTOGRAPHS_TABLE: Final = "photographs.csv"
LESIONS_TABLE: Final = "lesions.csv"
RUN_FILE: Final = "run.json"
CONTACT_SHEET: Final = "index.html"
TABLES: Final = (PHOTOGRAPHS_TABLE, LESIONS_TABLE, RUN_FILE, CONTACT_SHEET)

MASK: Final = ".mask.png"
OVERLAY: Final = ".overlay.jpg"
THUMBNAIL: Final = ".thumbnail.jpg"
DICOM_ENDINGS: Final = (".seg.dcm", ".sr.dcm", ".capture.dcm")
_RESULTS: Final = (MASK, OVERLAY, THUMBNAIL, *DICOM_ENDINGS)

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


def confined(out: Path, name: str) -> Path:
    """Return the path of a name below the output folder, links on the way looked through.

    Args:
        out: The output folder.
        name: Path below it, with forward slashes.

    Raises:
        OutputError: The name leads out of the folder, by `..`, as an absolute path or by a link.
    """
    # a backslash or a colon would mean something else to Windows' paths
    parts = name.split("/")
    if any(part in {"", ".", ".."} or set(part) & {"\\", ":", "\0"} for part in parts):
        raise OutputError(f"{name!r} is no name below {out}. Remove its record.")
    path = out.joinpath(*parts)
    try:
        is_inside = path.parent.resolve().is_relative_to(out.resolve())
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} cannot be written: {reason}. Give it a shorter name.") from error
    if not is_inside:
        raise OutputError(
            f"{path} leads out of {out} through a link. Remove the link or choose another folder."
        )
    return path


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
