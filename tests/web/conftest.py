from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.fake_model import photo, run
from tests.support.review_server import Served, served


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves is for the tests of files; here it would cost minutes."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of two photographs of 48x40, with the lesions EX and MA."""
    for name in ("a.png", "b.png"):
        photo(tmp_path / "in" / name)
    run(tmp_path / "in", tmp_path / "out", lesions=["EX", "MA"])
    return tmp_path / "out"


@pytest.fixture
def server(results: Path) -> Iterator[Served]:
    with served(results) as found:
        yield found


@pytest.fixture
def first(server: Served) -> dict[str, Any]:
    """What the server says of the first photograph."""
    return server.photographs()[0]


@pytest.fixture
def drawn() -> NDArray[np.bool_]:
    """A mask of the photographs' size."""
    mask = np.zeros((40, 48), bool)
    mask[3:30, 5:41:3] = True
    return mask
