"""Compare macular-oedema risk and referable retinopathy by the signs with IDRiD's grades.

Run it from the repository's root, with a checkpoint that has an anatomy head:

    python -m benchmarks.grades --table grades.csv --model checkpoint --out grades.json

It takes every fifth row by name, which no training of the head saw.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.grades.agreement import area_under_curve, quadratic_kappa, retinopathy_score
from tp_drseg._runtime.files import write_json
from tp_drseg.anatomy import read_signs
from tp_drseg.model import TPDRSeg


@dataclass(frozen=True)
class Row:
    """One photograph: its grades, and what the signs say."""

    image: str
    grade: int
    risk: int
    risk_by_signs: int | None
    score: float


_EVERY = 5
_REFERABLE = 2
_RISKS = 3


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grades", description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="grades.csv")
    parser.add_argument("--model", default=None, help="a checkpoint; by default the embedded one")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--limit", type=int, default=None, help="at most so many photographs")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    options = parser.parse_args(arguments)
    model = TPDRSeg.from_pretrained(options.model, dtype=options.dtype)
    with options.table.open(newline="", encoding="utf-8") as file:
        table = sorted(csv.DictReader(file), key=lambda row: row["image"])
    rows = []
    for row in table[::_EVERY][: options.limit]:
        with model.open_quietly(options.table.parent.parent / row["image"]) as session:
            signs = read_signs(session.segment_many().measurements())
        rows.append(
            Row(
                row["image"],
                int(row["retinopathy_grade"]),
                int(row["risk_of_macular_edema"]),
                signs.macular_oedema_risk.value,
                retinopathy_score(signs),
            )
        )
        print(rows[-1], flush=True)
    told = [(row.risk, row.risk_by_signs) for row in rows if row.risk_by_signs is not None]
    figures = {
        "photographs": len(rows),
        "without a fovea": len(rows) - len(told),
        "quadratic kappa of the risk": quadratic_kappa(
            [graded for graded, _ in told], [by_signs for _, by_signs in told], _RISKS
        ),
        "AUC of referable retinopathy": area_under_curve(
            [row.score for row in rows], [row.grade >= _REFERABLE for row in rows]
        ),
    }
    write_json(options.out, {"figures": figures, "photographs": [asdict(row) for row in rows]})
    print(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
