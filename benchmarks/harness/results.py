"""The file of results: one record for each thing that was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tp_drseg._runtime.files import write_json

Record = Mapping[str, Any]
"""What was measured, where and how, and the values: what JSON can hold."""

KEY = ("section", "size", "frame", "dtype", "device", "threads")
"""What tells records apart; one that is measured again takes the place of the one before."""


def read_results(path: Path) -> list[Record]:
    """Return the records of a file, none when it is not there."""
    if not path.exists():
        return []
    records: list[Record] = json.loads(path.read_text(encoding="utf-8"))
    return records


def add_result(path: Path, record: Record) -> None:
    """Add a record, in the place of the same measurement's earlier one."""
    key = [record.get(name) for name in KEY]
    kept = [old for old in read_results(path) if [old.get(name) for name in KEY] != key]
    write_json(path, [*kept, record])
