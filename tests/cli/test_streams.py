"""Commands whose standard streams are closed, narrow, or read by nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fake_model import photo

posix = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the stream")

COMMAND = """
import sys
from tests.support.fake_model import FakeModel
from tp_drseg.cli import _model, run
_model.load_model = lambda *_: FakeModel(doubt=lambda name: "odd \\u2603 \\U0001f441")
run()
"""


def tp_drseg(
    line: str, *, redirect: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with a model that takes no time to load."""
    return subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -c "$COMMAND" {line} {redirect}'],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "COMMAND": COMMAND,
            **variables,
        },
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("größe 眼.png", "a.png"):
        photo(tmp_path / "in" / name)
    return tmp_path / "in"


@posix
@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(photos: Path, redirect: str) -> None:
    out = photos.parent / "out"
    ran = tp_drseg(f"segment '{photos}' -o '{out}' --verbose", redirect=redirect)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr and "Error" not in ran.stderr
    assert len(list(out.glob("*.mask.png"))) == 8
    for path in (*out.glob("*.png"), *out.glob("*.csv")):
        assert b"done before" not in path.read_bytes()  # nothing was printed into a file
    for command in ("lesions", "-h"):
        ran = tp_drseg(command, redirect=redirect)
        assert (ran.returncode, ran.stderr) == (0, "")


@posix
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_streams_of_few_letters(photos: Path, encoding: str) -> None:
    out = photos.parent / "out"
    ran = tp_drseg(f"segment '{photos}' -o '{out}' -v", PYTHONIOENCODING=encoding)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr and "Logging error" not in ran.stderr
    assert "2 done" in ran.stdout
    if encoding == "cp1252":  # what calls itself ASCII gets UTF-8 from click
        assert "größe" not in ran.stdout and "\\u773c" in ran.stdout


@posix
def test_a_reader_that_has_gone(photos: Path) -> None:
    out = photos.parent / "out"
    ran = tp_drseg(f"segment '{photos}' -o '{out}'", redirect="2>&1 | true")
    assert ran.stderr == ""
    assert len(list(out.glob("*.mask.png"))) == 8
