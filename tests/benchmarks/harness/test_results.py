from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.harness.results import add_result, read_results


def record(**changes: Any) -> dict[str, Any]:
    what = {"section": "session", "size": "tiny", "dtype": "auto", "device": "cpu", "threads": 2}
    return {**what, "date": "2024-01-02", "values": {"seconds": 1.5}, **changes}


def test_results_replace_those_of_the_same_measurement(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    assert read_results(path) == []
    add_result(path, record())
    add_result(path, record(dtype="float32"))
    add_result(path, record(date="2024-03-04"))
    assert [(r["dtype"], r["date"]) for r in read_results(path)] == [
        ("float32", "2024-01-02"), ("auto", "2024-03-04")
    ]  # fmt: skip
    assert json.loads(path.read_text(encoding="utf-8")) == read_results(path)
