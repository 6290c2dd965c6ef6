"""An output folder that somebody sent: what its records say must not be believed."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.reliability.child import in_child
from benchmarks.reliability.faults.ground import Ground, counts
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.mutate_tree import Tree, mutate_tree

Fields = dict[str, Tree]
_MUTATED = 60


def measure(ground: Ground, found: Findings) -> None:
    """Run into folders with poisoned records."""
    place = ground.work / "poisoned" / "deep"
    for name, fields in _fields(ground).items():
        _poisoned(ground, place, f"a record with {name}", _changed(fields), found)
    for number in range(_MUTATED):
        _poisoned(ground, place, f"a mutated record, {number}", partial(_mutated, ground), found)
    texts = {"deep": "[" * 100_000, "of digits": "1" * 5000, "empty": "", "a list": "[]"}
    for name, text in texts.items():
        _poisoned(ground, place, f"a record that is {name}", partial(_replaced, text), found)


def _replaced(text: str, record: Fields) -> str:
    return text


def _fields(ground: Ground) -> dict[str, Fields]:
    """What a record may say to write or delete elsewhere, or to stop a run."""
    absolute, digest = str(ground.work / "absolute" / "evil.jpg"), "0" * 64

    def files(*names: Tree) -> Fields:
        return {"files": [{"name": name, "size": 4, "sha256": digest} for name in names]}

    return {
        "an image above": {"image": "../../escaped/evil.jpg", "files": []},
        "an absolute image": {"image": absolute, "files": []},
        "an image on another drive": {"image": "C:\\evil.jpg", "files": []},
        "a file of the user's": files("notes.txt"),
        "a file above": files("../../keep.txt"),
        "a file through a link": files("link/keep.txt"),
        "an absolute file": files(str(ground.work / "keep.txt")),
        "a file with a NUL": files("a\0b"),
        "a file of 5,000 letters": files("a" * 5000),
        "a file that is the record folder": files(".tp-drseg/images"),
        "files that are a list of texts": {"files": ["a"]},
        "files that are a number": {"files": 3},
        "an image that is a number": {"image": 3},
        "an empty image": {"image": ""},
        "a source that is a list": {"source": [1]},
        "rows that are null": {"lesions": None},
        "a NaN": {"seconds": math.nan},
        "a lone surrogate": {"image": "\ud800"},
        "an escape code": {"image": "\x1b[2J.jpg", "doubts": ["\x1b[2J\nError: forged"]},
        "a formula": {"doubts": ["=1+1"]},
        "a million doubts": {"doubts": ["x"] * 1_000_000},
    }


def _changed(fields: Fields) -> Callable[[Fields], str]:
    return lambda record: json.dumps(record | fields)


def _mutated(ground: Ground, record: Fields) -> str:
    return json.dumps(mutate_tree(record, ground.rng))


def _poisoned(
    ground: Ground, place: Path, what: str, change: Callable[[Fields], str], found: Findings
) -> None:
    """The record is that of a photograph which is segmented, and that of one which is not."""
    shutil.rmtree(place.parent, ignore_errors=True)
    out, outside = place / "out", place / "outside"
    shutil.copytree(ground.work / "whole", out)
    outside.mkdir()
    for keep in (outside / "keep.txt", out / "notes.txt", place.parent / "keep.txt"):
        keep.write_text("x")
    (ground.work / "keep.txt").write_text("x")
    (out / "link").symlink_to(outside)
    record = next(
        path
        for path in sorted((out / ".tp-drseg" / "images").glob("*.json"))
        if json.loads(path.read_text())["image"] == "eye000.jpg"
    )
    text = change(json.loads(record.read_text()))
    for path in (record, record.with_name("0.json")):
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
    before = _elsewhere(ground.work)
    ended = in_child(partial(counts, ground.source, out), timeout=30)
    found.count("poisoned_records")
    found.check(ended.is_orderly, f"{what}: {ended.verdict}")
    after = _elsewhere(ground.work)
    found.check(before == after, f"{what}: outside, {sorted(before ^ after)[:3]} came or went")
    is_there = (out / "notes.txt").read_text() == "x" if (out / "notes.txt").exists() else False
    found.check(is_there, f"{what}: a file of the user's is gone")
    found.held(ended.peak_mb, 1024, what)


def _elsewhere(work: Path) -> set[str]:
    inside = work / "poisoned" / "deep" / "out"
    return {str(path) for path in work.rglob("*") if not path.is_relative_to(inside)}
