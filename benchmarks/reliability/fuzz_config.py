"""Mutated configurations: a checkpoint's, a training run's, a file of lesions."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml

from benchmarks.reliability.crew import Case, tally, try_all
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.hard_texts import hard_json, hard_yaml
from benchmarks.reliability.mutate import cut, flip_bits
from benchmarks.reliability.mutate_tree import Tree, mutate_tree
from tp_drseg.checkpoints.store import read_config
from tp_drseg.lesions.lesion_file import read_lesions
from tp_drseg.training.run_config import read_run, recipe

LIMIT_MB = 1024
_PIECES = (
    *(b"[", b"{", b"&a ", b"*a", b"!!int ", b"!!timestamp ", b"%", b"\t", b"\n- ", b"? ", b": "),
    *(b"|", b"\0", b"9" * 40, b"0x", b"NaN", b"-", b'"', b"'", b"<<: ", b"2001-1-1", b"#"),
)


@dataclass(frozen=True)
class _Kind:
    """A kind of file, a valid one of it, its reader, and what is hard to read."""

    name: str
    tree: Tree
    load: Callable[[Path], object]
    hard: list[bytes]

    @property
    def is_json(self) -> bool:
        return self.name.endswith(".json")


def fuzz_config(work: Path, count: int, seed: int) -> Findings:
    """Load so many mutated files, those written by hand among them."""
    kinds = _kinds()
    by_hand = [Case(f"{k.name}, by hand", data, k.name) for k in kinds for data in k.hard]

    def make(number: int) -> Case:
        if number < len(by_hand):
            return by_hand[number]
        rng, kind = random.Random(f"{seed} {number}"), kinds[number % len(kinds)]
        if rng.random() < 0.75:
            tree = kind.tree
            for _ in range(rng.choice([1, 1, 1, 2, 4])):
                tree = mutate_tree(tree, rng)
            return Case(f"{kind.name}, a value", _written(tree, kind, rng), kind.name)
        data = _written(kind.tree, kind, rng)
        for _ in range(rng.choice([1, 2, 5])):
            data = _mutate_text(data, rng)
        return Case(f"{kind.name}, bytes", data or b" ", kind.name)

    loaders = {kind.name: kind.load for kind in kinds}

    def test(case: Case) -> None:
        path = work / f"{os.getpid()}-{case.reader}"
        path.write_bytes(case.data)
        loaders[case.reader](path)

    for kind in kinds:
        test(Case("valid", _written(kind.tree, kind, random.Random(0)), kind.name))
    found = tally(try_all(max(count, len(by_hand)), make, test), LIMIT_MB)
    found.figures["by_hand"] = len(by_hand)
    return found


def _kinds() -> list[_Kind]:
    weights = resources.files("tp_drseg") / "weights"
    run = yaml.safe_load(recipe("tiny").read_text(encoding="utf-8"))
    run["data"] = {"root": "x"} | (run.get("data") or {})
    lesions: Tree = {
        "sources": {"a": "A. Author 2024"},
        "lesions": [
            {
                "name": "drusen",
                "abbreviation": "DR",
                "aliases": ["druse"],
                "descriptions": ["yellow dots", {"text": "pale spots", "source": "a"}],
            },
            {
                "name": "venous beading",
                "abbreviation": "VB",
                "descriptions": "a vein like a string of beads",
                "held_out_descriptions": [{"text": "a knotted vein"}],
            },
        ],
    }
    config: Tree = json.loads((weights / "config.json").read_text(encoding="utf-8"))
    return [
        _Kind("config.json", config, read_config, hard_json()),
        _Kind("run.yaml", run, read_run, hard_yaml("data")),
        _Kind("lesions.yaml", lesions, read_lesions, hard_yaml("lesions")),
    ]


def _written(tree: Tree, kind: _Kind, rng: random.Random) -> bytes:
    as_json = kind.is_json or rng.random() < 0.3  # JSON is YAML too
    text = json.dumps(tree) if as_json else yaml.safe_dump(tree, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


def _mutate_text(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) or 1)
    what = rng.choice(["bits", "drop", "insert", "insert", "cut"])
    if what == "bits":
        return flip_bits(data, rng, 1)
    if what == "drop":
        return data[:at] + data[at + rng.randrange(1, 30) :]
    if what == "insert":
        return data[:at] + rng.choice(_PIECES) + data[at:]
    return cut(data, rng)
