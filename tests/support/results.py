"""What lies in the output folder of a run."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


def table(out: Path, name: str = "lesions.csv") -> list[dict[str, str]]:
    """The lines of a table."""
    with (out / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def masks(out: Path) -> list[str]:
    """Names of the masks."""
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.mask.png"))


def run_log(out: Path) -> Any:
    """What `run.json` says."""
    return json.loads((out / "run.json").read_text())


def state_of(out: Path) -> list[tuple[str, int]]:
    """Each picture, and when it was written."""
    pictures = (path for path in out.rglob("*") if path.suffix in {".png", ".jpg"})
    return sorted((str(path), path.stat().st_mtime_ns) for path in pictures)
