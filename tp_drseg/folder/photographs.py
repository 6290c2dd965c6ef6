"""Which photographs a folder run takes, and what it passes over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tp_drseg._runtime.confined import STATE_FOLDER
from tp_drseg._runtime.extras import is_installed
from tp_drseg._runtime.text_file import READ_FLAGS
from tp_drseg.errors import ImageError
from tp_drseg.folder.failure import Failure
from tp_drseg.folder.names import is_result_name, output_name
from tp_drseg.folder.patterns import fixed_part, has_magic, leads_to_folder, matches
from tp_drseg.images import IMAGE_SUFFIXES
from tp_drseg.images.dicom.head import (
    DIRECTORY_CLASS,
    HEAD_BYTES,
    PHOTOGRAPH_CLASSES,
    is_dicom,
    read_head,
)
from tp_drseg.images.read import DICOM_PACKAGES

_NO_DICOM: Final = "no DICOM file"
_DICOMDIR: Final = "a DICOMDIR (what it lists is taken)"
_SUB_FOLDER: Final = "a sub-folder (--recursive looks into it)"

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


@dataclass(frozen=True)
class PassedOver:
    """What lies in an input and is not taken.

    Attributes:
        path: Where it lies.
        why: The kind of thing that it is, such as `a dead link`.
    """

    path: Path
    why: str


@dataclass(frozen=True)
class Found:
    """What the inputs hold.

    Attributes:
        photographs: Sorted by name, each file once.
        passed_over: What is not taken, sorted by path.
        failures: Folders that cannot be read.
    """

    photographs: tuple[Photograph, ...]
    passed_over: tuple[PassedOver, ...] = ()
    failures: tuple[Failure, ...] = ()


def find_photographs(inputs: Inputs, out: Path, *, recursive: bool = False) -> Found:
    """Expand files, folders and glob patterns into photographs.

    Links to files are followed, links to folders are not. Results of a run, whichever, are no
    photographs.

    Args:
        inputs: Files, folders and glob patterns (`*`, `?`, `[...]`, `**`).
        out: The output folder; what is in it is taken only where named one by one.
        recursive: Whether to look into sub-folders.

    Raises:
        ImageError: An input is missing, is no regular file, or holds no photograph.
    """
    items = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    if not items:
        raise ImageError("No input is given. Name at least one image or folder.")
    search = _Search(_real(out), recursive)
    for item in map(os.fsdecode, items):
        if not item:
            raise ImageError("An input is empty. Give the path of an image or a folder.")
        try:
            search.expand(item)
        except ImageError:
            raise
        except OSError as error:  # a folder that may not be entered, a name that is too long
            raise ImageError(f"{item} cannot be read: {error.strerror or error}.") from error
    found = search.found()
    if not found.photographs:
        raise ImageError("All inputs are results of a run. Give photographs.")
    return found


class _Search:
    """What has been found so far."""

    def __init__(self, out: Path, recursive: bool) -> None:
        self._out, self._recursive = out, recursive
        self._photographs: dict[Path, Photograph] = {}
        self._passed_over: dict[Path, str] = {}
        self._failures: dict[Path, Failure] = {}
        self._visited: set[Path] = set()  # folders

    def found(self) -> Found:
        photographs = sorted(self._photographs.values(), key=lambda one: (one.name, one.path))
        taken = {photograph.path for photograph in photographs} | self._visited
        return Found(
            tuple(photographs),
            tuple(
                PassedOver(*one) for one in sorted(self._passed_over.items()) if one[0] not in taken
            ),
            tuple(self._failures.values()),
        )

    def expand(self, item: str) -> None:
        path = Path(item)
        if path.is_dir():
            self._expand_folder(path, item)
        elif path.is_file():
            if is_result_name(path.name):  # as a shell's `*.png` may name them
                self._pass_over(path, "a result of a run")
            elif _is_dicomdir(path):
                if not self._take_listed(path, path.parent):
                    raise ImageError(f"{item} lists no photograph that is there.")
            else:
                self._take(path, (path.name,))
        elif path.exists():
            raise ImageError(f"{item} is neither a file nor a folder. Give the path of an image.")
        elif not has_magic(item):
            raise ImageError(f"There is no such file or folder: {item}. Check the path.")
        else:
            self._expand_pattern(item)

    def _expand_folder(self, folder: Path, item: str) -> None:
        os.listdir(folder)  # noqa: PTH208 - an input that cannot be read at all is the user's error
        if self._walk(folder, folder):
            return
        here = folder.absolute()
        skipped = [p for p, why in self._passed_over.items() if why == _SUB_FOLDER]
        hint = ", or --recursive for its sub-folders" if here in {p.parent for p in skipped} else ""
        raise ImageError(
            f"There is no image in {item} outside of the output folder. "
            f"Give a folder with {', '.join(sorted(IMAGE_SUFFIXES))} or DICOM files{hint}."
        )

    def _expand_pattern(self, pattern: str) -> None:
        root, parts = fixed_part(Path(pattern))
        count = 0
        for match in matches(root, parts, self._fail):
            if match.is_dir():
                # a matched folder without images is none of the user's naming
                count += self._walk(match, root)
            elif self._is_wanted(match):
                self._take(match, _parts_below(match, root))
                count += 1
        if not count:
            hint = " Write [[] for a bracket that is part of a name." if "[" in pattern else ""
            raise ImageError(f"No image outside of the output folder matches {pattern}.{hint}")

    def _walk(self, folder: Path, root: Path) -> int:
        """Take the images of a folder; returns how many."""
        count, waiting = 0, [folder]
        while waiting:
            here = waiting.pop()
            if _real(here) == self._out:
                continue
            self._visited.add(here.absolute())
            for path, is_folder in self._entries(here):
                if not is_folder:
                    if self._is_wanted(path):
                        self._take(path, _parts_below(path, root))
                        count += 1
                    elif self._passed_over.get(path.absolute()) == _DICOMDIR:
                        count += self._take_listed(path, root)
                elif path.name == STATE_FOLDER:
                    continue
                elif path.name.startswith("."):
                    self._pass_over(path, "hidden")
                elif path.is_symlink():
                    self._pass_over(path, "a link to a folder")
                elif self._recursive:
                    waiting.append(path)
                elif _real(path) != self._out:
                    self._pass_over(path, _SUB_FOLDER)
        return count

    def _entries(self, folder: Path) -> list[tuple[Path, bool]]:
        """Return what a folder holds, and whether each is a folder; none where it is not read."""
        try:
            with os.scandir(folder) as entries:
                return sorted(
                    (Path(folder, entry.name), leads_to_folder(entry)) for entry in entries
                )
        except OSError as error:
            self._fail(folder, error)
            return []

    def _fail(self, path: Path, error: OSError) -> None:
        source, reason = path.absolute(), f"It cannot be read: {error.strerror or error}."
        name = output_name((path.name or "folder",))
        self._failures[source] = Failure(name, str(source), type(error).__name__, reason)

    def _is_wanted(self, path: Path) -> bool:
        """Whether a file that was not named one by one is a photograph; else it is passed over."""
        if _real(path).is_relative_to(self._out):
            return False
        try:
            why = _why_not(path)
        except OSError as error:
            self._fail(path, error)
            return False
        if why is not None:
            self._pass_over(path, why)
        return why is None

    def _take_listed(self, directory: Path, root: Path) -> int:
        """Take the photographs that a DICOMDIR lists; returns how many."""
        from tp_drseg.images.dicom.directory import listed_photographs  # it needs the extra

        try:
            listed = listed_photographs(directory)
        except ImageError as error:
            source = directory.absolute()
            name = output_name((directory.name,))
            self._failures[source] = Failure.of(name, source, error)
            return 0
        wanted = [path for path in listed if self._is_wanted(path)]
        for path in wanted:
            self._take(path, _parts_below(path, root))
        return len(wanted)

    def _pass_over(self, path: Path, why: str) -> None:
        self._passed_over[path.absolute()] = why

    def _take(self, path: Path, parts: Sequence[str]) -> None:
        photograph = Photograph(path.absolute(), output_name(parts))
        real = _real(path)
        other = self._photographs.get(real)
        if other is None or other.path == photograph.path:
            self._photographs.setdefault(real, photograph)
            return
        if photograph.path == real:  # the file under its own name, not the link to it
            self._photographs[real], photograph = photograph, other
        self._pass_over(photograph.path, "the same file as another")


def _real(path: Path) -> Path:
    """Return the path with all links looked through; a loop of links is no error."""
    return Path(os.path.realpath(path))


def _why_not(path: Path) -> str | None:
    """Why a file is no photograph; None where it may be one."""
    if path.name.startswith("."):
        return "hidden"
    if path.is_symlink() and not path.exists():
        return "a dead link"
    if not path.is_file():
        return "no regular file"
    if is_result_name(path.name):
        return "a result of a run"
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return None
    why = _why_no_dicom(path)
    if why == _NO_DICOM:
        return f"no image ({suffix})" if suffix else "no image (no ending)"
    return why


def _is_dicomdir(path: Path) -> bool:
    try:
        return _why_no_dicom(path) == _DICOMDIR
    except OSError:  # it is said when it is read
        return False


def _why_no_dicom(path: Path) -> str | None:
    """Why a file is no photograph in DICOM, by its first bytes; None where it may be one."""
    # a pipe that has taken the file's place since is not waited for
    with open(os.open(path, READ_FLAGS), "rb") as file:  # noqa: PTH123 - a descriptor
        head = file.read(HEAD_BYTES) or b""
    if not is_dicom(head):
        return _NO_DICOM
    if not is_installed(*DICOM_PACKAGES):
        return "a DICOM file (pip install 'tp-drseg[dicom]' reads it)"
    try:
        kind = read_head(head).storage_class
    except ValueError:  # it is said when it is read
        return None
    if kind == DIRECTORY_CLASS:
        return _DICOMDIR
    return None if kind in PHOTOGRAPH_CLASSES or not kind else "DICOM, but no photograph"


def _parts_below(path: Path, root: Path) -> tuple[str, ...]:
    """Return the path below the root, or the file's name alone where it leads out of it."""
    parts = path.absolute().relative_to(root.absolute()).parts
    if ".." not in parts:
        return parts
    real, base = Path(_real(path.parent), path.name), _real(root)
    return real.relative_to(base).parts if real.is_relative_to(base) else (path.name,)
