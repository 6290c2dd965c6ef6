"""Folder runs, after what users of other tools reported."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import pytest
from tqdm.std import tqdm

from tests.support.fake_model import FakeModel, photo, run
from tp_drseg.errors import OutputError
from tp_drseg.folder.photographs import find_images


@pytest.mark.xfail(strict=True, raises=TypeError, reason="run.json takes no NumPy numbers")
def test_a_threshold_from_numpy(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "eye.png")
    report = run(tmp_path / "in", tmp_path / "out", threshold=np.float32(0.25))
    assert report.done == ("eye.png",)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["threshold"] == 0.25


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("loops", ["a", "ab"])
@pytest.mark.xfail(strict=True, reason="a pattern follows links to folders")
def test_links_that_lead_back_are_walked_once(tmp_path: Path, loops: str) -> None:
    photo(tmp_path / "in" / "eye.png")
    for name in loops:
        (tmp_path / "in" / name).symlink_to(".")
    code = (
        "import sys; from pathlib import Path; from tp_drseg.folder.photographs import find_images;"
        "print([p.name for p in find_images(sys.argv[1], Path(sys.argv[2]))])"
    )
    command = [sys.executable, "-c", code, f"{tmp_path}/in/**/*.png", f"{tmp_path}/out"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=8, check=True)
    assert found.stdout.strip() == "['eye.png']"


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="only its own results are known")
def test_results_of_another_run_are_no_photographs(tmp_path: Path) -> None:
    photo(tmp_path / "in" / "eye.png")
    options = {"recursive": True, "overlays": True, "lesions": ["EX", "MA"]}
    run(tmp_path / "in", tmp_path / "in" / "results_a", **options)
    assert run(tmp_path / "in", tmp_path / "in" / "results_b", **options).done == ("eye.png",)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="names keep the pattern's ..")
def test_a_pattern_with_parents_stays_in_the_output_folder(tmp_path: Path) -> None:
    photo(tmp_path / "p" / "a" / "i.png")
    photo(tmp_path / "other" / "s.png")
    pattern, out = str(tmp_path / "p" / "*" / ".." / ".." / "other" / "*.png"), tmp_path / "x/out"
    done = run(pattern, out).done
    assert list(tmp_path.rglob("*.mask.png")) == list(out.rglob("*.mask.png"))
    assert run(pattern, out).skipped == done != ()


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="the bar writes to no stream")
def test_without_a_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "in" / "eye.png")
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(tqdm, "_lock", RLock())  # a bar that fails never lets its lock go
    try:
        done: Any = run(tmp_path / "in", tmp_path / "out", progress=True).done
    except AttributeError as error:
        done = error
    assert done == ("eye.png",)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="the run stops at the table")
def test_a_table_that_is_open_elsewhere_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        photo(tmp_path / "in" / f"{number}.png")
    run(tmp_path / "in" / "0.png", tmp_path / "out")
    replace = os.replace

    def locked(source: Any, target: Any) -> None:
        if Path(target).name == "lesions.csv":
            raise PermissionError(errno.EACCES, "It is being used by another process.", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", locked)
    model = FakeModel(lambda path: time.sleep(0.05))
    with pytest.raises(OutputError, match=r"lesions\.csv") as caught:
        run(tmp_path / "in", tmp_path / "out", model)
    assert len(model.seen) == 4
    assert "another program" in str(caught.value)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="the error's type is not told")
def test_a_failure_without_a_text_has_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: Path) -> None:
        raise MemoryError

    photo(tmp_path / "in" / "eye.png")
    with caplog.at_level(logging.WARNING, "tp_drseg"):
        report = run(tmp_path / "in", tmp_path / "out", FakeModel(fail))
    assert "MemoryError" in report.failures[0].message
    assert "MemoryError" in caplog.text


@pytest.mark.xfail(strict=True, reason="brackets are taken for a set of letters")
def test_a_pattern_below_a_folder_with_brackets(tmp_path: Path) -> None:
    photo(tmp_path / "data [2024]" / "eye.png")
    found = find_images(str(tmp_path / "data [2024]" / "*.png"), tmp_path / "out")
    assert [photograph.name for photograph in found] == ["eye.png"]
