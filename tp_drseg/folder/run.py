"""Segment many photographs into one output folder; stop and go on at any time."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tp_drseg._runtime.files import remove_leftovers
from tp_drseg.errors import OutputError
from tp_drseg.folder.background import Background
from tp_drseg.folder.photographs import (
    Inputs,
    Photograph,
    file_hash,
    find_images,
    settle_names,
)
from tp_drseg.folder.records import open_store
from tp_drseg.folder.results import (
    Failed,
    Failure,
    FolderResults,
    Outcome,
    Segmented,
    Skipped,
    attempt,
)
from tp_drseg.folder.segmenter import Segmenter, View
from tp_drseg.folder.settings import (
    check_out,
    check_settings,
    file_labels,
    resolve_lesions,
    run_settings,
)

__all__ = [
    "Failure",
    "FolderReport",
    "Segmenter",
    "check_out",
    "check_settings",
    "resolve_lesions",
    "segment_folder",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderReport:
    """How a folder run ended.

    Attributes:
        out: The output folder.
        done: Names of the images segmented in this run.
        skipped: Names of the images that were done already, with the same settings.
        failures: The images that could not be segmented.
        rows: The lines of ``lesions.csv`` for the done and the skipped images.
        seconds: Time taken by the run.
    """

    out: Path
    done: tuple[str, ...]
    skipped: tuple[str, ...]
    failures: tuple[Failure, ...]
    rows: tuple[dict[str, Any], ...]
    seconds: float


def segment_folder(
    model: Segmenter,
    inputs: Inputs,
    out: str | os.PathLike[str],
    *,
    lesions: str | Sequence[str] | None = None,
    description: str | Sequence[str] | None = None,
    threshold: float | None = None,
    overlays: bool = True,
    recursive: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> FolderReport:
    """Segment photographs and write masks, overlays and tables into one folder.

    For each image and lesion it writes ``<name>.<ABBREVIATION>.mask.png`` and, with ``overlays``,
    ``<name>.<ABBREVIATION>.overlay.jpg``; for each image with several lesions also
    ``<name>.overlay.jpg`` with all of them and a legend. ``<name>`` is the image's path below the
    input folder, its ending included, or the file's name where a file was given. Should another
    photograph hold that name already (from another input folder, or one that differs only in case),
    a tag made from the image's full path is added.

    ``lesions.csv`` has one line for each image and lesion, ``run.json`` the settings, versions,
    times and failures. An image that fails is reported and the rest goes on. Images that are done
    already with the same settings, and unchanged, are skipped. The run may be stopped in any way at
    any moment: no file is left half written under its name, and the next run does what is missing.

    While the model works on a photograph, one thread reads the next one and another writes the last
    one: at most three photographs, and the results of two, are in memory.

    Args:
        model: A ``TPDRSeg``.
        inputs: Files, folders and glob patterns. Hidden files, the output folder and, in folders
            and patterns, files of other than the usual image endings are passed over.
        out: The output folder; made if needed.
        lesions: Names, abbreviations or aliases; by default all that the model knows.
        description: Text to use instead of the catalog's; for exactly one lesion.
        threshold: Least probability of a lesion pixel, in [0, 1]; by default the model's own.
        overlays: Whether to write overlays.
        recursive: Whether to look into sub-folders.
        overwrite: Whether to do again what is done already.
        progress: Whether to show a progress bar on stderr.

    Returns:
        What was done, skipped and failed.

    Raises:
        ImageError: An input is missing, or there is no image in it.
        LesionError: The model does not know a lesion.
        PromptError: The description or the threshold cannot be used.
        OutputError: The output cannot be written; the run stops and what is finished is kept.
    """
    out = Path(out)
    check_settings(description=description, lesions=lesions, threshold=threshold)
    check_out(out)
    chosen = resolve_lesions(model.catalog, lesions)
    labels = file_labels(chosen)
    photographs = find_images(inputs, out, recursive=recursive)
    settings = run_settings(model, chosen, description, threshold, overlays)
    with open_store(out) as store:
        photographs = settle_names(photographs, store)
        for folder in {out, *((out / photograph.name).parent for photograph in photographs)}:
            remove_leftovers(folder)
        results = FolderResults(
            store,
            labels,
            overlays,
            settings,
            total=len(photographs),
            device=str(getattr(model, "device", None)),
            dtype=str(getattr(model, "dtype", None)),
        )
        run = _Run(model, results, list(labels), description, threshold, overwrite)
        try:
            run(photographs, progress=progress)
            results.write_tables("finished")
        except BaseException:
            with suppress(OutputError):
                results.write_tables("stopped")
            raise
        return FolderReport(
            out=out,
            done=tuple(results.done),
            skipped=tuple(results.skipped),
            failures=tuple(results.failures),
            rows=results.rows,
            seconds=results.seconds,
        )


@dataclass(frozen=True)
class _Opened:
    """A photograph that is ready for the model."""

    photograph: Photograph
    sha256: str
    view: View


@dataclass(frozen=True)
class _Run:
    """The three stages of each photograph: reading, the model, writing."""

    model: Segmenter
    results: FolderResults
    lesions: list[str]
    description: str | Sequence[str] | None
    threshold: float | None
    overwrite: bool

    def __call__(self, photographs: Sequence[Photograph], *, progress: bool) -> None:
        """Take the photographs through the stages, which work beside each other."""
        with (
            tqdm(total=len(photographs), disable=not progress, unit="image") as bar,
            Background[_Opened | Skipped | Failed]("tp-drseg-reader") as reader,
            Background[None]("tp-drseg-writer") as writer,
        ):
            reader.start(self._read, photographs[0])
            for following in [*photographs[1:], None]:
                taken = reader.take()
                if following is not None:
                    reader.start(self._read, following)
                outcome = self._segment(taken)
                writer.start(self.results.keep, outcome)
                del taken, outcome  # the next ones need the memory
                bar.update()
            writer.take()

    def _read(self, photograph: Photograph) -> _Opened | Skipped | Failed:
        sha256 = attempt(photograph, lambda: file_hash(photograph.path))
        if isinstance(sha256, Failed):
            return replace(sha256, is_readable=False)
        if not self.overwrite and self.results.is_done(photograph, sha256):
            return Skipped(photograph)
        return attempt(photograph, lambda: self._open(photograph, sha256))

    def _open(self, photograph: Photograph, sha256: str) -> _Opened:
        # No warnings: they are no safe way out of a thread. The view says what is to be said.
        view = self.model.open(photograph.path, keep=False, warn=False)
        view.prepare()
        return _Opened(photograph, sha256, view)

    def _segment(self, taken: _Opened | Skipped | Failed) -> Outcome:
        if not isinstance(taken, _Opened):
            return taken
        if taken.view.doubt is not None:
            logger.warning("%s: %s", taken.photograph.name, taken.view.doubt)
        return attempt(taken.photograph, lambda: self._ask(taken))

    def _ask(self, taken: _Opened) -> Segmented:
        start = time.perf_counter()
        with taken.view as view:
            if self.description is None:
                results = view.segment(self.lesions, threshold=self.threshold)
            else:
                result = view.segment(
                    self.lesions[0], description=self.description, threshold=self.threshold
                )
                results = {result.lesion: result}
        return Segmented(
            photograph=taken.photograph,
            sha256=taken.sha256,
            results=results,
            warnings=[] if taken.view.doubt is None else [taken.view.doubt],
            seconds=time.perf_counter() - start,
        )
