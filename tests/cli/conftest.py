from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_model import FakeModel, photo
from tp_drseg.cli import _model


class Loader:
    """Stands where the commands load a model, and counts how often."""

    def __init__(self) -> None:
        self.model = FakeModel()
        self.calls: list[tuple[Any, ...]] = []
        self.error: BaseException | None = None

    def __call__(self, *arguments: Any) -> FakeModel:
        self.calls.append(arguments)
        if self.error:
            raise self.error
        return self.model


@pytest.fixture(autouse=True)
def loader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loader]:
    fake = Loader()
    monkeypatch.setattr(_model, "load_model", fake)
    yield fake


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves is for the tests of files; here it would cost minutes."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two photographs."""
    for name in ("a.png", "b.png"):
        photo(tmp_path / "in" / name)
    return tmp_path / "in"
