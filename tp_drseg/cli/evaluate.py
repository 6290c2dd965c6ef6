"""``tp-drseg evaluate``: the figures of a model on annotated photographs."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tp_drseg.cli import _model
from tp_drseg.cli._options import (
    DebugOption,
    Device,
    DeviceOption,
    ModelOption,
    RevisionOption,
    VerboseOption,
)
from tp_drseg.cli._table import show_table


class Part(str, Enum):
    """Which photographs are scored."""

    validation = "validation"
    all = "all"


class Format(str, Enum):
    """How the data set is laid out."""

    idrid = "idrid"
    folder = "folder"


def evaluate(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The annotated photographs.")],
    format: Annotated[
        Format,
        typer.Option(help="idrid: the official tree; folder: images/ and masks/<lesion>/."),
    ] = Format.idrid,
    part: Annotated[
        Part, typer.Option(help="validation: every fifth photograph by name; all: every one.")
    ] = Part.validation,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Also ask with the descriptions that no training saw."),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here too.")
    ] = None,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Score a model against masks, at original size, inside the field of view."""
    from tp_drseg.data import hold_out, read_folder, read_idrid
    from tp_drseg.evaluation.evaluate import CONVENTION, Descriptions, as_table
    from tp_drseg.evaluation.evaluate import evaluate as score
    from tp_drseg.files import write_json

    loaded = _model.load_model(model, revision, device)
    samples = read_idrid(data) if format is Format.idrid else read_folder(data, loaded.catalog)
    if part is Part.validation:
        samples = hold_out(samples)[1]
    kinds: tuple[Descriptions, ...] = ("own", "held_out") if held_out else ("own",)
    measured = score(loaded, samples, descriptions=kinds)
    for kind, scores in measured.items():
        table = as_table(scores)
        heads = ["lesion", *next(iter(table.values()))]
        typer.echo(f"\n{len(samples)} photographs, {kind.replace('_', '-')} descriptions")
        show_table(heads, [[name, *row.values()] for name, row in table.items()])
    typer.echo(f"\n{CONVENTION}")
    if json_file is not None:
        figures = {kind: [_finite(asdict(s)) for s in scores] for kind, scores in measured.items()}
        write_json(
            json_file,
            {"model": loaded.model_id, "revision": loaded.revision, "convention": CONVENTION,
             "photographs": [s.name for s in samples], "scores": figures},
        )  # fmt: skip


def _finite(row: dict[str, object]) -> dict[str, object]:
    """JSON has no NaN: a figure that does not exist is null."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}
