"""``tp-drseg segment``: masks, overlays and tables for images and folders."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tp_drseg.cli import _model
from tp_drseg.cli._errors import INTERRUPTED, SOME_FAILED, fail
from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import (
    DebugOption,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    ModelOption,
    RevisionOption,
    VerboseOption,
)
from tp_drseg.errors import OutputError

if TYPE_CHECKING:
    from tp_drseg.folder.run import FolderReport


def segment(
    ctx: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Images, folders, or patterns such as 'a/*.jpg'."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the results.")],
    lesion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name, abbreviation or alias; may be repeated. By default every lesion that the "
            "model knows. `tp-drseg lesions` lists them.",
        ),
    ] = None,
    description: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="How the lesion looks, in place of the catalog's text; with exactly one --lesion. "
            "May be repeated.",
        ),
    ] = None,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="Least probability of a lesion pixel. By default the model's own.",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Look into sub-folders too.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do again what is done already.")
    ] = False,
    no_overlay: Annotated[bool, typer.Option("--no-overlay", help="Write no overlays.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress bar, no warnings, no summary.")
    ] = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Segment lesions in photographs.

    Writes a mask (PNG, 0 and 255, size of the photograph) and an overlay for each image and
    lesion, lesions.csv with counts and areas, and run.json with settings, versions and failures.
    What is done already with the same settings is skipped, so a run that was stopped goes on where
    it was.
    """
    from tp_drseg.folder.photographs import find_images
    from tp_drseg.folder.run import (
        check_out,
        check_settings,
        resolve_lesions,
        segment_folder,
    )
    from tp_drseg.lesions import LesionCatalog

    if quiet and not (verbose or debug):
        set_level(logging.ERROR)
    # An empty list is how the command line says that an option was not given.
    lesions, texts = lesion or None, description or None
    # All that can be seen without the model is said before its slow start.
    check_settings(description=texts, lesions=lesions, threshold=threshold)
    check_out(out)
    find_images(inputs, out, recursive=recursive)
    if model is None:
        resolve_lesions(LesionCatalog.default(), lesions)

    loaded = _model.load_model(model, revision, device, dtype)
    try:
        with _stop_on_sigterm():
            report = segment_folder(
                loaded,
                inputs,
                out,
                lesions=lesions,
                description=texts,
                threshold=threshold,
                overlays=not no_overlay,
                recursive=recursive,
                overwrite=overwrite,
                progress=not quiet,
            )
    except KeyboardInterrupt:
        typer.echo(
            f"Stopped. What is finished is kept in {out}; the same command goes on from there.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    except OutputError as error:
        fail(ctx, error, SOME_FAILED)
    if not quiet:
        _show(report)
    if report.failures:
        total = len(report.done) + len(report.skipped) + len(report.failures)
        first = report.failures[0]
        typer.echo(
            f"Error: {len(report.failures)} of {total} images failed, the first {first.image}: "
            f"{' '.join(first.message.split())} (all are listed in {out / 'run.json'})",
            err=True,
        )
        raise typer.Exit(SOME_FAILED)


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """Let a polite request to end do what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(report: FolderReport) -> None:
    """Print how the run went: a line a lesion."""
    from tp_drseg.cli._table import show_table

    lesions: dict[str, list[dict[str, Any]]] = {}
    for row in report.rows:
        lesions.setdefault(row["lesion"], []).append(row)
    table = []
    for name, rows in lesions.items():
        regions = [row["regions"] for row in rows]
        area = sum(row["area_percent_of_field_of_view"] for row in rows) / len(rows)
        found = f"{sum(n > 0 for n in regions)} of {len(rows)}"
        table.append((name, found, str(sum(regions)), f"{area:.3f}"))
    show_table(["lesion", "images with it", "regions", "mean area, % of field of view"], table)
    typer.echo(
        f"{len(report.done)} done, {len(report.skipped)} done before, "
        f"{len(report.failures)} failed, in {report.seconds:.1f} s. Results: {report.out}"
    )
