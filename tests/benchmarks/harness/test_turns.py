from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.harness.turns import take_turns, with_range


class Told:
    """In the place of a worker: tells who was asked what."""

    def __init__(self, name: str, heard: list[tuple[str, str, int]]) -> None:
        self.name, self.heard = name, heard

    def seconds(self, path: Path, lesions: list[str]) -> float:
        self.heard.append((self.name, path.name, len(lesions)))
        return float(len(self.heard))


def test_ways_take_turns_after_one_that_does_not_count() -> None:
    heard: list[tuple[str, str, int]] = []
    ways: dict[str, Any] = {name: Told(name, heard) for name in ("a", "b")}
    found = take_turns(ways, [Path("x"), Path("y")], [["MA"], ["MA", "HE"]], runs=2)
    assert heard[:2] == [("a", "x", 1), ("b", "x", 1)]
    assert [name for name, _, _ in heard[2:]] == ["a", "b", "b", "a"] * 4
    assert [photograph for _, photograph, _ in heard[2:]] == ["x"] * 8 + ["y"] * 8
    assert [count for _, _, count in heard[2:]] == [1, 1, 1, 1, 2, 2, 2, 2] * 2
    assert [{name: len(taken) for name, taken in group.items()} for group in found] == [
        {"a": 4, "b": 4}
    ] * 2
    assert found[0]["a"] == [3.0, 6.0, 11.0, 14.0]


def test_medians_stand_beside_their_range() -> None:
    assert with_range({"ours": [3.0, 1.0, 8.0]}) == {"ours": 3.0, "ours_range": [1.0, 8.0]}
