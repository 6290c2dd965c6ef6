from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.fake_model import photo


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves is for the tests of files; here it would cost minutes."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three photographs."""
    for name in ("a.png", "b.png", "c.png"):
        photo(tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
