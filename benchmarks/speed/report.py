"""Writes `docs/performance.md` from the file of results that `python -m benchmarks.speed --out` made.

    python -m benchmarks.speed.report speed.json docs/performance.md

All of the page comes from here: its prose is below, its figures are in that file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.results import read_results
from benchmarks.speed.aims import aims

Record = Mapping[str, Any]

INTRODUCTION = """\
# Time and memory

This page is written by `python -m benchmarks.speed.report` from what `python -m benchmarks.speed`
measured; change those, not this page. All depends on the machine, the number of threads and the
photographs, so measure where the model will run:

```
python -m benchmarks.speed examples/retina_with_lesions.jpg --only whole,view --out speed.json
python -m benchmarks.speed.report speed.json performance.md
```

`--help` explains the options. The commands below repeat each measurement; photographs and folders
are given by their names alone.

The **plain reference** (`benchmarks/reference`) is the [method](method.md) written straight from
its equations, with the same weights. For each lesion it runs CLIP's two towers, the whole encoder
with its makers' own attention (for `vit_b` that of `segment_anything`, for `tiny` that of timm),
and `segment_anything`'s own mask decoder anew, in float32, without compiling, and on every tile.
Reading, framing, the blending of tiles, and the way back to original pixels are the package's own;
the photograph is read and framed once for all lesions, in the reference's favour. **Ours** is
`TPDRSeg.segment`, from the file to results in original pixels. While it answers, it keeps freed
memory from going back to the system (`tp_drseg/_runtime/allocator.py`); the reference runs as any
PyTorch program does, except in the rows named "memory kept", where it has the same advantage.

`tiny` is the model inside the package. There are no trained weights for `vit_b`: it has seeded
random ones, scaled so that its logits vary as those of a trained model do. `vit_b_1024` is the same
with a CLIP that sees 1024 pixels, as that of `tiny` does, in place of 448.
"""

WHAT_SETS_THEM = """\
## What sets time and memory

