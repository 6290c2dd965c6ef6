"""Paths and words that no system takes: each command says so in one line, and no bug shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import tp_drseg

LINES = {
    "verify": ("verify", "{long}"),
    "train": ("train", "{long}", "--out", "run"),
    "prior-map": ("prior-map", "{eye}", "dots", "-o", "{long}.png"),
    "segment": ("segment", "{eye}", "-o", "{long}", "--dry-run"),
    "segment, an input": ("segment", "{long}", "-o", "out", "--dry-run"),
    "evaluate": ("evaluate", "--data", ".", "--format", "folder", "--json", "{long}"),
    "a description": ("segment", "{eye}", "-o", "out", "--lesion", "EX", "--description", "\udcff"),
}


@pytest.mark.parametrize("name", LINES)
def test_one_line_and_no_bug(name: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    line = [word.format(long="x" * 5000, eye=photos / "a.png") for word in LINES[name]]
    result = tp_drseg(*line)
    assert result.exit_code in (1, 2)
    assert "unexpected" not in result.output
    assert isinstance(result.exception, SystemExit)
