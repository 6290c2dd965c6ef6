"""Programs of other people, from Debian's packages; a test that needs one skips without it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip where one of the programs is not installed."""
    missing = [name for name in names if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def run(*line: str | Path, may_fail: bool = False) -> str:
    """Run a program; returns what it says on both streams."""
    result = subprocess.run(
        [str(part) for part in line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=60,
    )
    said = result.stdout.decode("utf-8", "replace")
    assert may_fail or result.returncode == 0, said
    return said
