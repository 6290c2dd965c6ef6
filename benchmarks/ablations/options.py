"""The command line of `python -m benchmarks.ablations`, and what its commands share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ablations.rows import ROWS


@dataclass(frozen=True)
class StartOptions:
    """What the weights come from, and what is changed of them; `add_start` explains each."""

    sam: Path | None
    clip: str | None
    start: str | None
    image_size: int | None
    diameter: int | None
    detail: bool
    seed: int


@dataclass(frozen=True)
class Options:
    """What is to be trained and measured, and how; `parse` explains each."""

    start: StartOptions
    data: Path
    format: str
    negatives: Path | None
    out: Path
    rows: list[str]
    steps: int
    batch: int
    learning_rate: float
    fixed_crops: int
    fold: int
    photographs: int | None
    points_from: int
    bootstrap: int
    precision: str
    device: str


def add_start(parser: argparse.ArgumentParser) -> None:
    """Add the options of `StartOptions`."""
    add = parser.add_argument
    add("--sam", type=Path, help="SAM checkpoint to start from, such as mobile_sam.pt")
    add("--clip", help="CLIP that goes with it: for mobile_sam.pt a trained small CLIP's folder")
    add("--start", help="in place of both: a trained model, `embedded`, a folder or a Hub id")
    add("--image-size", type=int, help="side of a tile (default: the model's own)")
    add("--diameter", type=int, help="working diameter (default: the model's own)")
    add("--detail", action="store_true", help="with the detail head, which the paper has not")
    add("--seed", type=int, default=0, help="of all randomness (default: 0)")


def take_start(
    parser: argparse.ArgumentParser, found: argparse.Namespace, default: str | None = None
) -> StartOptions:
    """Take the options of `StartOptions` out of those found; end the process if they are wrong.

    Args:
        parser: says what is wrong.
        found: the options; those of `StartOptions` are removed.
        default: `--start` when none of `--sam`, `--clip` and `--start` was given.
    """
    names = StartOptions.__dataclass_fields__
    own = {name: vars(found).pop(name) for name in names}
    if own["start"] is not None and (own["sam"] is not None or own["clip"] is not None):
        parser.error("give --start, or --sam and --clip, not both")
    if own["sam"] is None and own["clip"] is None and own["start"] is None:
        own["start"] = default
    if own["start"] is None and (own["sam"] is None or own["clip"] is None):
        parser.error("give --sam and --clip, or --start")
    return StartOptions(**own)


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; end the process with a sentence where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablations",
        description="The paper's tables of ablations and tunings: trains and measures rows under "
        "one budget. See docs/ablations.md.",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="the data set")
    add("--format", default="idrid", help="how it is laid out (default: idrid)")
    add("--negatives", type=Path, help="photographs without lesions; the last 20 are not used")
    add_start(parser)
    add("--out", type=Path, required=True, help="folder of the rows and the table")
    add("--rows", default=",".join(ROWS), help=f"some of {','.join(ROWS)} (default: all)")
    add("--steps", type=int, default=80, help="steps of each row (default: 80)")
    add("--batch", type=int, default=1, help="crops a step (default: 1)")
    add("--learning-rate", type=float, default=3e-4, help="highest rate (default: 3e-4)")
    add("--fixed-crops", type=int, default=0, help="learn from this many crops, again and again")
    add("--fold", type=int, default=0, help="fold of 5 that is held out (default: 0)")
    add("--photographs", type=int, help="score the first N held-out photographs (default: all)")
    add("--points-from", type=int, default=4, help="choose thresholds on N training photographs")
    add("--bootstrap", type=int, default=1000, help="draws for the intervals (default: 1000)")
    add("--precision", default="float32", help="float32, bf16 or auto (default: float32)")
    add("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    found = parser.parse_args(arguments)
    found.rows = list(dict.fromkeys(found.rows.split(",")))
    if unknown := [row for row in found.rows if row not in ROWS]:
        parser.error(f"unknown rows {', '.join(unknown)}; there are {', '.join(ROWS)}")
    start = take_start(parser, found)
    return Options(**{**vars(found), "start": start})
