from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Loader
from tests.support.command import tp_drseg


def test_results(photos: Path, tmp_path: Path, loader: Loader) -> None:
    out = tmp_path / "out"
    tp_drseg("segment", photos, "-o", out)
    calls = len(loader.calls)
    good = tp_drseg("verify", out)
    assert good.exit_code == 0
    assert good.stdout == "2 photographs, 20 files read again.\n"
    mask = out / "a.png.EX.mask.png"
    mask.write_bytes(mask.read_bytes()[:-9])
    (out / "x.png.EX.mask.png").touch()
    bad = tp_drseg("verify", out)
    assert bad.exit_code == 1
    assert "a.png.EX.mask.png: It has" in bad.stdout
    assert "x.png.EX.mask.png: no record knows it" in bad.stdout
    assert "Error: 1 problems" in bad.stderr
    assert len(loader.calls) == calls


def test_neither_results_nor_a_model(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        result = tp_drseg("verify", folder)
        assert result.exit_code == 2
        assert "neither the results of a run nor a model" in result.stderr
