"""Write the measured figures into docs/reliability.md, from files of the lines that were printed.

python -m benchmarks.reliability kill >> figures.jsonl
python -m benchmarks.reliability.table figures.jsonl
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
_APART = ("measured", "version", "count", "seed", "minutes", "peak_mb", "wrong", "accepted")


def table(lines: list[dict[str, object]]) -> str:
    """Return the figures as a Markdown table, a row a measurement."""
    rows = ["| measured | tried | seed | wrong | most memory, MiB | minutes | further figures |"]
    rows.append("|---|---|---|---|---|---|---|")
    for line in lines:
        wrong = line["wrong"]
        assert isinstance(wrong, list)
        more = "; ".join(
            f"{name.replace('_', ' ')} {_shown(value)}"
            for name, value in line.items()
            if name not in _APART
        )
        peak = line["peak_mb"] or "-"  # not watched there
        cells = [line["measured"], line["count"], line["seed"], len(wrong), peak, line["minutes"]]
        rows.append("| " + " | ".join(str(cell) for cell in [*cells, more]) + " |")
    return "\n".join(rows) + "\n"


def _shown(value: object) -> str:
    """A list by its ends: it is what was seen in the course of a run."""
    if isinstance(value, list):
        return " to ".join(str(end) for end in (value[:1] + value[1:][-1:]))
    return str(value)


def main() -> None:
    """Put the table between the marks of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="files of JSON lines")
    lines = [
        json.loads(line)
        for path in parser.parse_args().files
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}\n{table(lines)}\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
