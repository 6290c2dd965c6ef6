from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tp_drseg import __version__
from tp_drseg.cli import _model, app
from tp_drseg.cli._options import Device, Dtype
from tp_drseg.lesions import LesionCatalog


def tp_drseg(*line: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in line])


def test_segment(photos: Path, tmp_path: Path, loader: Any) -> None:
    out = tmp_path / "out"
    result = tp_drseg("segment", photos, "--out", out)
    assert result.exit_code == 0, result.output
    assert loader.calls == [(None, None, Device.auto, Dtype.auto)]
    assert len(list(out.glob("*.mask.png"))) == 2 * 4
    assert len(list(out.glob("*.overlay.jpg"))) == 2 * 5
    with (out / "lesions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * 4
    for name in LesionCatalog.default().names:
        assert name in result.stdout
    assert "2 of 2" in result.stdout
    assert "2 done, 0 done before, 0 failed" in result.stdout
    assert "2/2" in result.stderr  # the progress bar

    again = tp_drseg("segment", photos, "--out", out)
    assert "0 done, 2 done before, 0 failed" in again.stdout
    assert len(loader.model.asked) == 2
    tp_drseg("segment", photos, "--out", out, "--overwrite")
    assert len(loader.model.asked) == 4


def test_options_reach_the_model(photos: Path, tmp_path: Path, loader: Any) -> None:
    line = ["segment", photos / "a.png", "--out", tmp_path / "out", "--lesion", "exudates"]
    line += ["--description", "dots", "--description", "spots", "--threshold", "0.9"]
    line += ["--model", "org/name", "--revision", "v1", "--device", "cpu", "--no-overlay"]
    line += ["--dtype", "float32"]
    result = tp_drseg(*line)
    assert result.exit_code == 0, result.output
    assert loader.calls == [("org/name", "v1", Device.cpu, Dtype.float32)]
    assert loader.model.asked == [
        {"lesion": "hard exudate", "description": ["dots", "spots"], "threshold": 0.9}
    ]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {".tp-drseg", "a.png.EX.mask.png", "lesions.csv", "run.json"}


def test_recursive(photos: Path, tmp_path: Path) -> None:
    assert tp_drseg("segment", tmp_path, "--out", tmp_path / "out").exit_code == 2
    assert tp_drseg("segment", tmp_path, "--out", tmp_path / "out", "--recursive").exit_code == 0
    assert len(list((tmp_path / "out" / "in").glob("*.mask.png"))) == 8


def test_quiet(photos: Path, tmp_path: Path) -> None:
    result = tp_drseg("segment", photos, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 0
    assert result.output == ""


@pytest.mark.parametrize(
    ("flag", "shown"), [("--verbose", True), ("--debug", True), ("--no-overlay", False)]
)
def test_log_lines(photos: Path, tmp_path: Path, flag: str, shown: bool) -> None:
    (photos / "bad.jpg").write_text("no image")
    line = ["segment", photos, "--out", tmp_path / "out"]
    result = tp_drseg(*line, flag)
    assert ("INFO: a.png: done in" in result.stderr) == shown
    assert "WARNING: bad.jpg failed: " in result.stderr
    assert ("Traceback" in result.stderr) == (flag == "--debug")
    if shown:
        before = tp_drseg(flag, *line, "--overwrite")
        assert "INFO: a.png: done in" in before.stderr


@pytest.mark.parametrize("quiet", [False, True])
def test_a_bad_file_among_good_ones(photos: Path, tmp_path: Path, quiet: bool) -> None:
    (photos / "bad.jpg").write_text("no image")
    line = ["segment", photos, "--out", tmp_path / "out", *(["--quiet"] if quiet else [])]
    result = tp_drseg(*line)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "Error: 1 of 3 images failed" in result.stderr
    assert "bad.jpg" in result.stderr
    assert len(list((tmp_path / "out").glob("*.mask.png"))) == 8


def test_ctrl_c_and_going_on(photos: Path, tmp_path: Path, loader: Any) -> None:
    def act(path: Path) -> None:
        if path.name == "b.png":
            raise KeyboardInterrupt

    loader.model.act = act
    result = tp_drseg("segment", photos, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "Stopped." in result.stderr
    assert "Traceback" not in result.output
    loader.model.act = lambda path: None
    assert "1 done, 1 done before" in tp_drseg("segment", photos, "--out", tmp_path / "out").stdout


def test_sigterm_is_taken_as_ctrl_c(photos: Path, tmp_path: Path, loader: Any) -> None:
    before = signal.getsignal(signal.SIGTERM)
    loader.model.act = lambda path: signal.raise_signal(signal.SIGTERM)
    result = tp_drseg("segment", photos, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "stopped"
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_while_the_model_loads(photos: Path, tmp_path: Path, loader: Any) -> None:
    loader.error = KeyboardInterrupt()
    result = tp_drseg("segment", photos, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr == "Stopped.\n"


def test_a_full_disk(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    result = tp_drseg("segment", photos, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert "disk is full" in result.stderr
    assert "Traceback" not in result.output


def test_explain(photos: Path, tmp_path: Path, loader: Any) -> None:
    result = tp_drseg("explain", photos / "a.png", "red squares", "--out", tmp_path / "heat.png")
    assert result.exit_code == 0, result.output
    assert loader.model.asked == [{"text": "red squares"}]
    with Image.open(tmp_path / "heat.png") as heat:
        assert (heat.mode, heat.size) == ("RGB", (48, 40))
        inside, outside = heat.getpixel((15, 15)), heat.getpixel((40, 30))
        assert sum(inside) > sum(outside)


def test_explain_raw(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "prior.png"
    assert tp_drseg("explain", photos / "a.png", "squares", "--out", out, "--raw").exit_code == 0
    with Image.open(out) as prior:
        assert prior.mode == "L"
        assert np.asarray(prior)[15, 15] == 200
        assert np.asarray(prior).sum() == 100 * 200


def test_lesions(loader: Any) -> None:
    result = tp_drseg("lesions")
    assert result.exit_code == 0
    for lesion in LesionCatalog.default():
        assert lesion.name in result.stdout
        assert lesion.abbreviation in result.stdout
        assert lesion.texts[0].split()[0] in result.stdout
    assert loader.calls == []
    tp_drseg("lesions", "--model", "org/name")
    assert loader.calls == [("org/name", None, Device.cpu)]


def test_lesions_as_json() -> None:
    entries = json.loads(tp_drseg("lesions", "--json").stdout)
    assert [entry["name"] for entry in entries] == list(LesionCatalog.default().names)
    assert entries[2]["abbreviation"] == "EX"
    assert "exudate" in entries[2]["aliases"]
    first = LesionCatalog.default()["EX"].descriptions[0]
    assert entries[2]["descriptions"][0] == {"text": first.text, "source": first.source}


def test_version_and_help() -> None:
    assert tp_drseg("--version").stdout == f"tp-drseg {__version__}\n"
    for line in (["-h"], ["--help"], ["segment", "-h"], ["explain", "--help"], ["lesions", "-h"]):
        result = tp_drseg(*line)
        assert result.exit_code == 0
        assert "Usage: " in result.stdout


WITHOUT_TORCH = """
import sys
from typer.testing import CliRunner
from tp_drseg.cli import app
for line in (["-h"], ["segment", "-h"], ["--version"], ["lesions"],
             ["segment", "missing", "--out", "out"], ["segment", ".", "--out", "out"]):
    CliRunner().invoke(app, line)
print([name for name in ("torch", "open_clip", "timm") if name in sys.modules])
"""


def test_help_the_catalog_and_wrong_use_do_not_import_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout == "[]\n"


def test_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tp_drseg", "segment", "missing", "--out", "out"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 2
    assert done.stderr == "Error: no such file or folder: missing\n"
    assert done.stdout == ""


def test_the_choice_of_hardware_reaches_the_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    from tp_drseg import TPDRSeg

    monkeypatch.undo()  # the real loader
    asked: list[dict[str, Any]] = []

    def from_pretrained(model_id: str | None, **options: Any) -> None:
        asked.append({"model_id": model_id, **options})

    monkeypatch.setattr(TPDRSeg, "from_pretrained", from_pretrained)
    _model.load_model("org/name", "v1", Device.cuda, Dtype.bfloat16)
    _model.load_model(None, None, Device.cpu)
    assert asked == [
        {"model_id": "org/name", "revision": "v1", "device": "cuda", "dtype": "bfloat16"},
        {"model_id": None, "revision": None, "device": "cpu", "dtype": "auto"},
    ]


@pytest.mark.parametrize("command", ["segment", "explain", "evaluate"])
def test_commands_that_take_a_type(command: str) -> None:
    result = tp_drseg(command, "--help")
    assert "--dtype" in result.stdout and "bfloat16" in result.stdout
