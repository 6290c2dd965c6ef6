from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tp_drseg.cli import app
from tp_drseg.data.formats import FORMATS

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "IDRiD"


def tp_drseg(*line: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in line])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A plain folder of two photographs, one with hard exudates."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "masks" / "EX").mkdir(parents=True)
    for name, red in (("a", 90), ("b", 120)):
        Image.new("RGB", (48, 40), (red, 60, 30)).save(root / "images" / f"{name}.jpg")
    mask = np.zeros((40, 48), np.uint8)
    mask[3:9, 4:7] = 255
    Image.fromarray(mask).save(root / "masks" / "EX" / "a.png")
    return root


def test_survey(data: Path, loader: Any) -> None:
    result = tp_drseg("check", "--data", data, "--format", "folder")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("2 photographs\n")
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("hard exudate")]
    assert row.split()[2:] == ["1", "1", "0", "0", "1"]
    assert "Warning: microaneurysm is annotated on no photograph." in result.stdout
    assert loader.calls == []  # it needs no model


def test_every_problem_is_listed(data: Path) -> None:
    (data / "images" / "b.jpg").write_text("no image")
    Image.new("L", (20, 20)).save(data / "masks" / "EX" / "a.png")
    result = tp_drseg("check", "--data", data, "--format", "folder")
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == "Error: There are 2 problems:"
    assert "a.png' is 20 x 20 pixels" in lines[1]
    assert "b.jpg' holds text, not an image" in lines[2]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_folders_that_are_not_there(name: str, tmp_path: Path) -> None:
    result = tp_drseg("check", "--data", tmp_path, "--format", name)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ") and str(tmp_path) in result.stderr


def test_names_forge_no_lines(data: Path) -> None:
    """A data set's names come from outside: neither its problems nor its survey let them act."""
    evil = "x\x1b[2J\nError: forged\n- forged"
    (data / "images" / f"{evil}.jpg").write_bytes(b"no image")
    (data / "images" / f"{os.fsdecode(b'y')}\udcff.jpg").write_bytes(b"no image")
    failed = tp_drseg("check", "--data", data, "--format", "folder")
    assert failed.exit_code == 1
    (data / "images" / "b.jpg").replace(data / "images" / f"{evil}.jpg")
    (data / "images" / "y\udcff.jpg").unlink()
    fine = tp_drseg("check", "--data", data, "--format", "folder")
    assert fine.exit_code == 0, fine.output
    for text in (failed.stderr, fine.stdout):
        assert "\x1b" not in text
        assert not any(line.startswith(("Error: forged", "- forged")) for line in text.splitlines())


def test_unknown_lesion(data: Path) -> None:
    (data / "masks" / "scar").mkdir()
    result = tp_drseg("check", "--data", data, "--format", "folder")
    assert result.exit_code == 1
    assert "scar" in result.stderr and "microaneurysm (MA)" in result.stderr
    assert "Traceback" in tp_drseg("check", "--data", data, "--format", "folder", "--debug").stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("--format", "folder"), "'--data'"),
        (("--data", "DATA"), "'--format'"),
        (("--data", "gone", "--format", "folder"), "gone"),
        (("--data", "DATA", "--format", "coco"), "retinal-lesions"),
        (("--data", "DATA", "--format", "ddr", "--split", "val"), "train, valid, test"),
        (("--data", "DATA", "--format", "folder", "--split", "train"), "no splits"),
    ],
)
def test_wrong_use(data: Path, line: tuple[str, ...], words: str) -> None:
    result = tp_drseg("check", *(data if word == "DATA" else word for word in line))
    assert result.exit_code == 2, result.output
    assert words in result.stderr


def test_help_names_every_format() -> None:
    words = " ".join(tp_drseg("check", "--help").stdout.split())
    for name in FORMATS:
        assert name in words


@pytest.mark.skipif(not REAL.is_dir(), reason="IDRiD is not here")
def test_real_tree_without_its_test_set() -> None:
    result = tp_drseg("check", "--data", REAL, "--format", "idrid", "--split", "test")
    assert result.exit_code == 1
    assert "b. Testing Set" in result.stderr and "a. Training Set" in result.stderr
