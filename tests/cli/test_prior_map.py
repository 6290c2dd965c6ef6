from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import Loader
from tests.support.command import tp_drseg


def test_a_heat_map(photos: Path, tmp_path: Path, loader: Loader) -> None:
    result = tp_drseg("prior-map", photos / "a.png", "red squares", "-o", tmp_path / "heat.png")
    assert result.exit_code == 0, result.output
    assert loader.model.asked == [("red squares",)]
    with Image.open(tmp_path / "heat.png") as heat:
        assert (heat.mode, heat.size) == ("RGB", (48, 40))
        pixels = np.asarray(heat).astype(int)
    assert pixels[15, 15].sum() > pixels[30, 40].sum()


def test_raw(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "prior.png"
    assert tp_drseg("prior-map", photos / "a.png", "squares", "--out", out, "--raw").exit_code == 0
    with Image.open(out) as prior:
        assert prior.mode == "L"
        assert np.asarray(prior)[15, 15] == 200
        assert np.asarray(prior).sum() == 100 * 200
