"""Segment many photographs into one output folder; stop and go on at any time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tp_drseg import __version__
from tp_drseg._runtime.confined import confined
from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import check_folder, remove_leftovers
from tp_drseg._runtime.progress import progress_bar
from tp_drseg.anatomy import Scale
from tp_drseg.errors import ConfigError, OutputError
from tp_drseg.export.csv import Cell
from tp_drseg.folder.failure import Failure
from tp_drseg.folder.local import run_locally
from tp_drseg.folder.names import TABLES
from tp_drseg.folder.photographs import Found, Inputs, PassedOver, find_photographs
from tp_drseg.folder.record import ImageRecord
from tp_drseg.folder.request import (
    DicomKind,
    FolderRequest,
    OnPoorQuality,
    Setting,
    Wanted,
    file_labels,
)
from tp_drseg.folder.run_log import RunLog
from tp_drseg.folder.segmenter import Segmenter
from tp_drseg.folder.settle import settle_names
from tp_drseg.folder.step import Job, Outcome, Step
from tp_drseg.folder.store import RecordStore, open_store
from tp_drseg.folder.tables import Tables, lesion_rows
from tp_drseg.images import MAX_PIXELS, file_limit
from tp_drseg.images.read import DICOM_EXTRA, DICOM_PACKAGES
from tp_drseg.inference.request import Asked, Prompt, prompt_texts, prompt_threshold
from tp_drseg.lesions import LesionCatalog


@dataclass(frozen=True)
class FolderReport:
    """How a folder run ended.

    Attributes:
        out: The output folder.
        done: Names of the photographs segmented in this run.
        skipped: Names of the photographs that were done already, with the same settings.
        failures: The photographs that could not be segmented, and folders that cannot be read.
        rejected: The photographs that were passed over since they are not good enough.
        passed_over: What lies in the inputs and was not taken.
        records: The results of the done and the skipped photographs.
        seconds: Time taken by the run.
    """

    out: Path
    done: tuple[str, ...]
    skipped: tuple[str, ...]
    failures: tuple[Failure, ...]
    rejected: tuple[Failure, ...]
    passed_over: tuple[PassedOver, ...]
    records: tuple[ImageRecord, ...]
    seconds: float

    @property
    def rows(self) -> tuple[dict[str, Cell], ...]:
        """The lines of `lesions.csv` for the done and the skipped photographs."""
        return tuple(lesion_rows(self.records))

    @property
    def doubtful(self) -> tuple[ImageRecord, ...]:
        """Those of the photographs that look unlike one of a fundus."""
        return tuple(record for record in self.records if record.doubts)


@dataclass(frozen=True)
class Plan:
    """A run that can begin: all that can be checked without a model is checked.

    Attributes:
        found: What the inputs hold.
        out: The output folder.
        wanted: What is asked of each photograph.
        overlays: Whether to write overlays.
        overwrite: Whether to do again what is done already.
        on_poor_quality: What is done with a photograph that is not good enough.
        report: Whether to write a report of each photograph.
        pixel_spacing: Millimetres of the retina that a pixel covers; None for what the files say.
        dicom: What kind of DICOM segmentation to write beside; None for no DICOM.
        keep_identifiers: Whether the tables name the patient's and the picture's identifiers.
        max_pixels: The most pixels that a photograph may have.
    """

    found: Found
    out: Path
    wanted: Wanted
    overlays: bool = True
    overwrite: bool = False
    on_poor_quality: OnPoorQuality = "warn"
    report: bool = False
    pixel_spacing: float | None = None
    dicom: DicomKind | None = None
    keep_identifiers: bool = False
    max_pixels: int = MAX_PIXELS


def plan_run(
    inputs: Inputs,
    out: str | os.PathLike[str],
    *,
    lesions: Asked | Iterable[Asked] | None = None,
    threshold: float | None = None,
    thresholds: Mapping[str, float] | None = None,
    overlays: bool = True,
    recursive: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    on_poor_quality: OnPoorQuality = "warn",
    report: bool = False,
    pixel_spacing: float | None = None,
    dicom: DicomKind | None = None,
    keep_identifiers: bool = False,
    max_pixels: int = MAX_PIXELS,
    catalog: LesionCatalog | None = None,
) -> Plan:
    """Check what can be checked before a model is loaded; nothing is written.

    Args:
        inputs: See `segment_folder`, as for all that follows.
        out: The output folder.
        lesions: What is asked of each photograph.
        threshold: For all lesions.
        thresholds: For single ones.
        overlays: Whether to write overlays.
        recursive: Whether to look into sub-folders.
        overwrite: Whether to do again what is done already.
        limit: At most this many photographs.
        on_poor_quality: What is done with a photograph that is not good enough.
        report: Whether to write a report of each photograph.
        pixel_spacing: Millimetres of the retina that a pixel covers, where the files do not say it.
        dicom: Whether to write DICOM, and of which kind.
        keep_identifiers: Whether the tables name the patient's and the picture's identifiers.
        max_pixels: The most pixels of a photograph.
        catalog: The lesions that the model will know, if that is known.

    Raises:
        ImageError: An input is missing, or there is no image in it.
        LesionError: The catalog does not know a lesion.
        PromptError: A prompt or a threshold cannot be used.
        ConfigError: The limit or the most pixels are below 1, or the pixel spacing not above 0.
        OutputError: The output folder can be seen to be not writable.
        MissingExtraError: DICOM is asked for, and its extra is not installed.
    """
    if dicom is not None:
        require(DICOM_EXTRA, *DICOM_PACKAGES, "highdicom")
    out = Path(out)
    wanted = Wanted.of(lesions, threshold, thresholds)
    if limit is not None and limit < 1:
        raise ConfigError(f"The limit is a number of photographs, at least 1, got {limit}.")
    file_limit(max_pixels)
    Scale(pixel_spacing=pixel_spacing)  # refuses one that is none
    check_folder(out)
    for name in TABLES:
        if (out / name).is_dir():
            raise OutputError(f"{out / name} is a folder. Remove it, or choose another folder.")
    if catalog is not None and not wanted.has_words(catalog):
        file_labels(wanted.prompts(catalog), catalog)
    found = find_photographs(inputs, out, recursive=recursive)
    return Plan(
        replace(found, photographs=found.photographs[:limit]),
        out,
        wanted,
        overlays=overlays,
        overwrite=overwrite,
        on_poor_quality=on_poor_quality,
        report=report,
        pixel_spacing=pixel_spacing,
        dicom=dicom,
        keep_identifiers=keep_identifiers,
        max_pixels=max_pixels,
    )


def segment_folder(
    model: Segmenter,
    inputs: Inputs,
    out: str | os.PathLike[str],
    *,
    lesions: Asked | Iterable[Asked] | None = None,
    threshold: float | None = None,
    thresholds: Mapping[str, float] | None = None,
    overlays: bool = True,
    recursive: bool = False,
    overwrite: bool = False,
    limit: int | None = None,
    on_poor_quality: OnPoorQuality = "warn",
    report: bool = False,
    pixel_spacing: float | None = None,
    dicom: DicomKind | None = None,
    keep_identifiers: bool = False,
    max_pixels: int = MAX_PIXELS,
    progress: bool = True,
) -> FolderReport:
    """Segment photographs and write masks, overlays and tables into one folder.

    For each photograph and lesion it writes `<name>.<ABBREVIATION>.mask.png` and, with `overlays`,
    `<name>.<ABBREVIATION>.overlay.jpg`; for each photograph with several lesions also
    `<name>.overlay.jpg` with all of them and a legend. `<name>` is the photograph's path below the
    input folder, its ending included, or the file's name where a file was given. A part of it that
    some disk cannot take is changed and gets a tag; so does a name that another photograph holds.

    `photographs.csv` has one line for each photograph, `lesions.csv` one for each photograph and
    lesion, `index.html` a small picture of each, and `run.json` settings, versions, times, failures
    and what was passed over. A photograph that fails is reported and the rest goes on. Those that
    are done already with the same settings, and unchanged, are skipped. The run may be stopped in
    any way at any moment: no file is left half written under its name, and the next run does what
    is missing. Nothing is replaced or removed that this package has not written: what is in the way
    is kept as `<name>.kept`.

    While the model works on a photograph, one thread reads the next one and another writes the last
    one: at most three photographs, and the results of two, are in memory.

    Args:
        model: A `TPDRSeg`.
        inputs: Files, folders and glob patterns, and DICOMDIR files for what they list. Hidden
            files, results of runs, links to folders and, in folders and patterns, files that have
            none of the usual image endings and are no DICOM photographs are passed over; the report
            names them.
        out: The output folder; made if needed.
        lesions: A name or a `Prompt`, or several; by default all that the model knows.
        threshold: Least probability of a lesion pixel, in [0, 1]; by default the model's own.
        thresholds: The same for single lesions, by any of their names.
        overlays: Whether to write overlays.
        recursive: Whether to look into sub-folders.
        overwrite: Whether to do again what is done already.
        limit: At most this many photographs, the first by name.
        on_poor_quality: What is done with a photograph whose quality is `reject`: `"warn"` segments
            it and says so, `"skip"` passes it over, `"fail"` counts it as failed.
        report: Whether to write `<name>.report.html` for each photograph, which needs nothing
            beside it.
        pixel_spacing: Millimetres of the retina that a pixel covers, for measurements in mm; by
            default what a file says, if it does.
        dicom: Also write a DICOM segmentation of this kind, a structured report and a capture of
            the overlay for each photograph, which must be DICOM too.
        keep_identifiers: Name patient, study and picture of DICOM photographs in
            `photographs.csv`, so that results can be matched with an archive. By default nothing
            but the DICOM files themselves does.
        max_pixels: A photograph of more pixels fails, before memory is taken for it; see
            `tp_drseg.images.read_image`.
        progress: Whether to show a progress bar on stderr.

    Returns:
        What was done, skipped, failed and passed over.

    Raises:
        ImageError: An input is missing, or there is no image in it.
        LesionError: The model does not know a lesion.
        PromptError: A prompt or a threshold cannot be used.
        OutputError: The output cannot be written; the run stops and what is finished is kept. Or a
            table could not be written at the end; then all photographs are done.
    """
    plan = plan_run(
        inputs,
        out,
        lesions=lesions,
        threshold=threshold,
        thresholds=thresholds,
        overlays=overlays,
        recursive=recursive,
        overwrite=overwrite,
        limit=limit,
        on_poor_quality=on_poor_quality,
        report=report,
        pixel_spacing=pixel_spacing,
        dicom=dicom,
        keep_identifiers=keep_identifiers,
        max_pixels=max_pixels,
        catalog=model.config.lesions,
    )
    return run_plan(model, plan, progress=progress)


def run_plan(
    model: Segmenter, plan: Plan, *, progress: bool = True, keep_memory: bool = False
) -> FolderReport:
    """Segment what was planned; see `segment_folder`.

    Args:
        model: A `TPDRSeg`.
        plan: From `plan_run`.
        progress: Whether to show a progress bar on stderr.
        keep_memory: Whether glibc keeps freed memory while the model works, which saves time on a
            processor; it is a setting of the whole process.

    Raises:
        LesionError, PromptError, OutputError: See `segment_folder`.
    """
    request = make_request(model, plan, keep_memory=keep_memory)
    with open_store(plan.out) as store:
        records = store.read_all()
        found = replace(
            plan.found,
            photographs=tuple(settle_names(plan.found.photographs, records, plan.max_pixels)),
        )
        log = RunLog(store, request, found, records)
        _clean(store, log)
        tables = Tables(log, {"device": model.origin.device, "dtype": model.origin.dtype})
        jobs = [Job(one, records.get(one.name)) for one in found.photographs]
        try:
            with progress_bar(len(jobs), shown=progress) as bar:

                def keep(outcome: Outcome) -> None:
                    log.keep(outcome)
                    tables.update()
                    bar.update()

                run_locally(jobs, Step(model, request, store), keep)
            log.check_results()
        except BaseException:
            with suppress(OutputError):
                tables.write("stopped")
            raise
        tables.write("finished")
        return FolderReport(
            out=plan.out,
            done=tuple(log.done),
            skipped=tuple(log.skipped),
            failures=tuple(log.failures),
            rejected=tuple(log.rejected),
            passed_over=found.passed_over,
            records=log.results,
            seconds=log.seconds,
        )


def make_request(model: Segmenter, plan: Plan, *, keep_memory: bool = False) -> FolderRequest:
    """Return what is done with each photograph of a plan by this model.

    Raises:
        LesionError: The model does not know a lesion.
        PromptError: A prompt or a threshold cannot be used.
    """
    catalog = model.config.lesions
    prompts = plan.wanted.prompts(catalog, model.matcher)
    return FolderRequest(
        prompts=prompts,
        labels=file_labels(prompts, catalog),
        overlays=plan.overlays,
        overwrite=plan.overwrite,
        on_poor_quality=plan.on_poor_quality,
        report=plan.report,
        pixel_spacing=plan.pixel_spacing,
        dicom=plan.dicom,
        keep_identifiers=plan.keep_identifiers,
        keep_memory=keep_memory,
        max_pixels=plan.max_pixels,
        settings={
            "version": __version__,
            "model": model.origin.model_id,
            "revision": model.origin.revision,
            "fingerprint": model.fingerprint(),
            "lesions": [
                _setting(model, prompt)
                for prompt in sorted(prompts, key=lambda prompt: prompt.lesion)
            ],
            "overlays": plan.overlays,
            "report": plan.report,
            "pixel_spacing": plan.pixel_spacing,
            "dicom": plan.dicom,
            "keep_identifiers": plan.keep_identifiers,
        },
    )


def _setting(model: Segmenter, prompt: Prompt) -> Setting:
    """Return what decides the results of one lesion."""
    return {
        "lesion": prompt.lesion,
        "texts": list(prompt_texts(prompt, model.config)),
        "threshold": prompt_threshold(prompt, model.config),
    }


def _clean(store: RecordStore, log: RunLog) -> None:
    """Remove what a killed run left half written where this one will write."""
    names = [photograph.name for photograph in log.found.photographs]
    folders = {store.out}
    for name in [*names, *(file.name for r in log.records.values() for file in r.files)]:
        with suppress(OutputError):  # it is said when the photograph's turn comes
            folders.add(confined(store.out, name).parent)
    for folder in folders:
        with suppress(OSError):  # a path that is too long
            remove_leftovers(folder)
