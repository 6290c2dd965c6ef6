"""What the tests of the readers share: files for miniature trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIZE = (36, 48)  # height and width of every photograph

Make = Callable[..., Any]


def _photograph(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(path.name.encode())  # each photograph another
        noise = np.random.default_rng(seed).integers(0, 60, (*SIZE, 3), dtype=np.uint8)
        pixels = noise + np.array([150, 70, 20], np.uint8)  # a retina's colour
        Image.fromarray(pixels).save(path)


def _mask(path: Path, value: int = 255, *, rows: int = 4, palette: bool = False) -> None:
    """The first rows are the lesion."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(SIZE, dtype=np.uint8)
    pixels[:rows] = value
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0])
    image.save(path)


def _clutter(root: Path) -> None:
    """Puts what operating systems leave behind into every folder."""
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        for name in ("Thumbs.db", ".DS_Store", "._hidden.png", ".hidden.jpg", "desktop.ini"):
            (folder / name).write_bytes(b"clutter")
    (root / "__MACOSX" / "images").mkdir(parents=True)
    (root / ".Trash").mkdir()


@pytest.fixture
def photograph() -> Make:
    """`photograph(*paths)`: writes photographs of 36 x 48 pixels, each another."""
    return _photograph


@pytest.fixture
def mask() -> Make:
    """`mask(path, value=255, rows=4, palette=False)`: a mask whose first rows have the value."""
    return _mask


@pytest.fixture
def clutter() -> Make:
    """`clutter(root)`: hidden files, `Thumbs.db` and the like in every folder."""
    return _clutter