- The number of tiles: the longest side of the field of view is scaled to `working_diameter`
  pixels and cut into tiles of `image_size` (see [the method](method.md#from-photograph-to-mask)),
  whatever the size of the photograph. Tiles that lie outside of the field of view are not run.
- The number of lesions asked for: each one adds, for every tile, the encoder's blocks from the
  first injector on and the decoder. In `tiny` injectors stand after the last two of twelve
  blocks, in `vit_b` after all of them.
- The type of numbers: bf16 is faster where the processor or the card has instructions for it, and
  slower where it has none; `dtype="auto"` asks the hardware.
- The size of the photograph, for reading it and for results in its own pixels.
- On Linux, whether memory that was freed is kept for the next layer, as it is while the package
  answers, or taken afresh from the system, whose clearing of pages can take as long as the model.
"""

KEPT = ", memory kept"

BOUNDS: Mapping[str, str] = {
    "4 lesions, whole image, `vit_b`, auto: speed": (
        "injectors after all of the twelve blocks, so that eleven of them run once a lesion; "
        "nearly all of that is matrix products, see the profile."
    ),
    "Open photograph, `vit_b`, auto: second lesion": (
        "again the injectors after all blocks: all that lesions share are CLIP's pass, which is "
        "short at 448 pixels, and the first block."
    ),
}
"""What bounds an aim that was not reached, in a sentence, by the aim's name in `speed_aims`."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="what python -m benchmarks.speed --out made")
    parser.add_argument("page", type=Path, help="the page to write")
    options = parser.parse_args()
    if not options.results.exists():
        parser.error(f"there is no {options.results}")
    write_report(read_results(options.results), options.page)


def write_report(records: Sequence[Record], page: Path) -> None:
    """Writes the whole page."""
    page.write_text(report(records), encoding="utf-8")


def report(records: Sequence[Record]) -> str:
    """The page's text."""
    parts = [INTRODUCTION, WHAT_SETS_THEM]
    if not records:
        return "\n".join([*parts, "Nothing was measured yet.\n"])
    parts += [_machines(records), _aims(records)]
    for sections, write in SECTIONS:
        own = [record for record in records if record["section"] in sections]
        if own:
            parts += [write(own), _commands(own)]
    return "\n".join(part for part in parts if part)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _machines(records: Sequence[Record]) -> str:
    text = "## Machine\n\n"
    for number, facts in enumerate(_known_machines(records), 1):
        rows = list(facts.items())
        used = [r for r in records if r["machine"] == facts]
        rows.append(("PyTorch's threads", _joined(r["threads"] for r in used)))
        rows.append(("Sections", _joined(r["section"] for r in used)))
        rows.append(("Date", _joined(r["date"] for r in used)))
        text += table([f"Machine {number}", ""], rows) + "\n"
    return text.rstrip("\n") + "\n"


def _aims(records: Sequence[Record]) -> str:
    found = aims(records)
    if not found:
        return ""
    rows = [
        (aim.name, aim.wanted, aim.measured, "yes" if aim.reached else "**no**") for aim in found
    ]
    text = "## Aims\n\n" + table(["What", "Aim", "Measured", "Reached"], rows)
    bounds = [
        f"- {aim.name}: {BOUNDS[aim.name]}\n"
        for aim in found
        if not aim.reached and aim.name in BOUNDS
    ]
    return text + ("\n" + "".join(bounds) if bounds else "")


def _against_plain(records: Sequence[Record]) -> str:
    times, memory, differences = [], [], []
    for r in records:
        v = r["values"]
        kept = r["section"] == "kept"
        what = [_name(r), _tiles(v) + (KEPT if kept else ""), _dtype(r)]
        for count, taken in v["times"].items():
            times.append(
                [
                    *what,
                    count,
                    _range(taken, "plain"),
                    _range(taken, "ours"),
                    _times(taken["ratio"]),
                ]
            )
        if not kept:
            memory.append([*what, *(_memory(v["memory"][way]) for way in ("plain", "ours"))])
        differences.append(
            [
                *what,
                f"{v['logit_difference']:.2g}",
                f"{v['logit_spread']:.2g}",
                f"{v['probability_difference']:.2g}",
                f"{v['dice']:.4f}",
                f"{v['dice_least']:.4f}"
                + (f" ({v['dice_least_of']})" if v["dice_least_of"] else ""),
            ]
        )
    what = ["Model", "Tiles", "Type"]
    text = f"""\
## Against the plain reference

Both ways took turns, each in a process of its own, on {
        _photographs(records)
    }. Seconds are medians over all turns, with the
range; the ratio is that of the medians.

{table([*what, "Lesions", "Plain, s", "Ours, s", "Ratio"], times)}
Peak memory for all lesions of one photograph, each way in a process of its own, weights and
libraries included:

{table([*what, "Plain", "Ours"], memory)}
How far the answers differ. The logits are compared on every tile, each way with the prior that it
made itself; "spread" is the standard deviation of the reference's. Probabilities and masks are
compared in the photographs' own pixels, masks at the operating points of `tiny`, and for `vit_b`,
which has none, at the median of the reference. Dice is pooled over photographs and lesions;
"least" is that of the single mask that agrees least. Random weights may magnify rounding more than
trained ones do, so it is `tiny` of which agreement is asked.

{
        table(
            [
                *what,
                "Largest difference of logits",
                "Their spread",
                "Of probabilities",
                "Dice",
                "Least",
            ],
            differences,
        )
    }"""
    return text


def _view(records: Sequence[Record]) -> str:
    rows = [
        [
            _name(r),
            _dtype(r),
            *(f"{r['values']['seconds'][name]:.2f}" for name in ("open", "first", "second")),
            f"{r['values']['seconds']['click']:.2f}",
            *(f"{r['values']['shares'][name]:.0%}" for name in ("second", "click")),
            f"{r['values']['probability_difference']:.2g}",
        ]
        for r in records
    ]
    head = ["Model", "Type", "Opening, s", "First lesion, s", "Second, s", "Click, s"]
    head += ["Second", "Click", "Difference"]
    return f"""\
## On an open photograph

`with model.open(path) as view` reads a photograph once; `view.segment` then keeps what does not
depend on the question. Medians on {_photographs(records)}. The last columns are the share of a
second lesion and of a click in what opening and the first lesion took, and the largest difference
of the second lesion's probability from that of a call by itself.

{table(head, rows)}"""


def _folder(records: Sequence[Record]) -> str:
    text = """\
## A folder

`tp-drseg segment` on all lesions, with overlays: while the model works, the next photograph is read
and the last one's results are written. The wall time has the command's start in it. "Model, in the
run" is the time that the run took for the model's answers; "alone" is that of `view.segment` for
the same photographs before, with nothing else going on. The ratios are those of the wall time to
the two.

"""
    rows, peaks = [], ""
    for r in records:
        v = r["values"]
        rows.append(
            [
                _name(r), _dtype(r), v["done"], f"{v['seconds']:.0f}", f"{v['model_in_run']:.0f}",
                f"{v['model_alone']:.0f}", f"{v['ratio']:.2f}", f"{v['ratio_alone']:.2f}",
            ]
        )  # fmt: skip
        if v["peaks"]:
            listed = ", ".join(f"{peak:.0f}" for peak in v["peaks"])
            peaks += (
                f"\nPeak memory of `{r['size']}` in {_dtype(r)}, MiB, while each photograph was "
                f"being done: {listed}.\n"
            )
    head = ["Model", "Type", "Photographs", "Wall time, s", "Model, in the run, s"]
    head += ["Model, alone, s", "Ratio", "Ratio, alone"]
    return text + table(head, rows) + peaks


def _startup(records: Sequence[Record]) -> str:
    labels = {
        "help": "`tp-drseg --help`",
        "typer": '`python -c "import typer"`',
        "package": "`import tp_drseg`",
        "load": "loading the model inside the package",
        "libraries": "`import torch, open_clip`",
    }
    text = "## Start-up\n\nEach in processes of its own, taking turns; medians.\n\n"
    for r in records:
        rows = [(label, f"{r['values']['seconds'][key]:.2f}") for key, label in labels.items()]
        text += table(["What", "Seconds"], rows)
        text += (
            f"\n`--help` takes {r['values']['help_over_typer']:.1f} times the time of typer alone, "
            f"loading {r['values']['load_over_libraries']:.1f} times that of its two libraries.\n"
        )
    return text


def _training(records: Sequence[Record]) -> str:
    rows = [
        [
            _name(r), _dtype(r), f"{v['plain']['seconds']:.1f}", f"{v['ours']['seconds']:.1f}",
            _times(v["ratio"]), f"{v['first_loss_difference']:.1e}", f"{v['loss_difference']:.1e}",
        ]
        for r in records
        for v in [r["values"]]
    ]  # fmt: skip
    steps = _joined(r["values"]["steps"] for r in records)
    head = ["Model", "Type", "Plain, s a step", "Ours, s a step", "Ratio"]
    head += ["First loss differs by", "Losses differ by at most"]
    return f"""\
## Training

The package's trainer beside a plain loop in float32, on the same crops by the same seed, {steps}
steps of the recipe `tiny` without clicks and mosaics. The plain loop runs the plain reference for
one lesion after the other, keeps a graph of the whole encoder, and reads the photograph and runs
CLIP for every crop; the trainer reads and runs CLIP once, before the first step. Medians of a step,
the first left out; differences of the losses are relative.

{table(head, rows)}"""


def _compile(records: Sequence[Record]) -> str:
    rows = [
        [
            _name(r), _dtype(r), f"{v['eager']:.2f}", f"{v['cold']:.1f}", f"{v['cached']:.1f}",
            f"{v['warm']:.2f}", _times(v["eager"] / v["warm"]),
            f"{v['probability_difference']:.2g}",
        ]
        for r in records
        for v in [r["values"]]
    ]  # fmt: skip
    head = ["Model", "Type", "Without, s", "First photograph, s", "First, found on disk, s"]
    head += ["Each later one, s", "Gain", "Difference"]
    return f"""\
## Compiled

`model.compile()` lets `torch.compile` make code for the machine. It is made when it is first
used; PyTorch keeps it on disk for later processes. All lesions, whole image; the last column is
the largest difference of probabilities from those without.

{table(head, rows)}"""


def _card(records: Sequence[Record]) -> str:
    rows = [
        [
            _name(r), _dtype(r), "yes" if v["compiled"] else "no", batch,
            f"{b['milliseconds']:.1f}", f"{v['floor_milliseconds']:.1f}",
            f"{b['share_of_floor']:.0%}", f"{b['memory'] / 1024:.1f} GiB",
        ]
        for r in records
        for v in [r["values"]]
        for batch, b in v["batches"].items()
    ]  # fmt: skip
    facts = _joined(
        f"{r['size']}: {r['values']['gflops']:.0f} billion operations, "
        f"{r['values']['peak_tflops']:g} TFLOPS"
        for r in records
    )
    head = [
        "Model",
        "Type",
        "Compiled",
        "Batch",
        "Ms an image",
        "Floor, ms",
        "Of the floor's speed",
    ]
    return f"""\
## On a graphics card

CLIP, encoder and decoder for all lesions of images that lie on the card. The floor is the time
that the necessary arithmetic takes at the card's highest rate: CLIP's image side and all before
the first injector once, the rest once a lesion ({facts}).

{table([*head, "Memory"], rows)}"""


def _profile(records: Sequence[Record]) -> str:
    text = (
        "## Where the time goes\n\nPyTorch's profiler: one photograph, all lesions, whole image.\n"
    )
    for r in records:
        rows = [
            (f"`{o['name']}`", o["calls"], f"{o['share']:.0%}") for o in r["values"]["operations"]
        ]
        text += f"\n{_name(r)}, {_dtype(r)}:\n\n" + table(["Operation", "Calls", "Time"], rows)
    return text


SECTIONS: Sequence[tuple[tuple[str, ...], Callable[[Sequence[Record]], str]]] = (
    (("whole", "kept", "tiled"), _against_plain),
    (("view",), _view),
    (("folder",), _folder),
    (("startup",), _startup),
    (("training",), _training),
    (("compile",), _compile),
    (("card",), _card),
    (("profile",), _profile),
)


def _commands(records: Sequence[Record]) -> str:
    lines = dict.fromkeys(record["command"] for record in records)
    return "```\n" + "\n".join(lines) + "\n```\n"


def _known_machines(records: Sequence[Record]) -> list[Mapping[str, str]]:
    known: list[Mapping[str, str]] = []
    for record in records:
        if record["machine"] not in known:
            known.append(record["machine"])
    return known


def _name(record: Record) -> str:
    return f"`{record['size']}`" + ("" if record["device"] == "cpu" else f" on {record['device']}")


def _dtype(record: Record) -> str:
    chosen = record["values"].get("dtype_chosen", record["dtype"])
    return f"auto ({chosen})" if record["dtype"] == "auto" and chosen != "auto" else chosen


def _tiles(values: Record) -> str:
    return "whole image" if values["tiles"] == 1 else f"{values['tiles']} tiles"


def _range(taken: Mapping[str, Any], way: str) -> str:
    low, high = taken[f"{way}_range"]
    return f"{taken[way]:.2f} ({low:.2f} to {high:.2f})"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x"


def _memory(peaks: Mapping[str, float | None]) -> str:
    text = [] if peaks["process"] is None else [f"{peaks['process']:.0f} MiB"]
    if peaks["card"] is not None:
        text.append(f"{peaks['card']:.0f} MiB on the card")
    return ", ".join(text) or "not known"


def _photographs(records: Sequence[Record]) -> str:
    names = dict.fromkeys(name for r in records for name in r["values"]["photographs"])
    return ", ".join(f"`{name}`" for name in names)


def _joined(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


if __name__ == "__main__":
    main()
