"""Glob patterns, in a search that follows no loop of links and names what it cannot read."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path


def has_magic(text: str) -> bool:
    """Tell whether a text is a pattern."""
    return re.search(r"[*?[]", text) is not None


def _is_literal(folder: Path, part: str) -> bool:
    """Whether a part of a pattern is a name; brackets are part of one that is there."""
    if re.search(r"[*?]", part):
        return False
    return "[" not in part or os.path.lexists(folder / part)


def fixed_part(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the folder that a pattern starts in, and the parts that follow."""
    root = Path(pattern.anchor)
    parts = pattern.parts[1:] if pattern.anchor else pattern.parts
    for i, part in enumerate(parts[:-1]):
        if not _is_literal(root, part):
            return root, parts[i:]
        root /= part
    return root, parts[-1:]


def matches(
    root: Path, parts: tuple[str, ...], fail: Callable[[Path, OSError], None]
) -> Iterator[Path]:
    """Yield what a pattern matches; `**` enters no link, so that no loop of links is followed.

    Args:
        root: Where it starts.
        parts: The pattern's parts from there on.
        fail: Called with each folder that cannot be read.
    """
    waiting, seen = [(root, parts)], set()
    while waiting:
        folder, left = waiting.pop()
        if (folder, left) in seen:
            continue
        seen.add((folder, left))
        if not left:
            yield folder
            continue
        part, rest = left[0], left[1:]
        if part != "**" and _is_literal(folder, part):
            if os.path.lexists(folder / part):
                waiting.append((folder / part, rest))
            continue
        try:
            with os.scandir(folder) as found:
                entries = [
                    (entry.name, leads_to_folder(entry), entry.is_symlink()) for entry in found
                ]
        except (NotADirectoryError, FileNotFoundError):
            continue
        except OSError as error:
            fail(folder, error)
            continue
        if part == "**":
            waiting.append((folder, rest))
            waiting += [
                (folder / name, left)
                for name, holds, is_link in entries
                if holds and not is_link and not name.startswith(".")
            ]
            continue
        waiting += [
            (folder / name, rest)
            for name, holds, _ in entries
            if fnmatch.fnmatch(name, part)
            and (not name.startswith(".") or part.startswith("."))
            and (holds or not rest)
        ]


def leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder or a link to one; a loop of links is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
