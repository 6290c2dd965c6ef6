from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.command import tp_drseg
from tests.support.fake_model import run
from tp_drseg.web import serve


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Servers that were to run; each is stopped as Ctrl-C does."""
    found: list[Any] = []

    def stop(self: Any) -> None:
        found.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(serve.Opened, "run", stop)
    return found


def test_it_prints_the_address_and_ends_by_ctrl_c(
    photos: Path, tmp_path: Path, opened: list[Any]
) -> None:
    run(photos, tmp_path / "out")
    done = tp_drseg("review", tmp_path / "out", "--reviewer", "Anna")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2 photographs.")
    assert lines[1] == opened[0].url and lines[1].startswith("http://127.0.0.1:")
    assert len(lines[1].split("#")[1]) >= 43
    assert "Closed. All is saved." in done.stderr


def test_wrong_use(photos: Path, tmp_path: Path, opened: list[Any]) -> None:
    run(photos, tmp_path / "out")
    for words, what in (
        ([photos], "holds no finished results"),
        ([tmp_path / "out", "--assign", "3/2"], "A part is written"),
        ([tmp_path / "out", "--reviewer", " "], "A reviewer has a name"),
        ([tmp_path / "missing"], "does not exist"),
    ):
        done = tp_drseg("review", *words)
        assert done.exit_code == 2 and what in done.stderr, words
    assert not opened


def test_without_the_extra_it_says_what_to_install(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tp_drseg._runtime.extras as extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    done = tp_drseg("review", photos)
    assert done.exit_code == 2 and "pip install 'tp-drseg[web]'" in done.stderr
