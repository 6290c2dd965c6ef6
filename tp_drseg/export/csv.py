"""``lesions.csv``: one line for each image and lesion."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tp_drseg._runtime.files import write_text

COLUMNS = (
    "image",
    "lesion",
    "text",
    "threshold",
    "regions",
    "area_px",
    "area_percent_of_field_of_view",
    "mean_probability",
    "max_probability",
    "model",
    "revision",
)


def write_lesions_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the table in UTF-8 with a header line, whole or not at all.

    Args:
        path: The file to write.
        rows: Mappings with exactly the keys in :data:`COLUMNS`.

    Raises:
        ValueError: A row has a key too many.
        OutputError: The file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
