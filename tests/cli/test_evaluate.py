"""`tp-drseg evaluate`, with a small model on drawn lesions."""

from __future__ import annotations

import csv
import hashlib
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
from tp_drseg.config import LearnedPhotograph, OperatingPoint, Provenance
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


def teach(model: TPDRSeg, *photographs: Path) -> None:
    """Make a model one that has learned from photographs."""
    learned = tuple(
        LearnedPhotograph(name=path.stem, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        for path in photographs
    )
    model.config = model.config.replace(provenance=Provenance(photographs=learned))


def test_everything(model: TPDRSeg, data: Path, clean: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    teach(model, *(data / "images" / f"eye{n}.png" for n in range(4)))
    new = tmp_path / "new"
    out, table, report, draws = (
        new / name for name in ("figures.json", "eyes.csv", "report.html", "draws.safetensors")
    )
    result = tp_drseg(
        *("--data", data, "--format", "folder", "--lesion-free", clean, "--held-out-descriptions"),
        *("--bootstrap", 20, "--json", out, "--csv", table, "--report", report, "--draws", draws),
    )
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in new.iterdir()) == sorted(
        path.name for path in (out, table, report, draws)
    )
    figures = json.loads(out.read_text())
    assert figures["photographs"] == ["eye4", "eye5"]
    assert figures["left_out"] == ["eye0", "eye1", "eye2", "eye3"]
    assert figures["held_out"] == "held out"
    assert "Held out: the model has learned from none" in result.stdout
    assert (
        "Left out, as the model has learned from them: 4 (eye0, eye1, eye2, eye3)." in result.stdout
    )
    assert figures["lesion_free"] == ["healthy"]
    assert set(figures["scores"]) == {"own", "held_out"}
    (row,) = (r for r in figures["scores"]["own"]["lesions"] if r["lesion"] == "hard exudate")
    assert row["thresholds"] == [0.25] and row["lesion_free"]["photographs"] == 1
    assert row["froc"] and figures["scores"]["own"]["bootstrap"]["draws"] == 20
    low, high = row["average_precision_bounds"]
    assert low <= row["average_precision"] <= high
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
    assert "2 photographs of folder, held out" in report.read_text()
    tables = result.stdout.split("\nPixels: ")[0].splitlines()
    told = ("Operating points", "Left out")
    wide = [x for x in tables if len(x) > WIDTH and not x.startswith(told)]
    assert not wide
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 and {row["photograph"] for row in rows} == {"eye4", "eye5"}
    for line in rows:
        if line["descriptions"] == "own":
            (same,) = (r for r in row["per_photograph"] if r["photograph"] == line["photograph"])
            assert int(line["true_positives"]) == same["true_positives"]
            assert int(line["detections"]) == same["regions"]["detections"]


def test_learned_photographs_are_scored_on_request(
    model: TPDRSeg, data: Path, tmp_path: Path
) -> None:
    teach(model, data / "images" / "eye0.png")
    out = tmp_path / "figures.json"
    line = ("--data", data, "--format", "folder", "--bootstrap", 0, "--json", out)
    result = tp_drseg(*line, "--include-learned")
    assert result.exit_code == 0, result.output
    assert "6 photographs, own descriptions" in result.stdout
    assert "Not held out: " in result.stdout
    assert "Pixels, pooled (not held out)" in result.stdout
    figures = json.loads(out.read_text())
    assert figures["held_out"] == "not held out" and "not held out" in figures["data"]
    assert tp_drseg(*line).exit_code == 0
    assert json.loads(out.read_text())["photographs"] == [f"eye{n}" for n in range(1, 6)]


def test_a_model_that_does_not_say_what_it_learned_from(model: TPDRSeg, data: Path) -> None:
    result = tp_drseg("--data", data, "--format", "folder", "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert "6 photographs, own descriptions" in result.stdout
    assert "Unknown whether held out: " in result.stdout
    assert "Pixels, pooled (unknown whether held out)" in result.stdout
    assert "held-out descriptions" not in result.stdout


def test_nothing_is_left_to_score(model: TPDRSeg, data: Path) -> None:
    teach(model, *(data / "images").iterdir())
    result = tp_drseg("--data", data, "--format", "folder")
    assert result.exit_code == 2
    assert "learned from 6 of the photographs" in result.stderr


def test_the_first_few(model: TPDRSeg, data: Path, tmp_path: Path) -> None:
    """Of those that are scored, not of those that are left out."""
    teach(model, data / "images" / "eye0.png", data / "images" / "eye2.png")
    out = tmp_path / "figures.json"
    line = ("--data", data, "--format", "folder", "--bootstrap", 0, "--json", out)
    result = tp_drseg(*line, "--limit", 2)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert figures["photographs"] == ["eye1", "eye3"]
    assert figures["left_out"] == ["eye0", "eye2"]
    assert "the first 2 by name" in figures["data"]


def test_progress_is_shown_on_stderr(model: TPDRSeg, data: Path) -> None:
    line = ("--data", data, "--format", "folder", "--bootstrap", 0)
    result = tp_drseg(*line, "--limit", 2)
    assert result.exit_code == 0, result.output
    assert "2/2" in result.stderr and "photograph" in result.stderr
    assert "2/2" not in result.stdout
    assert tp_drseg(*line, "--limit", 2, "--quiet").stderr == ""


def test_two_models_are_compared(
    model: TPDRSeg, data: Path, tmp_path: Path, stir: Callable[[Any], Any]
) -> None:
    draws = tmp_path / "first.safetensors"
    line = ("--data", data, "--format", "folder", "--bootstrap", 20, "--quiet")
    assert tp_drseg(*line, "--draws", draws).exit_code == 0
    same = tp_drseg(*line, "--against", draws)
    assert same.exit_code == 0, same.output
    assert "+0.000 to +0.000" in same.stdout
    stir(model.network)
    other = tp_drseg(*line, "--against", draws)
    assert other.exit_code == 0, other.output
    assert "against" in other.stdout and "+0.000 to +0.000" not in other.stdout
    fewer = tp_drseg(*line, "--against", draws, "--limit", 2)
    assert fewer.exit_code == 2 and "cannot be compared" in fewer.stderr


def test_all_pixels(model: TPDRSeg, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    line = ("--data", data, "--format", "folder", "--bootstrap", 0, "--limit", 1, "--json", out)
    counts = []
    for pixels in ("all", "field-of-view"):
        result = tp_drseg(*line, "--pixels", pixels)
        assert result.exit_code == 0, result.output
        figures = json.loads(out.read_text())
        assert figures["pixels"] == pixels
        assert figures["conventions"]["Pixels"] in result.stdout
        rows = figures["scores"]["own"]["lesions"]
        (row,) = (r for r in rows if r["lesion"] == "hard exudate")
        counts.append(row["per_photograph"][0]["pixels"])
    assert counts[0] == SIDE**2 > counts[1]


@pytest.mark.parametrize("split", [None, "train", "test"])
def test_splits(split: str | None, model: TPDRSeg, data: Path, tmp_path: Path) -> None:
    for name in ("train", "test"):
        for kind in ("image", "annotation"):
            (tmp_path / "tjdr" / name / kind).mkdir(parents=True)
        for seed in range(2):
            image = Image.open(data / "images" / f"eye{seed}.png")
            image.save(tmp_path / "tjdr" / name / "image" / f"{name}{seed}.png")
            mask = Image.open(data / "masks" / "EX" / f"eye{seed}.png").convert("L")
            labels = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8), "P")
            labels.putpalette([0, 0, 0, 255, 255, 255])
            labels.save(tmp_path / "tjdr" / name / "annotation" / f"{name}{seed}.png")
    out = tmp_path / "figures.json"
    line = ["--data", tmp_path / "tjdr", "--format", "tjdr", "--bootstrap", 0, "--json", out]
    result = tp_drseg(*line, *(["--split", split] if split else []))
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert figures["photographs"] == [f"{split or 'train'}{n}" for n in range(2)]
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
    ("--format folder --limit 0", "--limit"),
    ("--format folder --json SAME --csv SAME", "one name"),
    ("--format folder --against FILE", "FILE"),
    ("--format folder --pixels some", "field-of-view"),
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
