"""`tp-drseg evaluate`, with a small model on drawn lesions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from tp_drseg.cli import app
from tp_drseg.config import OperatingPoint
from tp_drseg.data.drawn import draw_lesions
from tp_drseg.model import TPDRSeg

SIDE = 128
WIDTH = 80


def tp_drseg(*line: object) -> Any:
    return CliRunner().invoke(app, ["evaluate", *(str(word) for word in line)])


@pytest.fixture
def model(make_model: Callable[..., TPDRSeg], loader: Any) -> TPDRSeg:
    points = {
        "hard exudate": OperatingPoint(
            threshold=0.25, sensitivity=0.5, precision=0.5, chosen_on="a folder"
        )
    }
    model: TPDRSeg = make_model(operating_points=points)
    loader.model = model
    return model


@pytest.fixture
def data(tmp_path: Path, retina: NDArray[np.uint8]) -> Path:
    """Six annotated photographs in a plain folder."""
    root = tmp_path / "data"
    small = np.asarray(Image.fromarray(retina).resize((SIDE, SIDE)))
    y, x = np.mgrid[:SIDE, :SIDE]
    field = np.hypot(y - SIDE / 2, x - SIDE / 2) < 0.47 * SIDE
    (root / "images").mkdir(parents=True)
    (root / "masks" / "EX").mkdir(parents=True)
    for seed in range(6):
        image, masks = draw_lesions(small, field, seed=seed, counts={"hard exudate": 8})
        Image.fromarray(image).save(root / "images" / f"eye{seed}.png")
        Image.fromarray(masks["hard exudate"]).save(root / "masks" / "EX" / f"eye{seed}.png")
    return root


@pytest.fixture
def clean(tmp_path: Path, retina: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "clean"
    folder.mkdir()
    Image.fromarray(retina).resize((SIDE, SIDE)).save(folder / "healthy.png")
    return folder


def test_everything(model: TPDRSeg, data: Path, clean: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out, report = tmp_path / "new" / "figures.json", tmp_path / "new" / "report.html"
    result = tp_drseg(
        *("--data", data, "--format", "folder", "--lesion-free", clean, "--held-out"),
        *("--bootstrap", 20, "--json", out, "--report", report),
    )
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert figures["photographs"] == ["eye0", "eye5"]  # every fifth
    assert figures["lesion_free"] == ["healthy"]
    assert set(figures["scores"]) == {"own", "held_out"}
    (row,) = (r for r in figures["scores"]["own"]["lesions"] if r["lesion"] == "hard exudate")
    assert row["thresholds"] == [0.25] and row["lesion_free"]["photographs"] == 1
    assert row["froc"] and figures["scores"]["own"]["bootstrap"]["draws"] == 20
    for name in ("average_precision", "pooled_iou", "dice_per_image"):
        low, high = row["intervals"][name]
        assert f"{row[name]:.3f}" in result.stdout
        assert f"{low:.2f}-{high:.2f}" in result.stdout
    for title, text in figures["conventions"].items():
        assert f"{title}: {text}" in result.stdout
    assert "2 photographs, own descriptions" in result.stdout
    assert "2 photographs, held-out descriptions" in result.stdout
    assert "chosen on a folder" in result.stdout
    assert report.read_text().startswith("<!DOCTYPE html>")
    assert "2 photographs of folder (validation)" in report.read_text()
    tables = result.stdout.split("\nPixels: ")[0].splitlines()
    assert max(len(line) for line in tables if "Operating points" not in line) <= WIDTH


def test_parts(model: TPDRSeg, data: Path, tmp_path: Path) -> None:
    result = tp_drseg("--data", data, "--format", "folder", "--part", "all", "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert "6 photographs, own descriptions" in result.stdout
    assert "held-out" not in result.stdout


@pytest.mark.parametrize(("split", "scored"), [(None, 1), ("train", 1), ("test", 2)])
def test_splits(split: str | None, scored: int, model: TPDRSeg, data: Path, tmp_path: Path) -> None:
    """TJDR's: a test set is scored as a whole, of a training set what training leaves out."""
    for name in ("train", "test"):
        for kind in ("image", "annotation"):
            (tmp_path / "tjdr" / name / kind).mkdir(parents=True)
        for seed in range(2):
            image = Image.open(data / "images" / f"eye{seed}.png")
            image.save(tmp_path / "tjdr" / name / "image" / f"{seed}.png")
            mask = Image.open(data / "masks" / "EX" / f"eye{seed}.png").convert("L")
            labels = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8), "P")
            labels.putpalette([0, 0, 0, 255, 255, 255])
            labels.save(tmp_path / "tjdr" / name / "annotation" / f"{seed}.png")
    out = tmp_path / "figures.json"
    line = ["--data", tmp_path / "tjdr", "--format", "tjdr", "--bootstrap", 0, "--json", out]
    result = tp_drseg(*line, *(["--split", split] if split else []))
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert len(figures["photographs"]) == scored
    assert f"split {split or 'train'}" in figures["data"]


WRONG = [
    ("--format csv", "csv"),
    ("--format folder --split test", "no splits"),
    ("--format ddr --split val", "valid"),
    ("--format folder --report REPORT.pdf", ".html"),
    ("--format folder --report FILE/report.html", "not a folder"),
    ("--format folder --json FOLDER", "folder"),
    ("--format folder --lesion-free MISSING", "MISSING"),
    ("--format folder --bootstrap -1", "--bootstrap"),
    ("--format folder --data MISSING", "MISSING"),
]


@pytest.mark.parametrize(("line", "words"), WRONG)
def test_wrong_use(line: str, words: str, tmp_path: Path, data: Path, loader: Any) -> None:
    (tmp_path / "FILE").touch()
    (tmp_path / "FOLDER").mkdir()
    places = {word: str(tmp_path / word) for word in line.split() if word.isupper() or "/" in word}
    places["REPORT.pdf"] = str(tmp_path / "REPORT.pdf")
    result = tp_drseg("--data", data, *(places.get(word, word) for word in line.split()))
    assert result.exit_code == 2, result.output
    assert words in result.stderr and "Traceback" not in result.output
    assert loader.calls == []  # before the model is loaded


def test_without_the_report_extra(
    data: Path, tmp_path: Path, loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tp_drseg._runtime.extras.find_spec", lambda name: None)
    line = ["--data", data, "--format", "folder", "--report", tmp_path / "report.html"]
    result = tp_drseg(*line)
    assert result.exit_code == 2 and "tp-drseg[report]" in result.stderr
    assert loader.calls == []
