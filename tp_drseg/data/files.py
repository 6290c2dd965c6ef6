"""Finding the folders and files of a data set, and saying what is there when they are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tp_drseg._runtime.names import NameMap, name_key
from tp_drseg._runtime.text import visible
from tp_drseg.errors import DataError, ImageError
from tp_drseg.images import IMAGE_SUFFIXES, hash_file

_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})  # what Windows leaves in folders of images
_LEVELS_BELOW = 2  # how deep archives nest the folder that holds the data


def some(names: Iterable[str], most: int = 5) -> str:
    """Return the first few names, for a message."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def listing(folder: Path) -> list[Path]:
    """Return what lies right in a folder by name, without hidden files and clutter.

    Raises:
        DataError: The folder may not be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be read ({error.strerror}). Check its rights."
        ) from error
    return [
        path
        for path in paths
        if not path.name.startswith(".") and path.name.lower() not in _CLUTTER
    ]


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder that can be seen."""
    try:
        return path.is_dir()
    except OSError:  # no permission, or a name that is too long
        return False


def subfolders(folder: Path) -> list[Path]:
    """Return the folders right in a folder by name, without what macOS adds to a ZIP.

    Raises:
        DataError: The folder may not be read.
    """
    return [path for path in listing(folder) if path.name != "__MACOSX" and is_folder(path)]


def no_folder(folder: Path) -> DataError:
    """Return the error for a folder that is missing; it tells what there is instead."""
    there = next((parent for parent in folder.parents if is_folder(parent)), None)
    listing = "" if there is None else f" {contents(there)}"
    return DataError(
        f"There is no folder {folder}.{listing} Complete the data set or correct its path."
    )


def contents(folder: Path) -> str:
    """Return a sentence on what a folder holds."""
    try:
        names = [path.name for path in listing(folder)]
    except DataError as error:
        return str(error)
    return f"{folder} holds: {some(names, 8)}." if names else f"{folder} is empty."


def find_home(root: Path, marker: str, dataset: str) -> Path:
    """Find the folder that a data set was unpacked to.

    Args:
        root: Where to look; copies nest the data by up to two folders of any name. A folder that
            links lead to again is looked at once.
        marker: A folder of the data set, by its path in the folder to find.
        dataset: Name of the data set, for messages.

    Raises:
        DataError: No folder, or more than one, holds ``marker``.
    """
    if not is_folder(root):
        raise no_folder(root)
    level = [root]
    seen = {root.resolve()}
    for _ in range(1 + _LEVELS_BELOW):
        homes = [folder for folder in level if is_folder(folder / marker)]
        if len(homes) > 1:
            raise DataError(
                f"{root} holds {dataset} more than once: {some(str(home) for home in homes)}. "
                "Give one of these folders."
            )
        if homes:
            return homes[0]
        below: dict[Path, Path] = {}
        for folder in level:
            below |= {sub.resolve(): sub for sub in _subfolders_seen(folder)}
        level = [sub for place, sub in below.items() if place not in seen]
        seen |= set(below)
    raise DataError(
        f"No {dataset} data in {root}: there is no folder '{marker}' in it, nor up to "
        f"{_LEVELS_BELOW} levels below it. {contents(root)} Give the folder that the data set was "
        "unpacked to."
    )


def _subfolders_seen(folder: Path) -> list[Path]:
    try:
        return subfolders(folder)
    except DataError:  # one that may not be read is not where the data are
        return []


def files_by_stem(folder: Path, *, may_be_empty: bool = False) -> NameMap[Path]:
    """Return the images (or masks) right in a folder by their name without suffix, in its order.

    Hidden files and files that are not images are passed over. Names are looked up whatever their
    case and their Unicode form.

    Raises:
        DataError: The folder is missing, may not be read or has no image, or two images have the
            same stem.
    """
    if not is_folder(folder):
        raise no_folder(folder)
    found: dict[str, Path] = {}
    for path in listing(folder):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        other = found.setdefault(name_key(path.stem), path)
        if other is not path:
            raise DataError(
                f"Two files in {folder} share one stem: {other.name} and {path.name}. Rename or "
                "remove one, so that it is clear which mask belongs to which image."
            )
    if not found and not may_be_empty:
        raise DataError(
            f"There is no image in {folder}. Known suffixes: {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return NameMap((path.stem, path) for path in found.values())


def orphans(folder: Path, masks: Mapping[str, Path], expected: Iterable[str]) -> list[str]:
    """Return what is wrong where masks belong to no image.

    Args:
        folder: Where the masks are, for the message.
        masks: The masks found, by stem.
        expected: Stems of the masks that would belong to an image.

    Returns:
        One message, or none.
    """
    left = sorted(NameMap(masks.items()).without(expected))
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
    problems = [visible(problem) for problem in problems]  # names in them make no lines
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        raise DataError("\n- ".join([f"There are {len(problems)} problems:", *problems]))


def file_sha256(path: Path, limit: int | None = None) -> str:
    """Return the SHA-256 of a file's bytes, in lower-case hexadecimal digits.

    Args:
        path: The file.
        limit: The most bytes that it may have; no limit by default.

    Raises:
        DataError: The file cannot be read, or is larger.
    """
    try:
        return hash_file(path, limit)
    except ImageError as error:
        raise DataError(str(error)) from error
