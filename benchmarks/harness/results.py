"""The file of results: one record for each thing that was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = ("section", "size", "frame", "dtype", "device", "threads")
"""What tells records apart; one that is measured again takes the place of the one before."""


def read_results(path: Path) -> list[dict[str, Any]]:
    """The records of a file, none when it is not there."""
    if not path.exists():
        return []
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return records


def add_result(path: Path, record: Mapping[str, Any]) -> None:
    """Adds a record, in the place of the same measurement's earlier one."""
    key = [record.get(name) for name in KEY]
    kept = [old for old in read_results(path) if [old.get(name) for name in KEY] != key]
    text = json.dumps([*kept, record], indent=1, ensure_ascii=False) + "\n"
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
