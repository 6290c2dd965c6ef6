"""Finding the folders and files of a data set, and saying what is there when they are not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tp_drseg.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""File suffixes, in lower case, that count as an image or a mask; other files are passed over."""

IMAGE_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What such a file may be, by Pillow's names."""

_CHUNK = 1 << 20
_LEVELS_BELOW = 2  # how deep archives nest the folder that holds the data


def some(names: Iterable[str], most: int = 5) -> str:
    """The first few names, for a message."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def subfolders(folder: Path) -> list[Path]:
    """The folders right in a folder by name, without hidden ones and what macOS adds to a ZIP."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name != "__MACOSX" and path.is_dir()
    )


def no_folder(folder: Path) -> DataError:
    """The error for a folder that is missing; it tells what there is instead."""
    there = next((parent for parent in folder.parents if parent.is_dir()), None)
    listing = "" if there is None else f" {contents(there)}"
    return DataError(
        f"There is no folder {folder}.{listing} Complete the data set or correct its path."
    )


def contents(folder: Path) -> str:
    """A sentence on what a folder holds."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return f"{folder} holds: {some(names, 8)}." if names else f"{folder} is empty."


def find_home(root: Path, marker: str, dataset: str) -> Path:
    """Find the folder that a data set was unpacked to.

    Args:
        root: Where to look; copies nest the data by up to two folders of any name.
        marker: A folder of the data set, by its path in the folder to find.
        dataset: Name of the data set, for messages.

    Raises:
        DataError: No folder, or more than one, holds ``marker``.
    """
    if not root.is_dir():
        raise no_folder(root)
    level = [root]
    for _ in range(1 + _LEVELS_BELOW):
        homes = [folder for folder in level if (folder / marker).is_dir()]
        if len(homes) > 1:
            raise DataError(
                f"{root} holds {dataset} more than once: {some(str(home) for home in homes)}. "
                "Give one of these folders."
            )
        if homes:
            return homes[0]
        level = [sub for folder in level for sub in subfolders(folder)]
    raise DataError(
        f"No {dataset} data in {root}: there is no folder '{marker}' in it, nor up to "
        f"{_LEVELS_BELOW} levels below it. {contents(root)} Give the folder that the data set was "
        "unpacked to."
    )


def files_by_stem(folder: Path, *, may_be_empty: bool = False) -> dict[str, Path]:
    """Images (or masks) right in a folder, by their name without suffix, in the order of the names.

    Hidden files and files that are not images are passed over.

    Raises:
        DataError: The folder is missing or has no image, or two images have the same stem.
    """
    if not folder.is_dir():
        raise no_folder(folder)
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.stem in found:
            raise DataError(
                f"Two files in {folder} share one stem: {found[path.stem].name} and {path.name}. "
                "Rename or remove one, so that it is clear which mask belongs to which image."
            )
        found[path.stem] = path
    if not found and not may_be_empty:
        raise DataError(
            f"There is no image in {folder}. Known suffixes: {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return found


def orphans(folder: Path, masks: Iterable[str], expected: Iterable[str]) -> list[str]:
    """What is wrong where masks belong to no image.

    Args:
        folder: Where the masks are, for the message.
        masks: Stems of the masks found.
        expected: Stems of the masks that would belong to an image.

    Returns:
        One message, or none.
    """
    left = sorted(set(masks) - set(expected))
    if not left:
        return []
    return [
        f"{len(left)} mask(s) in {folder} belong to no image: {some(left)}. Add the images, or "
        "rename or remove these masks."
    ]


def refuse(problems: Sequence[str]) -> None:
    """Make sure that there is no problem.

    Raises:
        DataError: There are some; the message has a line for each.
    """
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        raise DataError("\n- ".join([f"There are {len(problems)} problems:", *problems]))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in lower-case hexadecimal digits.

    Raises:
        DataError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()
