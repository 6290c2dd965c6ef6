from __future__ import annotations

import errno
import os
import signal
import warnings
from pathlib import Path

import pytest

from tests.cli.conftest import Loader
from tests.support.command import tp_drseg
from tests.support.fake_model import photo
from tests.support.results import masks, run_log, table
from tp_drseg.cli._options import Device, Dtype
from tp_drseg.errors import FundusWarning
from tp_drseg.inference.request import Prompt
from tp_drseg.lesions import LesionCatalog


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_segment(photos: Path, out: Path, loader: Loader) -> None:
    result = tp_drseg("segment", photos, "-o", out)
    assert result.exit_code == 0, result.output
    assert loader.calls == [(None, None, Device.auto, Dtype.auto, False)]
    assert len(masks(out)) == 2 * 4
    assert len(list(out.glob("*.overlay.jpg"))) == 2 * 5
    assert len(table(out)) == 2 * 4
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


def test_options_reach_the_model(photos: Path, out: Path, loader: Loader) -> None:
    line = ["segment", photos / "a.png", "--out", out, "--lesion", "exudates"]
    line += ["--description", "dots", "--description", "spots", "--threshold", "0.9"]
    line += ["--model", "org/name", "--revision", "v1", "--device", "cpu", "--no-overlay"]
    line += ["--dtype", "float32"]
    result = tp_drseg(*line)
    assert result.exit_code == 0, result.output
    assert loader.calls == [("org/name", "v1", Device.cpu, Dtype.float32, False)]
    assert loader.model.asked == [(Prompt("hard exudate", ("dots", "spots"), threshold=0.9),)]
    assert masks(out) == ["a.png.EX.mask.png"]
    assert not list(out.glob("*.jpg"))


def test_the_most_pixels_of_a_photograph(photos: Path, out: Path) -> None:
    refused = tp_drseg("segment", photos, "-o", out, "--max-pixels", 48 * 40 - 1)
    assert refused.exit_code == 1
    assert "more than 1919 pixels" in refused.stderr
    assert tp_drseg("segment", photos, "-o", out, "--max-pixels", 48 * 40).exit_code == 0
    assert tp_drseg("segment", photos, "-o", out, "--max-pixels", 0).exit_code == 2


def test_thresholds(photos: Path, out: Path, loader: Loader) -> None:
    line = ["segment", photos, "-o", out, "--threshold", "MA=0.2", "--threshold", "0.3"]
    assert tp_drseg(*line, "--threshold", "exudates=0.4").exit_code == 0
    asked = {prompt.lesion: prompt.threshold for prompt in loader.model.asked[0]}  # type: ignore[union-attr]
    assert asked == {
        "microaneurysm": 0.2,
        "haemorrhage": 0.3,
        "hard exudate": 0.4,
        "soft exudate": 0.3,
    }


def test_recursive(photos: Path, tmp_path: Path, out: Path) -> None:
    assert tp_drseg("segment", tmp_path, "--out", out).exit_code == 2
    assert tp_drseg("segment", tmp_path, "--out", out, "-r").exit_code == 0
    assert len(list((out / "in").glob("*.mask.png"))) == 8


def test_a_limit(photos: Path, out: Path) -> None:
    assert "1 done" in tp_drseg("segment", photos, "-o", out, "--limit", "1").stdout
    assert len(masks(out)) == 4


def test_a_dry_run_writes_nothing(photos: Path, out: Path, loader: Loader) -> None:
    (photos / "notes.txt").touch()
    line = ["segment", photos, "-o", out, "--dry-run"]
    result = tp_drseg(*line)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "a.png",
        "b.png",
        f"2 photographs would be segmented into {out}.",
        "Passed over: 1 no image (.txt)",
    ]
    assert not out.exists()
    assert loader.calls == []
    tp_drseg("segment", photos / "b.png", "-o", out)
    before = sorted(out.rglob("*"))
    first, second, *_ = tp_drseg(*line).stdout.splitlines()
    assert first == "a.png"
    assert second.startswith("b.png  (has results")
    assert sorted(out.rglob("*")) == before


@pytest.mark.filterwarnings("default")  # they are what is asked about
def test_quiet(photos: Path, out: Path, loader: Loader) -> None:
    (photos / "notes.txt").touch()
    loader.model.doubt = lambda name: "it looks odd"
    loader.model.act = lambda name: warnings.warn("deprecated", FutureWarning, stacklevel=1)
    result = tp_drseg("segment", photos, "--out", out, "--quiet")
    assert result.exit_code == 0
    assert result.output == ""


def test_what_is_passed_over_is_counted(photos: Path, out: Path) -> None:
    for name in ("a.txt", "b.txt", "c.dcm"):
        (photos / name).touch()
    result = tp_drseg("segment", photos, "-o", out)
    line = "Passed over: 2 no image (.txt), 1 no image (.dcm) (run.json names them)"
    assert line in result.stdout.splitlines()
    assert len(run_log(out)["passed_over"]) == 3


