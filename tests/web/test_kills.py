"""A few of the kills of `python -m benchmarks.reliability kill_review`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_killed_server_loses_the_last_stroke_at_most(tmp_path: Path) -> None:
    line = ["benchmarks.reliability", "kill_review", "--count", "4", "--work", tmp_path / "work"]
    done = subprocess.run(
        [sys.executable, "-m", *map(str, line)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["killed"] == 4 and not found["wrong"]
