"""What the package aims at, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Aim:
    """One aim.

    Attributes:
        name: what it is about.
        wanted: the bound, in words.
        measured: what was found, in words.
        reached: whether that keeps the bound.
    """

    name: str
    wanted: str
    measured: str
    reached: bool


FASTER = {"vit_b": 4.0, "vit_b_1024": 4.0, "tiny": 5.0}
FASTER_FLOAT32 = 1.5
AMONG = 10
"""Photographs among which the peaks of memory are averaged: they are not all alike."""


def aims(records: Sequence[Record]) -> list[Aim]:
    """The aims of which something was measured."""
    found: list[Aim] = []
    for record in records:
        section = record["section"]
        if section == "whole" and record["device"] == "cpu":
            found += _whole(record)
        elif section == "view":
            found += _view(record)
        elif section == "folder":
            found += _folder(record)
        elif section == "startup":
            found += _startup(record)
        elif section == "card":
            found += _card(record)
    return found


def _whole(record: Record) -> Iterator[Aim]:
    size, dtype, values = record["size"], record["dtype"], record["values"]
    count = max(values["times"], key=int)
    ratio = values["times"][count]["ratio"]
    least = FASTER_FLOAT32 if dtype == "float32" else FASTER.get(size, 1.0)
    name = f"{count} lesions, whole image, `{size}`, {dtype}"
    yield Aim(f"{name}: speed", f"{least:g} times or more", f"{ratio:.1f} times", ratio >= least)
    if dtype == "float32":
        difference = values["logit_difference"]
        yield Aim(f"{name}: logits", "within 0.001", f"{difference:.1g}", difference <= 1e-3)
    elif size == "tiny":
        dice = values["dice"]
        yield Aim(f"{name}: masks", "Dice 0.99 or more", f"{dice:.4f}", dice >= 0.99)


def _view(record: Record) -> Iterator[Aim]:
    shares = record["values"]["shares"]
    name = f"Open photograph, `{record['size']}`, {record['dtype']}"
    for what, key, most in (("second lesion", "second", 0.6), ("click", "click", 0.1)):
        yield Aim(
            f"{name}: {what}",
            f"at most {most:.0%} of the first",
            f"{shares[key]:.0%}",
            shares[key] <= most,
        )


def _folder(record: Record) -> Iterator[Aim]:
    values, name = record["values"], f"Folder, `{record['size']}`, {record['dtype']}"
    ratio, peaks = values["ratio"], values["peaks"]
    wanted = "at most 1.1 times the model's own"
    yield Aim(f"{name}: wall time", wanted, f"{ratio:.2f} times", ratio <= 1.1)
    if peaks:
        most = max(peaks) / 1024
        yield Aim(f"{name}: memory", "under 3 GB", f"{most:.2f} GiB", most * 2**30 < 3e9)
    if len(peaks or []) >= 4 + 2 * AMONG:
        growth = mean(peaks[-AMONG:]) / mean(peaks[4 : 4 + AMONG]) - 1
        measured = f"{growth:+.1%} in the mean of the last {AMONG} over that of the first {AMONG}"
        yield Aim(f"{name}: memory from the fifth on", "flat", measured, growth <= 0.02)


def _startup(record: Record) -> Iterator[Aim]:
    values = record["values"]
    for name, key, most in (
        ("`--help` beside typer's import", "help_over_typer", 3),
        ("Loading beside its libraries' import", "load_over_libraries", 2),
    ):
        yield Aim(name, f"at most {most} times", f"{values[key]:.1f} times", values[key] <= most)


def _card(record: Record) -> Iterator[Aim]:
    if record["size"] != "vit_b":
        return
    for batch, values in record["values"]["batches"].items():
        share = values["share_of_floor"]
        compiled = "compiled" if record["values"]["compiled"] else "not compiled"
        name = f"Card, `vit_b`, {record['dtype']}, {compiled}, batch {batch}"
        yield Aim(name, "a third of the floor's speed", f"{share:.0%}", share >= 1 / 3)
