from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tp_drseg.errors import OutputError, TrainingError
from tp_drseg.training.engine.run_folder import run_folder


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    left = [tmp_path / ".tp-drseg-0a.tmp", tmp_path / "best" / ".tp-drseg-1b.tmp"]
    kept = [tmp_path / "loss.csv", tmp_path / "best" / "config.json", tmp_path / ".other.tmp"]
    for path in (*left, *kept):
        path.write_text("x")
    with run_folder(tmp_path):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from tp_drseg.training.engine.run_folder import run_folder\n"
        "with run_folder(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdin is not None and other.stdout is not None
    try:
        assert other.stdout.readline() == "in\n"
        temporary = tmp_path / ".tp-drseg-2c.tmp"
        temporary.write_text("what the other is writing")
        with pytest.raises(TrainingError, match="Another run is writing"), run_folder(tmp_path):
            pass
        assert temporary.exists()
    finally:
        other.stdin.close()
        other.wait()
        other.stdout.close()
    with run_folder(tmp_path), run_folder(tmp_path):  # whoever holds it may enter again
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError), run_folder(tmp_path / "file"):
        pass
