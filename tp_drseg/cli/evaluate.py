"""``tp-drseg evaluate``: the figures of a model on annotated photographs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tp_drseg._runtime.allocator import freed_memory_kept
from tp_drseg._runtime.extras import require
from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg._runtime.text import one_line
from tp_drseg.cli import _model
from tp_drseg.cli._agreement import show_agreement
from tp_drseg.cli._options import (
    AccurateOption,
    DataOption,
    DebugOption,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    FormatOption,
    MaxPixelsOption,
    ModelOption,
    RevisionOption,
    SplitOption,
    VerboseOption,
)
from tp_drseg.cli._progress import progress_bar
from tp_drseg.cli._table import show_table
from tp_drseg.errors import OutputError

if TYPE_CHECKING:
    from tp_drseg.data import Sample
    from tp_drseg.evaluation.paired import Comparison
    from tp_drseg.evaluation.predictions import Descriptions
    from tp_drseg.evaluation.scores import Evaluation
    from tp_drseg.model import TPDRSeg


EXAMPLES = """\b
Examples:
  tp-drseg evaluate --data IDRiD --limit 2
  tp-drseg evaluate --data IDRiD --lesion-free healthy --report report.html --json figures.json
  tp-drseg evaluate --data my-photographs --format folder --model our-model --draws ours.safetensors
  tp-drseg evaluate --data my-photographs --format folder --against ours.safetensors"""


class PixelsToScore(StrEnum):
    """Which pixels of a photograph are scored."""

    field_of_view = "field-of-view"
    all = "all"


def evaluate(
    data: DataOption,
    format: FormatOption = "idrid",
    split: SplitOption = None,
    include_learned: Annotated[
        bool,
        typer.Option(
            "--include-learned",
            help="Also score photographs that the model learned from; the figures are then marked "
            "as not held out. By default they are left out.",
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Score only the first N photographs by name."),
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
    held_out_descriptions: Annotated[
        bool,
        typer.Option(
            "--held-out-descriptions", help="Also ask with the descriptions that no training saw."
        ),
    ] = False,
    pixels: Annotated[
        PixelsToScore, typer.Option(help="Which pixels are scored.")
    ] = PixelsToScore.field_of_view,
    bootstrap: Annotated[
        int, typer.Option(metavar="N", min=0, help="Draws for the 95 % intervals; 0 for none.")
    ] = 1000,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here too.")
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write a line a photograph and lesion here."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a report with curves and pictures here."),
    ] = None,
    draws: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the bootstrap here, to compare a model with."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Compare with another model: what --draws kept of it, on the same photographs.",
        ),
    ] = None,
    agreement: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Score no model, but compare two reviewers: the results in --data with those "
            "here, signed by somebody else.",
        ),
    ] = None,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    accurate: AccurateOption = False,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Score a model against masks, at original size, inside the field of view.

    Photographs that the model learned from are left out, and the figures say whether the others
    were held out.
    """
    if agreement is not None:
        show_agreement(data, agreement, format, max_pixels)
        return
    from tp_drseg.data import choose_split, read_dataset, read_lesion_free

    chosen = choose_split(format, split)
    _check_outputs(json_file, csv_file, report, draws)
    if against is not None:
        from tp_drseg.evaluation.paired import Drawn

        other = Drawn.load(against)
    loaded = _model.load_model(model, revision, device, dtype, accurate)
    samples = read_dataset(data, format, chosen, loaded.catalog, max_pixels=max_pixels)
    free = (
        read_lesion_free(lesion_free, loaded.catalog.names, max_pixels=max_pixels)
        if lesion_free
        else []
    )
    if limit is not None:
        samples, free = (_first(limit, x, loaded, include_learned) for x in (samples, free))

    from tp_drseg.evaluation.convention import Pixels, conventions
    from tp_drseg.evaluation.evaluate import FROC_THRESHOLDS, Fold, evaluate_folds
    from tp_drseg.evaluation.gallery import Gallery
    from tp_drseg.evaluation.predictions import Descriptions

    gallery = Gallery() if report else None
    with progress_bar("photograph", quiet=quiet) as progress, freed_memory_kept():
        measured = evaluate_folds(
            [Fold(loaded, samples, free)],
            descriptions=tuple(Descriptions) if held_out_descriptions else (Descriptions.OWN,),
            pixels=Pixels(pixels),
            bootstrap=bootstrap,
            froc=FROC_THRESHOLDS if report or json_file else (),
            include_learned=include_learned,
            watch=gallery,
            progress=progress,
        )
    own = measured[Descriptions.OWN]
    splits = "" if chosen is None else f", split {chosen}"
    part = "" if limit is None else f" (the first {limit} by name)"
    what = f"{len(own.photographs)} photographs of {format}{splits}{part}, {own.split.held_out}"

    for evaluation in measured.values():
        _show(evaluation)
    if against is not None:
        from tp_drseg.evaluation.paired import compare

        _show_comparison(compare(own, other), against)
    typer.echo("")
    for title, text in conventions(own.pixels).items():
        typer.echo(f"{title}: {text}")
    if json_file is not None:
        _write_json(json_file, loaded, what, measured)
    if csv_file is not None:
        from tp_drseg.evaluation.photographs_csv import write_photographs_csv

        write_photographs_csv(csv_file, measured.values())
    if draws is not None:
        from tp_drseg.evaluation.paired import Drawn

        Drawn.of(own).save(draws)
    if report is not None and gallery is not None:
        from tp_drseg.evaluation.report import write_report

        write_report(report, measured, gallery, model=_name(loaded), data=what)
    typer.echo("")
    for path in (json_file, csv_file, draws, report):
        if path is not None:
            typer.echo(f"Wrote {one_line(str(path))}")


