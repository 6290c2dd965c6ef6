"""An output folder looked at from outside: is each file whole, is it as another run's?"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

_TIMES = re.compile(r"^(seconds|started|finished|updated)$")
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
_ENDINGS = {".jpg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}
LEFTOVER = ".tp-drseg-*.tmp"


def half_written(out: Path) -> list[str]:
    """Return what is wrong with files under their final names: cut, torn, not as recorded."""
    wrong = []
    for path in _files(out):
        try:
            _check(path, out)
        except (OSError, ValueError, KeyError, AssertionError, SyntaxError) as error:
            wrong.append(f"{path.relative_to(out)}: {error!r}")
    return wrong


def leftovers(out: Path) -> list[str]:
    """Return the hidden files that a killed run has left."""
    return sorted(str(path.relative_to(out)) for path in out.rglob(LEFTOVER))


def finished(out: Path) -> set[str]:
    """Return the photographs that a complete record says are done."""
    records = [json.loads(path.read_bytes()) for path in _records(out)]
    return {record["image"] for record in records if record["is_complete"]}


def content(out: Path) -> dict[str, str]:
    """Return a hash of each file by name, times left out, so that two runs can be compared."""
    return {str(path.relative_to(out)): _hash(path) for path in _files(out)}


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return the names of files that are not in both, or not the same."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _files(out: Path) -> Iterator[Path]:
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.name != "lock" and not path.match(LEFTOVER):
            yield path


def _records(out: Path) -> list[Path]:
    return sorted((out / ".tp-drseg" / "images").glob("*.json"))


def _check(path: Path, out: Path) -> None:
    data = path.read_bytes()
    if path.suffix in _ENDINGS:
        assert data.endswith(_ENDINGS[path.suffix]), "it has no end"
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    elif path.suffix == ".csv":
        assert data.endswith(b"\n"), "its last line is cut"
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
        assert len({len(row) for row in rows}) == 1, "its lines differ in length"
    elif path.suffix == ".html":
        assert data.rstrip().endswith(b"</html>"), "it has no end"
    elif path.suffix == ".json":
        value = json.loads(data)
        if path.parent == out / ".tp-drseg" / "images" and value["is_complete"]:
            for file in value["files"]:
                found = (out / file["name"]).read_bytes()
                assert len(found) == file["size"], f"{file['name']} has another size"
                assert hashlib.sha256(found).hexdigest() == file["sha256"], f"{file['name']}: hash"


def _hash(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".json":
        data = json.dumps(_without_times(json.loads(data)), sort_keys=True).encode()
    elif path.suffix == ".html":
        data = _MOMENT.sub(b"", data)
    return hashlib.sha256(data).hexdigest()


def _without_times(value: object) -> object:
    """Nor how much was done in which run, which a kill changes."""
    if isinstance(value, dict):
        left_out = {"status", "counts"}
        return {
            name: _without_times(inner)
            for name, inner in value.items()
            if not _TIMES.match(name) and name not in left_out
        }
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value
