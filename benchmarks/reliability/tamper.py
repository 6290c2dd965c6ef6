"""Checkpoints that somebody has changed: each is refused in plain words, or does no harm."""

from __future__ import annotations

import csv
import io
import shutil
from functools import partial
from importlib import resources
from pathlib import Path

from PIL import Image

from benchmarks.reliability.child import Ended, in_child
from benchmarks.reliability.command import command
from benchmarks.reliability.drawn import fundus
from benchmarks.reliability.findings import Figure, Findings
from benchmarks.reliability.stand_in import StandIn
from benchmarks.reliability.tamper_config import config_cases
from benchmarks.reliability.tamper_weights import weight_cases
from tp_drseg import TPDRSeg
from tp_drseg.checkpoints.store import read_config

_LOAD_MB = 1536
_SEGMENT_MB = 3072
_FORMULA = "=+-@\t\r"


def tamper(work: Path, count: int, seed: int) -> Findings:
    """Load each tampered checkpoint, and have it answer if it loads; count and seed say nothing."""
    found, marker, photograph = Findings(), work / "pickle-was-run", work / "photo.png"
    Image.fromarray(fundus()).save(photograph)
    embedded, folder = Path(str(resources.files("tp_drseg") / "weights")), work / "model"
    weights = {f"weights: {name}": damage for name, damage in weight_cases(marker).items()}
    configs = {f"config: {name}": damage for name, damage in config_cases().items()}
    accepted: list[Figure] = []
    for name, damage in {"untouched": lambda folder: None, **weights, **configs}.items():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(embedded, folder)
        damage(folder)
        ended = in_child(partial(_load, folder), timeout=60)
        found.held(ended.peak_mb, _LOAD_MB, f"{name}: loading")
        found.check(ended.is_orderly, f"{name}: loading: {ended.verdict}")
        if name in weights or name == "untouched":
            is_right = (ended.verdict == "ok") == (name == "untouched")
            found.check(is_right, f"{name}: loading: {ended.verdict}")
        if ended.verdict == "ok":
            accepted.append(name)
            _answer(folder, photograph, work / "out", name, found)
    found.figures |= {"cases": 1 + len(weights) + len(configs), "accepted": accepted}
    found.check(not marker.exists(), "a pickle was run")
    return found


def _load(folder: Path) -> None:
    TPDRSeg.from_pretrained(folder, device="cpu")


def _answer(folder: Path, photograph: Path, out: Path, name: str, found: Findings) -> None:
    """Segment with it by the command; for names alone, a stand-in with its lesions does."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    arguments = ["segment", photograph, "--out", out / "results", "--model", folder]
    model = None
    if any(word in name for word in (" name", "alias", "abbreviation", "lesion", "provenance")):
        model = StandIn(config=read_config(folder / "config.json"))
    ended = in_child(partial(command, arguments, model), timeout=300, memory=8 << 30)
    found.held(ended.peak_mb, _SEGMENT_MB, f"{name}: segmenting")
    found.check(ended.is_orderly, f"{name}: segmenting: {ended.verdict}")
    found.check("unexpected" not in ended.output, f"{name}: segmenting: {ended.output[-200:]!r}")
    _check_output(ended, out, name, found)


def _check_output(ended: Ended[None], out: Path, name: str, found: Findings) -> None:
    files = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    outside = [str(path) for path in files if path.parts[0] != "results"]
    found.check(not outside, f"{name}: files outside: {outside}")
    found.check("\x1b[2J" not in ended.output, f"{name}: an escape code reaches the terminal")
    forged = any(line.startswith("Error: forged") for line in ended.output.splitlines())
    found.check(not forged, f"{name}: a forged line reaches the terminal")
    for table in out.rglob("*.csv"):
        for row in csv.reader(io.StringIO(table.read_text("utf-8-sig"), newline="")):
            cells = [cell for cell in row if cell[:1] and cell[0] in _FORMULA]
            cells = [cell for cell in cells if not _is_number(cell)]
            found.check(not cells, f"{name}: {table.name} holds a formula: {cells}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
