"""What the package aims at, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.harness.results import Record


@dataclass(frozen=True)
class Aim:
    """One aim.

    Attributes:
        id: what it is known by: section and figure, size and dtype, as `whole.speed/tiny/auto`.
        name: what it is about.
        wanted: the bound, in words.
        measured: what was found, in words.
        reached: whether that keeps the bound.
    """

    id: str
    name: str
    wanted: str
    measured: str
    reached: bool

    @property
    def bound_by(self) -> str | None:
        """What bounds it, in a sentence, where it was not reached and that is known."""
        return None if self.reached else BOUND_BY.get(self.id)


FASTER = {"vit_b": 4.0, "vit_b_1024": 4.0, "tiny": 5.0}
FASTER_FLOAT32 = 1.5
SHARES = {"second": ("second lesion", 0.6), "click": ("click", 0.1)}
"""What a later question to an open photograph may take of what the first one took."""
STARTS = {
    "help_over_typer": ("`--help` beside typer's import", 3),
    "load_over_libraries": ("Loading beside its libraries' import", 2),
}
AMONG = 10
"""Photographs among which the peaks of memory are averaged: they are not all alike."""
SETTLED = 4
"""Photographs after which memory shall not grow any more."""

BOUND_BY: Mapping[str, str] = {
    "whole.speed/vit_b/auto": (
        "injectors after all of the twelve blocks, so that eleven of them run once a lesion; "
        "nearly all of that is matrix products, see the profile."
    ),
    "session.second/vit_b/auto": (
        "again the injectors after all blocks: all that lesions share are CLIP's pass, which is "
        "short at 448 pixels, and the first block."
    ),
}
"""By the aim's id."""


def aims(records: Sequence[Record]) -> list[Aim]:
    """Return the aims of which something was measured, in the order of the records."""
    return [aim for record in records for aim in OF_SECTION.get(record["section"], _none)(record)]


def _none(record: Record) -> Iterator[Aim]:
    yield from ()


def _id(record: Record, figure: str) -> str:
    return f"{record['section']}.{figure}/{record['size']}/{record['dtype']}"


def _whole(record: Record) -> Iterator[Aim]:
    if record["device"] != "cpu":
        return
    size, dtype, values = record["size"], record["dtype"], record["values"]
    count = max(values["times"], key=int)
    ratio = values["times"][count]["ratio"]
    least = FASTER_FLOAT32 if dtype == "float32" else FASTER.get(size, 1.0)
    name = f"{count} lesions, whole image, `{size}`, {dtype}"
    yield Aim(
        _id(record, "speed"),
        f"{name}: speed",
        f"{least:g} times or more",
        f"{ratio:.1f} times",
        ratio >= least,
    )
    if dtype == "float32":
        found, text = values["logit_difference"], f"{values['logit_difference']:.1g}"
        id = _id(record, "logits")
        yield Aim(id, f"{name}: logits", "within 0.001", text, found <= 1e-3)
    elif size == "tiny":
        found, text = values["dice"], f"{values['dice']:.4f}"
        yield Aim(_id(record, "masks"), f"{name}: masks", "Dice 0.99 or more", text, found >= 0.99)


def _session(record: Record) -> Iterator[Aim]:
    shares = record["values"]["shares"]
    for figure, (what, most) in SHARES.items():
        yield Aim(
            _id(record, figure),
            f"Open photograph, `{record['size']}`, {record['dtype']}: {what}",
            f"at most {most:.0%} of the first",
            f"{shares[figure]:.0%}",
            shares[figure] <= most,
        )


def _folder(record: Record) -> Iterator[Aim]:
    values, name = record["values"], f"Folder, `{record['size']}`, {record['dtype']}"
    ratio, peaks = values["ratio"], values["peaks"]
    wanted = "at most 1.1 times the model's own"
    yield Aim(_id(record, "time"), f"{name}: wall time", wanted, f"{ratio:.2f} times", ratio <= 1.1)
    if peaks:
        most = max(peaks) / 1024
        id, text = _id(record, "memory"), f"{most:.2f} GiB"
        yield Aim(id, f"{name}: memory", "under 3 GB", text, most * 2**30 < 3e9)
    if len(peaks) >= SETTLED + 2 * AMONG:
        growth = mean(peaks[-AMONG:]) / mean(peaks[SETTLED : SETTLED + AMONG]) - 1
        text = f"{growth:+.1%} in the mean of the last {AMONG} over that of the first {AMONG}"
        id, about = _id(record, "growth"), f"{name}: memory from the fifth on"
        yield Aim(id, about, "flat", text, growth <= 0.02)


def _startup(record: Record) -> Iterator[Aim]:
    for figure, (name, most) in STARTS.items():
        found = record["values"][figure]
        id, wanted = f"startup.{figure}", f"at most {most} times"
        yield Aim(id, name, wanted, f"{found:.1f} times", found <= most)


def _card(record: Record) -> Iterator[Aim]:
    if record["size"] != "vit_b":
        return
    compiled = "compiled" if record["values"]["compiled"] else "not compiled"
    for batch, values in record["values"]["batches"].items():
        share = values["share_of_floor"]
        name = f"Card, `vit_b`, {record['dtype']}, {compiled}, batch {batch}"
        id = f"{_id(record, 'floor')}/{compiled}/{batch}"
        yield Aim(id, name, "a third of the floor's speed", f"{share:.0%}", share >= 1 / 3)


OF_SECTION: Mapping[str, Callable[[Record], Iterator[Aim]]] = {
    "whole": _whole,
    "session": _session,
    "folder": _folder,
    "startup": _startup,
    "card": _card,
}