def _name(model: TPDRSeg) -> str:
    return f"{model.model_id}@{model.revision}" if model.revision else model.model_id


def _first(
    limit: int, samples: list[Sample], model: TPDRSeg, include_learned: bool
) -> list[Sample]:
    """Return the first of those that will be scored; those that are left out stay, to be named."""
    from tp_drseg.evaluation.held_out import divide

    provenance = model.config.provenance
    kept, split = divide(provenance, samples, include_learned=include_learned)
    wanted = {*split.left_out, *sorted(sample.name for sample in kept)[:limit]}
    return [sample for sample in samples if sample.name in wanted]


def _check_outputs(
    json_file: Path | None, csv_file: Path | None, report: Path | None, draws: Path | None
) -> None:
    """Refuse what can be seen to be not writable before hours go into the figures."""
    from tp_drseg._runtime.files import check_folder, is_folder

    if report is not None:
        from tp_drseg.evaluation.report import NEEDED

        if report.suffix.lower() not in (".html", ".htm"):
            raise OutputError(f"Cannot write {report}: the name must end in .html.")
        require("report", *NEEDED)
    paths = [path for path in (json_file, csv_file, report, draws) if path is not None]
    if len({path.absolute() for path in paths}) < len(paths):
        raise OutputError("Two outputs have one name. Give each a file of its own.")
    for path in paths:
        if is_folder(path):
            raise OutputError(f"Cannot write {path}: it is a folder. Give the name of a file.")
        check_folder(path.parent)


def _write_json(
    path: Path, model: TPDRSeg, data: str, measured: Mapping[Descriptions, Evaluation]
) -> None:
    from tp_drseg._runtime.files import write_json
    from tp_drseg.evaluation.convention import conventions

    first = next(iter(measured.values()))
    write_json(
        path,
        {
            "model": model.model_id,
            "revision": model.revision,
            "data": data,
            "held_out": str(first.split.held_out),
            "notes": first.split.sentences(),
            "pixels": str(first.pixels),
            "conventions": conventions(first.pixels),
            "photographs": list(first.photographs),
            "lesion_free": list(first.lesion_free),
            "left_out": list(first.split.left_out),
            "scores": {str(kind): found.to_dict() for kind, found in measured.items()},
        },
    )


def _show(evaluation: Evaluation) -> None:
    """Tables of one kind of descriptions, kept to 80 columns: intervals stand below figures."""
    from tp_drseg.evaluation.tables import operating_points_text, tables

    typer.echo(
        f"\n{len(evaluation.photographs)} photographs, "
        f"{evaluation.descriptions.replace('_', '-')} descriptions"
    )
    _echo_all(evaluation.split.sentences())
    for table in tables(evaluation):
        typer.echo(f"\n{table.title}")
        head = ["sens." if name == "sensitivity" else name for name in table.head]
        show_table(head, [["\n".join(filter(None, cell)) for cell in row] for row in table.rows])
    typer.echo("")
    _echo_all(operating_points_text(evaluation).splitlines())


def _show_comparison(comparison: Comparison, against: Path) -> None:
    typer.echo(
        f"\nAUC-PR, pooled, against {one_line(str(against))} on the same "
        f"{comparison.photographs} photographs"
    )
    rows = []
    for difference in comparison.differences:
        interval = difference.interval
        ends = "-" if interval is None else f"{interval.low:+.3f} to {interval.high:+.3f}"
        figures = (difference.first, difference.second)
        rows.append(
            (
                difference.lesion,
                *("-" if figure != figure else f"{figure:.3f}" for figure in figures),
                "-" if difference.value != difference.value else f"{difference.value:+.3f}",
                ends,
            )
        )
    show_table(["lesion", "this model", "the other", "difference", "95 % interval"], rows)


def _echo_all(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(one_line(line))