def test_a_doubt_is_shown_again_and_not_counted_as_data(
    photos: Path, out: Path, loader: Loader
) -> None:
    loader.model.doubt = lambda name: "it looks odd" if name == "a.png" else None
    for _ in range(2):
        result = tp_drseg("segment", photos, "-o", out)
        assert result.exit_code == 0
        assert result.stderr.count("a.png: it looks odd") == 1
        assert "In doubt, and not counted above: 1" in result.stdout
        assert "  a.png: it looks odd" in result.stdout.splitlines()
        assert "1 of 1" in result.stdout


@pytest.mark.filterwarnings("default")  # they are what is asked about
def test_warnings_are_lines(photos: Path, out: Path, loader: Loader) -> None:
    def act(name: str) -> None:
        warnings.warn("of another package", FutureWarning, stacklevel=1)
        warnings.warn(f"{name} is odd\nError: forged", FundusWarning, stacklevel=1)

    loader.model.act = act
    result = tp_drseg("segment", photos, "-o", out)
    assert "another package" not in result.stderr
    for name in ("a.png", "b.png"):
        assert f"WARNING: {name} is odd Error: forged" in result.stderr
    debug = tp_drseg("segment", photos, "-o", out, "--overwrite", "--debug")
    assert "of another package" in debug.stderr


@pytest.mark.parametrize(
    ("flag", "shown"), [("--verbose", True), ("--debug", True), ("--no-overlay", False)]
)
def test_log_lines(photos: Path, out: Path, flag: str, shown: bool) -> None:
    (photos / "bad.jpg").write_text("no image")
    line = ["segment", photos, "--out", out]
    result = tp_drseg(*line, flag)
    assert ("INFO: a.png: done in" in result.stderr) == shown
    assert "WARNING: bad.jpg failed: " in result.stderr
    assert ("Traceback" in result.stderr) == (flag == "--debug")
    if shown:
        before = tp_drseg(flag, *line, "--overwrite")
        assert "INFO: a.png: done in" in before.stderr


@pytest.mark.parametrize("quiet", [False, True])
def test_a_bad_file_among_good_ones(photos: Path, out: Path, quiet: bool) -> None:
    (photos / "bad.jpg").write_text("no image")
    line = ["segment", photos, "--out", out, *(["--quiet"] if quiet else [])]
    result = tp_drseg(*line)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "Error: 1 of 3 images failed" in result.stderr
    assert "  bad.jpg: " in result.stderr
    assert len(masks(out)) == 8


def test_many_bad_files(photos: Path, out: Path) -> None:
    for number in range(13):
        (photos / f"bad{number:02}.jpg").write_text("no image")
    result = tp_drseg("segment", photos, "--out", out, "-q")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("Error: 13 of 15 images failed")
    assert [line.split(":")[0].strip() for line in lines[1:11]] == [
        f"bad{number:02}.jpg" for number in range(10)
    ]
    assert lines[11:] == ["  and 3 more"]
    assert sum(row["status"] == "failed" for row in table(out, "photographs.csv")) == 13


def test_failures_that_are_allowed(photos: Path, out: Path) -> None:
    (photos / "bad.jpg").write_text("no image")
    line = ["segment", photos, "--out", out, "--allow-failures"]
    result = tp_drseg(*line)
    assert result.exit_code == 0
    assert "Note: 1 of 3 images failed" in result.stderr
    assert tp_drseg(*line, "--quiet").output == ""
    for name in ("a.png", "b.png"):
        (photos / name).write_text("no image")
    assert tp_drseg(*line).exit_code == 1  # all of them


def test_ctrl_c_and_going_on(photos: Path, out: Path, loader: Loader) -> None:
    def act(name: str) -> None:
        if name == "b.png":
            raise KeyboardInterrupt

    loader.model.act = act
    result = tp_drseg("segment", photos, "--out", out)
    assert result.exit_code == 130
    assert "Stopped." in result.stderr
    assert "Traceback" not in result.output
    loader.model.act = lambda name: None
    assert "1 done, 1 done before" in tp_drseg("segment", photos, "--out", out).stdout


def test_sigterm_is_taken_as_ctrl_c(photos: Path, out: Path, loader: Loader) -> None:
    before = signal.getsignal(signal.SIGTERM)
    loader.model.act = lambda name: signal.raise_signal(signal.SIGTERM)
    result = tp_drseg("segment", photos, "--out", out)
    assert result.exit_code == 130
    assert run_log(out)["status"] == "stopped"
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_while_the_model_loads(photos: Path, out: Path, loader: Loader) -> None:
    loader.error = KeyboardInterrupt()
    result = tp_drseg("segment", photos, "--out", out)
    assert result.exit_code == 130
    assert result.stderr == "Stopped.\n"


def test_a_full_disk(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    result = tp_drseg("segment", photos, "--out", out)
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert "disk is full" in result.stderr
    assert "Traceback" not in result.output


def test_names_are_shown_and_not_interpreted(tmp_path: Path, out: Path) -> None:
    photo(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "x\x1b]0;evil\x07\nError: forged.jpg").write_bytes(b"no image")
    for flags in ([], ["--verbose"], ["--dry-run"]):
        result = tp_drseg("segment", tmp_path / "in", "-o", out, *flags)
        assert "\x1b]" not in result.output
        assert not any(line.startswith("Error: forged") for line in result.output.splitlines())
