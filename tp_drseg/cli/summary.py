"""`tp-drseg summary`: what a folder of results says of its photographs, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tp_drseg.cli._options import DebugOption, VerboseOption
from tp_drseg.errors import ConfigError

EXAMPLES = """\b
Examples:
  tp-drseg summary results"""

NOTICE = "For research. Not a medical device; signs are no diagnosis."


def summary(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `tp-drseg segment --out` wrote.")
    ],
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Print a table of results: quality, eye, regions and signs of each photograph.

    It is read from the records of the run; `photographs.csv` and `lesions.csv` hold more.
    """
    from tp_drseg.cli._table import show_table
    from tp_drseg.folder.store import RecordStore
    from tp_drseg.folder.verify import is_results_folder

    if not is_results_folder(folder):
        raise ConfigError(
            f"{folder} holds no results of a run. Give the folder that `tp-drseg segment --out` "
            "wrote."
        )
    records = sorted(RecordStore(folder).read_all().values(), key=lambda record: record.image)
    finished = [record for record in records if record.is_complete]
    lesions = list(dict.fromkeys(row.lesion for record in finished for row in record.lesions))
    rows = []
    for record in finished:
        counts = {row.lesion: row.regions for row in record.lesions}
        signs = record.signs
        rows.append(
            [
                record.image,
                record.quality,
                str(record.anatomy.get("eye") or ""),
                *(str(counts.get(lesion, "")) for lesion in lesions),
                _cell(signs.get("haemorrhage_quadrants")),
                _cell(signs.get("macular_oedema_risk")),
            ]
        )
    head = ["photograph", "quality", "eye", *lesions, "quadrants with HE", "oedema risk"]
    show_table(head, rows)
    typer.echo(f"{len(rows)} photographs. {NOTICE}")


def _cell(value: int | None) -> str:
    return "" if value is None else str(value)
