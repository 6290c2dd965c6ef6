from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Loader
from tests.support.command import tp_drseg
from tests.support.fake_model import run
from tests.support.review_server import png, served


@pytest.fixture
def reviewed(tmp_path: Path) -> tuple[Path, Path]:
    """Two copies of the results of one photograph, each signed by another reviewer."""
    pixels = np.full((64, 64, 3), (190, 95, 40), np.uint8)
    pixels[::7] = 120
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "eye.png")
    first, second = tmp_path / "first", tmp_path / "second"
    run(tmp_path / "in", first)
    shutil.copytree(first, second)
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    for out, shift in ((first, 0), (second, 10)):
        with served(out) as server:
            one = server.draw(server.photographs()[0], png(np.roll(mask, shift, axis=0))).data
            assert server.change(one, state="accepted").status == 200
    return first, second


def test_two_reviewers_are_compared_without_a_model(
    reviewed: tuple[Path, Path], loader: Loader
) -> None:
    first, second = reviewed
    done = tp_drseg("evaluate", "--data", first, "--format", "review", "--agreement", second)
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("hard exudate")]
    words = line.split()
    assert words[2:6] == ["1", "1", "0.500", "0.500"]
    assert 0.4 < float(words[6]) < 0.5
    assert not loader.calls


def test_wrong_use(reviewed: tuple[Path, Path]) -> None:
    first, second = reviewed
    done = tp_drseg("evaluate", "--data", first, "--agreement", second)
    assert done.exit_code == 2 and "--format review" in done.stderr
