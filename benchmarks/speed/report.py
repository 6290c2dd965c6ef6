"""Writes `docs/performance.md` from the file of results that `benchmarks.speed --out` made.

    python -m benchmarks.speed.report speed.json docs/performance.md

The page's words are in `performance.md.j2`, its figures in that file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.harness.results import Record, read_results
from benchmarks.speed.aims import aims
from tp_drseg._runtime.files import write_text

TEMPLATE = "performance.md.j2"


def main() -> None:
    """Write the page that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="what benchmarks.speed --out made")
    parser.add_argument("page", type=Path, help="the page to write")
    options = parser.parse_args()
    if not options.results.exists():
        parser.error(f"there is no {options.results}")
    write_text(options.page, report(read_results(options.results)))


def report(records: Sequence[Record]) -> str:
    """Return the page's text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {
        "among": _among,
        "code": _code,
        "joined": _joined,
        "memory": _memory,
        "model": _model,
        "percent": "{:.0%}".format,
        "range": _range,
        "tiles": _tiles,
        "type": _type,
        "with": lambda value, style: format(value, style),
    }
    page = environment.get_template(TEMPLATE)
    return page.render(records=records, machines=_machines(records), aims=aims(records))


def _machines(records: Sequence[Record]) -> list[tuple[Mapping[str, str], list[Record]]]:
    """Each machine that something was measured on, with what was."""
    known: list[Mapping[str, str]] = []
    for record in records:
        if record["machine"] not in known:
            known.append(record["machine"])
    return [(facts, [r for r in records if r["machine"] == facts]) for facts in known]


def _among(records: Sequence[Record], *sections: str) -> list[Record]:
    return [record for record in records if record["section"] in sections]


def _joined(values: Iterable[object]) -> str:
    """The different ones, with commas between."""
    return ", ".join(dict.fromkeys(map(str, values)))


def _code(values: Iterable[object]) -> list[str]:
    return [f"`{value}`" for value in values]


def _model(record: Record) -> str:
    return f"`{record['size']}`" + ("" if record["device"] == "cpu" else f" on {record['device']}")


def _type(record: Record) -> str:
    chosen = record["values"].get("dtype_chosen", record["dtype"])
    return f"auto ({chosen})" if record["dtype"] == "auto" and chosen != "auto" else chosen


def _tiles(record: Record) -> str:
    count = record["values"]["tiles"]
    kept = ", memory kept" if record["section"] == "kept" else ""
    return ("whole image" if count == 1 else f"{count} tiles") + kept


def _range(taken: Mapping[str, Any], way: str) -> str:
    low, high = taken[f"{way}_range"]
    return f"{taken[way]:.2f} ({low:.2f} to {high:.2f})"


def _memory(peaks: Mapping[str, float | None]) -> str:
    text = f"{peaks['process']:.0f} MiB"
    return text if peaks["card"] is None else f"{text}, {peaks['card']:.0f} MiB on the card"


if __name__ == "__main__":
    main()
