"""Runs that are interrupted, killed, or lose their folder."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.fake_model import FakeModel, photo, run
from tests.support.results import masks, run_log, table
from tp_drseg.errors import OutputError

SLOW = """
import sys, time
from pathlib import Path
from tests.support.fake_model import FakeModel, run
run(Path(sys.argv[1]), Path(sys.argv[2]), FakeModel(lambda name: time.sleep(0.05)), overlays=True)
"""


def test_an_interrupted_run_goes_on(photos: Path, out: Path) -> None:
    def act(name: str) -> None:
        if name == "b.png":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(photos, out, FakeModel(act))
    assert run_log(out)["status"] == "stopped"
    assert [row["image"] for row in table(out)] == ["a.png"]
    again = run(photos, out)
    assert (again.skipped, again.done) == (("a.png",), ("b.png", "c.png"))
    assert len(table(out)) == 3


def test_a_killed_run_leaves_whole_files_and_the_next_one_completes_it(
    tmp_path: Path, out: Path
) -> None:
    for number in range(60):
        photo(tmp_path / "in" / f"{number:02}.png")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "in"), str(out)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    records = out / ".tp-drseg" / "images"
    try:
        deadline = time.monotonic() + 60
        while len(list(records.glob("*.json"))) < 3:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()
    finished = sum(json.loads(p.read_text())["is_complete"] for p in records.glob("*.json"))
    for path in (*out.glob("*.png"), *out.glob("*.jpg")):
        with Image.open(path) as picture:
            picture.load()
    if (out / "lesions.csv").exists():
        for row in table(out):
            assert row["max_probability"]  # the last column: no line is cut
        json.loads((out / "run.json").read_text())

    (out / ".tp-drseg-0123456789abcdef.tmp").write_bytes(b"half a file")
    (records / ".tp-drseg-0123456789abcdef.tmp").write_bytes(b"half a file")
    model = FakeModel()
    report = run(tmp_path / "in", out, model, overlays=True)
    assert 2 <= finished == len(report.skipped) < 60
    assert len(model.seen) == len(report.done) == 60 - finished
    assert len(masks(out)) == len(table(out)) == 60
    assert not list(out.rglob("*.tmp"))
    assert not list(out.rglob("*.kept*"))


@pytest.mark.parametrize("at", ["a.png", "c.png"])
@pytest.mark.parametrize("replaced", [False, True])
def test_an_output_folder_that_is_removed_is_an_error(
    photos: Path, out: Path, at: str, replaced: bool
) -> None:
    def act(name: str) -> None:
        if name == at:
            out.rename(out.with_name("gone"))
            if replaced:
                (out / ".tp-drseg" / "images").mkdir(parents=True)

    with pytest.raises(OutputError, match="removed or replaced"):
        run(photos, out, FakeModel(act))
    assert not (out / "run.json").exists()
    run(photos, out)
    assert masks(out) == [f"{name}.png.EX.mask.png" for name in "abc"]


def test_results_that_are_removed_meanwhile_have_failed(photos: Path, out: Path) -> None:
    def act(name: str) -> None:
        if name == "c.png":
            (out / "a.png.EX.mask.png").unlink()

    report = run(photos, out, FakeModel(act))
    assert report.done == ("b.png", "c.png")
    assert [failure.image for failure in report.failures] == ["a.png"]
    assert [row["image"] for row in table(out)] == ["b.png", "c.png"]
    assert run(photos, out).done == ("a.png",)


def test_a_table_that_is_locked_for_a_while(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace
    refused: list[Any] = []

    def locked(source: Any, target: Any) -> None:
        if Path(target).name == "lesions.csv" and not refused:
            refused.append(target)
            raise PermissionError(errno.EACCES, "It is being used by another process.")
        real(source, target)

    monkeypatch.setattr(os, "replace", locked)
    assert len(run(photos, out).done) == 3
    assert refused and len(table(out)) == 3


def test_a_locked_table_leaves_the_others_whole(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def locked(source: Any, target: Any) -> None:
        if Path(target).name == "lesions.csv":
            raise PermissionError(errno.EACCES, "It is being used by another process.")
        real(source, target)

    monkeypatch.setattr(os, "replace", locked)
    with pytest.raises(OutputError, match=r"lesions\.csv.*another program"):
        run(photos, out)
    assert len(table(out, "photographs.csv")) == 3
    assert run_log(out)["counts"]["done"] == 3
    monkeypatch.undo()
    assert len(run(photos, out).skipped) == 3
    assert len(table(out)) == 3


def test_a_picture_that_is_open_elsewhere_is_its_photographs_failure(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(photos, out)
    real = os.replace

    def locked(source: Any, target: Any) -> None:
        if Path(target).name == "b.png.EX.mask.png":
            raise PermissionError(errno.EACCES, "It is being used by another process.")
        real(source, target)

    monkeypatch.setattr(os, "replace", locked)
    report = run(photos, out, threshold=0.1)
    assert report.done == ("a.png", "c.png")
    assert "another program" in report.failures[0].message
    monkeypatch.undo()
    assert run(photos, out, threshold=0.1).done == ("b.png",)
