"""``tp-drseg evaluate``: the figures of a model on annotated photographs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tp_drseg._runtime.extras import require
from tp_drseg.cli import _model
from tp_drseg.cli._options import (
    DataOption,
    DebugOption,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    FormatOption,
    ModelOption,
    RevisionOption,
    SplitOption,
    VerboseOption,
)
from tp_drseg.cli._table import show_table
from tp_drseg.errors import OutputError

if TYPE_CHECKING:
    from tp_drseg.evaluation.scores import Evaluation


class Part(StrEnum):
    """Which photographs of a split are scored."""

    validation = "validation"
    all = "all"


def evaluate(
    data: DataOption,
    format: FormatOption = "idrid",
    split: SplitOption = None,
    part: Annotated[
        Part | None,
        typer.Option(
            help="validation: every fifth photograph by name; all: every one. By default "
            "validation of a training set, and of a data set without splits."
        ),
    ] = None,
    lesion_free: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Photographs without any lesion, to count false marks.",
        ),
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Also ask with the descriptions that no training saw."),
    ] = False,
    bootstrap: Annotated[
        int, typer.Option(metavar="N", min=0, help="Draws for the 95 % intervals; 0 for none.")
    ] = 1000,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here too.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a report with curves and pictures here."),
    ] = None,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Score a model against masks, at original size, inside the field of view."""
    from tp_drseg.data import FORMATS, choose_split, hold_out, read_dataset, read_lesion_free

    chosen = choose_split(format, split)
    _check_outputs(json_file, report)
    loaded = _model.load_model(model, revision, device, dtype)
    samples = read_dataset(data, format, chosen, loaded.catalog)
    if part is None:
        other_split = chosen is not None and chosen != FORMATS[format].splits[0]
        part = Part.all if other_split else Part.validation
    if part is Part.validation:
        samples = hold_out(samples)[1]
    free = read_lesion_free(lesion_free, loaded.catalog.names) if lesion_free else []

    from tp_drseg._runtime.files import write_json
    from tp_drseg.evaluation.convention import conventions
    from tp_drseg.evaluation.evaluate import FROC_THRESHOLDS, Fold, evaluate_folds
    from tp_drseg.evaluation.gallery import Gallery
    from tp_drseg.evaluation.predictions import Descriptions

    gallery = Gallery() if report else None
    measured = evaluate_folds(
        [Fold(loaded, samples, free)],
        descriptions=tuple(Descriptions) if held_out else (Descriptions.OWN,),
        bootstrap=bootstrap,
        froc=FROC_THRESHOLDS if report or json_file else (),
        watch=gallery,
    )
    for evaluation in measured.values():
        _show(evaluation)
    typer.echo("")
    for title, text in conventions().items():
        typer.echo(f"{title}: {text}")
    name = f"{loaded.model_id}@{loaded.revision}" if loaded.revision else loaded.model_id
    splits = "" if chosen is None else f", split {chosen}"
    what = f"{len(samples)} photographs of {format}{splits} ({part.value})"
    if json_file is not None:
        first = next(iter(measured.values()))
        write_json(
            json_file,
            {
                "model": loaded.model_id,
                "revision": loaded.revision,
                "data": what,
                "conventions": conventions(),
                "photographs": list(first.photographs),
                "lesion_free": list(first.lesion_free),
                "scores": {kind: found.to_dict() for kind, found in measured.items()},
            },
        )
        typer.echo(f"\nWrote {json_file}")
    if report is not None and gallery is not None:
        from tp_drseg.evaluation.report import write_report

        write_report(report, measured, gallery, model=name, data=what)
        typer.echo(f"\nWrote {report}")


def _check_outputs(json_file: Path | None, report: Path | None) -> None:
    """Refuse what can be seen to be not writable before hours go into the figures."""
    from tp_drseg.folder.run import check_out

    if report is not None:
        from tp_drseg.evaluation.report import NEEDED

        if report.suffix.lower() not in (".html", ".htm"):
            raise OutputError(f"cannot write {report}: the name must end in .html")
        require("report", *NEEDED)
    for path in (json_file, report):
        if path is not None:
            if path.is_dir():
                raise OutputError(f"cannot write {path}: it is a folder; give the name of a file")
            check_out(path.parent)


def _show(evaluation: Evaluation) -> None:
    """Tables of one kind of descriptions, kept to 80 columns: intervals stand below figures."""
    from tp_drseg.evaluation.tables import operating_points_text, tables

    typer.echo(
        f"\n{len(evaluation.photographs)} photographs, "
        f"{evaluation.descriptions.replace('_', '-')} descriptions"
    )
    for table in tables(evaluation):
        typer.echo(f"\n{table.title}")
        head = ["sens." if name == "sensitivity" else name for name in table.head]
        show_table(head, [["\n".join(filter(None, cell)) for cell in row] for row in table.rows])
    typer.echo(f"\n{operating_points_text(evaluation)}")
