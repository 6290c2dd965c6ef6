"""`tp-drseg segment`: masks, overlays and tables for images and folders."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg._runtime.text import one_line
from tp_drseg.cli import _model, _summary
from tp_drseg.cli._errors import INTERRUPTED, SOME_FAILED, fail
from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import (
    AccurateOption,
    DebugOption,
    Device,
    DeviceOption,
    DicomKind,
    Dtype,
    DtypeOption,
    MaxPixelsOption,
    ModelOption,
    RevisionOption,
    VerboseOption,
)
from tp_drseg.errors import OutputError, PromptError

if TYPE_CHECKING:
    from tp_drseg.inference.request import Asked


class PoorQuality(StrEnum):
    """What is done with a photograph that is not good enough."""

    warn = "warn"
    skip = "skip"
    fail = "fail"


EXAMPLES = """\b
Examples:
  tp-drseg segment photographs -o results
  tp-drseg segment eye.jpg 'more/*.png' -o results --lesion EX --lesion MA
  tp-drseg segment photographs -o results --lesion EX --description "bright yellow specks"
  tp-drseg segment photographs -o results --threshold 0.3 --threshold MA=0.2
  tp-drseg segment /media/disc/DICOMDIR -o results --dicom binary

\b
Exit codes: 0 all is done; 1 some photographs failed (the rest is done), or the output could not
be written; 2 wrong use; 130 stopped."""


def segment(
    ctx: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Images, folders, DICOMDIR files, or patterns such as 'a/*.jpg'."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for the results.")
    ],
    lesion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name, abbreviation or alias, or how it looks in plain English; may be repeated. "
            "By default every lesion that the model knows. `tp-drseg lesions` lists them.",
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
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]0..1",
            help="Least probability of a lesion pixel, for all lesions or (EX=0.3) for one. May be "
            "repeated. By default the model's own for each lesion.",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into sub-folders too.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="At most N photographs, the first by name."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be done, and do nothing.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do again what is done already.")
    ] = False,
    no_overlay: Annotated[bool, typer.Option("--no-overlay", help="Write no overlays.")] = False,
    dicom: Annotated[
        DicomKind | None,
        typer.Option(
            help="Also write DICOM for each photograph, which must be DICOM itself: a segmentation "
            "of this kind (masks or probabilities), a structured report, and a capture of the "
            "overlay. Needs the extra 'dicom'.",
        ),
    ] = None,
    keep_identifiers: Annotated[
        bool,
        typer.Option(
            "--keep-identifiers",
            help="Name patient, study and picture of DICOM photographs in photographs.csv.",
        ),
    ] = False,
    allow_failures: Annotated[
        bool,
        typer.Option(
            "--allow-failures",
            help="End with 0 although photographs failed, unless all did.",
        ),
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Also write NAME.report.html for each photograph: quality, eye, lesions by "
            "quadrant, the grid about the fovea, thresholds and texts, in one file.",
        ),
    ] = False,
    on_poor_quality: Annotated[
        PoorQuality,
        typer.Option(
            help="What to do with a photograph that is not good enough: warn (segment it and say "
            "so), skip, or fail."
        ),
    ] = PoorQuality.warn,
    pixel_spacing: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            help="Millimetres of the retina that a pixel covers, for areas and distances in mm. "
            "By default what a DICOM file says; without either there are none in mm.",
        ),
    ] = None,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    accurate: AccurateOption = False,
    max_pixels: MaxPixelsOption = MAX_PIXELS,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No bar, no warnings, no summary; errors show."),
    ] = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Segment lesions in photographs.

    Writes a mask (PNG, 0 and 255, size of the photograph) and an overlay for each image and lesion,
    photographs.csv and lesions.csv with what was found, index.html to look at it, and run.json with
    settings, versions and failures. What is done already with the same settings is skipped, so a
    run that was stopped goes on where it was.
    """
    from tp_drseg.folder.run import plan_run, run_plan
    from tp_drseg.lesions import LesionCatalog

    if quiet and not (verbose or debug):
        set_level(logging.ERROR)
    # All that can be seen without the model is said before its slow start.
    for_all, for_one = parse_thresholds(threshold or ())
    plan = plan_run(
        inputs,
        out,
        lesions=_prompts(lesion or (), description or ()),
        threshold=for_all,
        thresholds=for_one,
        overlays=not no_overlay,
        recursive=recursive,
        overwrite=overwrite,
        limit=limit,
        report=report,
        on_poor_quality=on_poor_quality.value,
        pixel_spacing=pixel_spacing,
        dicom=None if dicom is None else dicom.value,
        keep_identifiers=keep_identifiers,
        max_pixels=max_pixels,
        catalog=LesionCatalog.default() if model is None else None,
    )
    if dry_run:
        _summary.show_plan(plan)
        return
    loaded = _model.load_model(model, revision, device, dtype, accurate)
    try:
        with _stop_on_sigterm():
            ended = run_plan(
                loaded, plan, progress=not quiet, keep_memory=loaded.device.type == "cpu"
            )
    except KeyboardInterrupt:
        kept = one_line(str(out))
        typer.echo(
            f"Stopped. What is finished is kept in {kept}; the same command goes on from there.",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    except OutputError as error:
        fail(ctx, error, SOME_FAILED)
    if not quiet:
        _summary.show_report(ended)
    if ended.failures:
        is_allowed = allow_failures and bool(ended.records)
        if not (is_allowed and quiet):
            _summary.show_failures(ended, is_error=not is_allowed)
        if not is_allowed:
            raise typer.Exit(SOME_FAILED)


def _prompts(lesions: Sequence[str], descriptions: Sequence[str]) -> list[Asked] | None:
    """Return what is asked for; an empty list is how the command line says that none was given."""
    from tp_drseg.inference.request import Prompt, check_texts

    if not descriptions:
        return list(lesions) or None
    if len(lesions) != 1:
        raise PromptError("A description is for exactly one lesion. Name that one with --lesion.")
    return [Prompt(lesions[0], check_texts(descriptions))]


def parse_thresholds(texts: Sequence[str]) -> tuple[float | None, dict[str, float]]:
    """Return the threshold for all lesions, if there is one, and those for single ones by name.

    Raises:
        PromptError: A text is neither `0.3` nor `NAME=0.3`, or one is given twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise PromptError(f"--threshold takes 0.3 or EX=0.3, got {text!r}.") from None
        if ("=" in text and not name.strip()) or found.setdefault(name, value) != value:
            raise PromptError(f"--threshold {text} is given twice, or lacks a lesion's name.")
    return found.pop("", None), found


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
