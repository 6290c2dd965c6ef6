"""The measurements on small models: what they say is there and hangs together."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.setting import Setting
from benchmarks.speed.against_plain import against_plain
from benchmarks.speed.folder import LESIONS, run_command
from benchmarks.speed.session import session_speed
from benchmarks.speed.ways import one_by_one, ours
from tp_drseg.model import TPDRSeg

Make = Callable[..., TPDRSeg]


@pytest.fixture
def setting(tmp_path: Path, checkpoint: Make) -> Setting:
    model = checkpoint(tmp_path / "model", "tiny_vit")
    assert len(model.catalog) == LESIONS
    return Setting(tmp_path / "model", "cpu", "float32", 1, 1)


@pytest.mark.slow
def test_a_folder_run_is_that_of_the_command(
    tmp_path: Path, setting: Setting, example: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copyfile(example, folder / name)
    found = run_command(setting, folder, tmp_path / "out")
    assert (found["done"], found["dtype_chosen"]) == (2, "float32")
    assert 0 < found["model_in_run"] < found["seconds"]
    (folder / "c.jpg").write_bytes(b"")
    with pytest.raises(subprocess.CalledProcessError):
        run_command(setting, folder, tmp_path / "out")


def test_an_open_photograph_gives_what_a_call_by_itself_does(
    setting: Setting, example: Path
) -> None:
    found = session_speed(setting, [example])
    assert found["probability_difference"] == 0.0
    assert all(seconds > 0 for seconds in found["seconds"].values())


@pytest.mark.slow
def test_ours_agrees_with_the_plain_reference_that_it_is_timed_beside(
    setting: Setting, example: Path
) -> None:
    (found,) = against_plain(setting, ["float32"], [example])
    assert found["logit_difference"] < 1e-3 and found["dice"] > 0.999
    assert set(found["times"]) == {"1", "4"}
    for taken in found["times"].values():
        assert taken["ratio"] == taken["plain"] / taken["ours"] > 0
    assert all(peak["process"] > 100 for peak in found["memory"].values())


def test_one_by_one_gives_what_together_does(setting: Setting, example: Path) -> None:
    names = ["haemorrhage", "hard exudate"]
    together: Any = ours(setting)(example, names)
    alone: Any = one_by_one(setting)(example, names)
    for result, name in zip(alone, names, strict=True):
        np.testing.assert_allclose(result.probability, together[name].probability, atol=1e-5)
