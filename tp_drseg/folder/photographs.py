"""Which photographs a folder run takes, and what their results are called."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tp_drseg.errors import ImageError
from tp_drseg.folder.records import ImageRecord, RecordStore

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm"})

Inputs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class Photograph:
    """One image to segment.

    Attributes:
        path: Where it lies, absolute.
        name: What its results are called under the output folder, with forward slashes.
    """

    path: Path
    name: str


def find_images(inputs: Inputs, out: Path, *, recursive: bool = False) -> list[Photograph]:
    """Expand files, folders and glob patterns into images.

    Args:
        inputs: Files, folders and glob patterns (``*``, ``?``, ``[...]``, ``**``).
        out: The output folder; images in it are taken only where named one by one.
        recursive: Whether to look into sub-folders.

    Returns:
        The images sorted by name, each file once.

    Raises:
        ImageError: An input is missing, is no regular file, or holds no image.
    """
    found: dict[Path, Photograph] = {}
    items = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    if not items:
        raise ImageError("no input given: name at least one image or folder")
    for item in (os.fspath(item) for item in items):
        if not item:
            raise ImageError("an input is empty: give the path of an image or a folder")
        try:
            photographs = _expand(item, out.resolve(), recursive)
        except OSError as error:  # a folder that may not be entered, a name that is too long
            raise ImageError(f"cannot read {item}: {error.strerror or error}") from error
        for photograph in photographs:
            found.setdefault(photograph.path.resolve(), photograph)
    return sorted(found.values(), key=lambda photograph: (photograph.name, photograph.path))


def _expand(item: str, out: Path, recursive: bool) -> list[Photograph]:
    path = Path(item)
    if path.is_dir():
        return _in_folder(path, out, recursive)
    if path.is_file():
        return [_photograph(path, path.parent)]
    if path.exists():
        raise ImageError(f"{item} is neither a file nor a folder: give the path of an image")
    if not glob.has_magic(item):
        raise ImageError(f"no such file or folder: {item}")
    return _in_pattern(item, out, recursive)


def _in_folder(folder: Path, out: Path, recursive: bool) -> list[Photograph]:
    images = []
    sub_folders = 0
    for place, names, files in os.walk(folder, onerror=_raise_unreadable):
        below = [name for name in names if not name.startswith(".")]
        sub_folders += len(below)
        names[:] = below if recursive else []
        images += [Path(place, file) for file in files]
    images = [path for path in images if _is_wanted(path, out)]
    if not images:
        hint = "" if recursive or not sub_folders else ", or look into its sub-folders (recursive)"
        raise ImageError(
            f"no image in {folder} outside of the output folder: "
            f"give a folder with {_suffixes()} files{hint}"
        )
    return [_photograph(path, folder) for path in images]


def _in_pattern(pattern: str, out: Path, recursive: bool) -> list[Photograph]:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - the pattern may be absolute
    matches = [Path(match) for match in sorted(found)]
    images = [path for path in matches if _is_wanted(path, out)]
    photographs = [_photograph(path, root) for path in images]
    for folder in (path for path in matches if path.is_dir()):
        with suppress(ImageError):  # a matched folder without images is none of the user's naming
            photographs += [
                _photograph(inner.path, root) for inner in _in_folder(folder, out, recursive)
            ]
    if not photographs:
        raise ImageError(f"no image outside of the output folder matches {pattern}")
    return photographs


def _is_wanted(path: Path, out: Path) -> bool:
    return (
        path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
        and not path.resolve().is_relative_to(out)
    )


def _photograph(path: Path, root: Path) -> Photograph:
    path, root = path.absolute(), root.absolute()
    name = PurePosixPath(*path.relative_to(root).parts)
    if len(os.fsencode(name.name)) > 180:  # room for what is added to it; 255 bytes is the limit
        name = name.with_name(f"{name.name[:40]}~{_tag(name.name)}{name.suffix[:10]}")
    return Photograph(path, str(name))


def settle_names(photographs: list[Photograph], store: RecordStore) -> list[Photograph]:
    """Give each photograph a name that no other one holds, in this run or an earlier one.

    Results of an earlier run among the photographs are passed over.

    Raises:
        ImageError: No photograph is left.
    """
    outputs = {(store.out / name).resolve() for r in store.records.values() for name in r.files}
    photographs = [p for p in photographs if p.path.resolve() not in outputs]
    if not photographs:
        raise ImageError("all inputs are results of an earlier run: give photographs")
    kept = {record.source: record.image for record in store.records.values()}
    holders = {record.image.casefold(): record for record in store.records.values()}
    # A photograph keeps the name that it has from an earlier run, whatever has joined it since.
    taken = {kept[str(p.path)].casefold() for p in photographs if str(p.path) in kept}
    settled = []
    for photograph in photographs:
        name = kept.get(str(photograph.path))
        if name is None:
            name = photograph.name
            holder = holders.get(name.casefold())
            if name.casefold() in taken or (holder and not _is_same(holder, photograph)):
                plain = PurePosixPath(name)
                tag = _tag(str(photograph.path))
                name = str(plain.with_name(f"{plain.stem}~{tag}{plain.suffix}"))
            taken.add(name.casefold())
        settled.append(replace(photograph, name=name))
    return settled


def _is_same(record: ImageRecord, photograph: Photograph) -> bool:
    """Whether a record under another path is of this photograph, moved since."""
    if record.image != photograph.name:
        return False
    try:
        return record.sha256 == file_hash(photograph.path)
    except ImageError:
        return False


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        ImageError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def _tag(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))


def _raise_unreadable(error: OSError) -> None:
    raise ImageError(f"cannot read the folder {error.filename}: {error.strerror}") from error
