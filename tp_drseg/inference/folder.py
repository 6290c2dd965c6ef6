"""Segment many photographs into one output folder; stop and go on at any time."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

from tp_drseg import __version__
from tp_drseg.errors import (
    ConfigError,
    FundusWarning,
    LesionError,
    OutputError,
    PromptError,
)
from tp_drseg.export.csv import write_lesions_csv
from tp_drseg.export.records import ImageRecord, RecordStore, file_sizes, open_store
from tp_drseg.files import output_error, remove_leftovers, write_json
from tp_drseg.inference.photographs import (
    Inputs,
    Photograph,
    file_hash,
    find_images,
    settle_names,
)

if TYPE_CHECKING:
    from tp_drseg.inference.result import Segmentation
    from tp_drseg.lesions import Lesion, LesionCatalog

logger = logging.getLogger(__name__)


class Segmenter(Protocol):
    """What a folder run needs of a model; ``TPDRSeg`` has it."""

    @property
    def catalog(self) -> LesionCatalog: ...  # noqa: D102
    @property
    def model_id(self) -> str: ...  # noqa: D102
    @property
    def revision(self) -> str | None: ...  # noqa: D102

    @property
    def segment(self) -> Callable[..., Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Failure:
    """One image that could not be segmented.

    Attributes:
        image: Its name under the output folder.
        source: Absolute path of the photograph.
        error: Type of the error.
        message: What it said.
    """

    image: str
    source: str
    error: str
    message: str


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
    labels = _file_labels(chosen)
    photographs = find_images(inputs, out, recursive=recursive)
    settings = _settings(model, chosen, description, threshold, overlays)
    with open_store(out) as store:
        photographs = settle_names(photographs, store)
        for folder in {out, *((out / photograph.name).parent for photograph in photographs)}:
            remove_leftovers(folder)
        run = _Run(
            model,
            store,
            photographs,
            labels,
            description,
            threshold,
            overlays,
            settings,
        )
        return run(overwrite=overwrite, progress=progress)


def check_settings(
    *,
    description: str | Sequence[str] | None,
    lesions: str | Sequence[str] | None,
    threshold: float | None,
) -> None:
    """Refuse settings that can be seen to be wrong without a model.

    Raises:
        PromptError: The threshold is out of range, or the description is empty or not for exactly
            one lesion.
    """
    if threshold is not None and not 0 <= threshold <= 1:  # also refuses NaN
        raise PromptError(f"threshold must be in [0, 1], got {threshold}")
    if description is not None:
        texts = [description] if isinstance(description, str) else list(description)
        if not texts or not all(text.strip() for text in texts):
            raise PromptError("the description is empty: say how the lesion looks")
        if lesions is None or (not isinstance(lesions, str) and len(lesions) != 1):
            raise PromptError("a description is for exactly one lesion: name that lesion too")


def check_out(out: Path) -> None:
    """Refuse an output folder that can be seen to be not writable; nothing is made.

    Raises:
        OutputError: It is a file, lies below a file, or may not be written.
    """
    try:
        existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise output_error(out, error) from error
    if not existing.is_dir():
        raise OutputError(
            f"cannot write into {out}: {existing} is a file, not a folder; choose another folder"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write into {out}: permission denied; choose a folder where you may write"
        )


def resolve_lesions(
    catalog: LesionCatalog, lesions: str | Sequence[str] | None
) -> tuple[Lesion, ...]:
    """The lesions asked for, each once; all of the catalog for None.

    Raises:
        LesionError: The catalog does not know one of them, or the list is empty.
    """
    if lesions is None:
        return tuple(catalog)
    names = [lesions] if isinstance(lesions, str) else list(lesions)
    if not names:
        raise LesionError("the list of lesions is empty; name at least one, or give None for all")
    return tuple({lesion.name: lesion for lesion in map(catalog.resolve, names)}.values())


def _settings(
    model: Segmenter,
    lesions: Sequence[Lesion],
    description: str | Sequence[str] | None,
    threshold: float | None,
    overlays: bool,
) -> dict[str, Any]:
    """All that decides the results of an image, as JSON data."""
    texts = [description] if isinstance(description, str) else description and list(description)
    return {
        "version": __version__,
        "model": model.model_id,
        "revision": model.revision,
        "weights": _fingerprint(model),
        "lesions": sorted(lesion.name for lesion in lesions),
        "description": texts,
        "threshold": threshold,
        "overlays": overlays,
    }


def _fingerprint(model: Segmenter) -> str | None:
    """Hash of a model's config and weights, so that one trained further is told from before.

    None for a model that has no weights of its own.
    """
    if not hasattr(model, "state_dict"):
        return None
    import torch

    digest = hashlib.sha256(repr(getattr(model, "config", None)).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


@dataclass
class _Run:
    """One pass over the photographs."""

    model: Segmenter
    store: RecordStore
    photographs: Sequence[Photograph]
    labels: Mapping[str, str]
    description: str | Sequence[str] | None
    threshold: float | None
    overlays: bool
    settings: dict[str, Any]
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()
        self.started = _now()
        self.start = time.perf_counter()

    def __call__(self, *, overwrite: bool, progress: bool) -> FolderReport:
        written, cost = float("-inf"), 0.0
        try:
            for photograph in tqdm(self.photographs, disable=not progress, unit="image"):
                self._take(photograph, overwrite)
                now = time.perf_counter()
                # The tables grow with the run: spend at most a tenth of the time on them.
                if now - written > 10 * cost:
                    self._write_tables("running")
                    written = time.perf_counter()
                    cost = written - now
            self._write_tables("finished")
        except BaseException:
            with suppress(OutputError):
                self._write_tables("stopped")
            raise
        return FolderReport(
            out=self.store.out,
            done=tuple(self.done),
            skipped=tuple(self.skipped),
            failures=tuple(self.failures),
            rows=tuple(
                row for name in self.done + self.skipped for row in self.store.records[name].rows
            ),
            seconds=time.perf_counter() - self.start,
        )

    def _take(self, photograph: Photograph, overwrite: bool) -> None:
        try:
            sha256 = file_hash(photograph.path)
            if not overwrite and self._is_done(photograph, sha256):
                self.skipped.append(photograph.name)
                return
            self.store.discard(photograph.name)
            record = self._segment(photograph, sha256)
            self.store.finish(record)
        except (OutputError, LesionError, PromptError, ConfigError):
            raise  # not about this image: every other one would fail in the same way
        except Exception as error:
            logger.warning("%s failed: %s", photograph.name, error)
            logger.debug("%s", photograph.path, exc_info=True)
            self.failures.append(
                Failure(photograph.name, str(photograph.path), type(error).__name__, str(error))
            )
        else:
            logger.info("%s: done in %.1f s", photograph.name, record.seconds)
            self.done.append(photograph.name)

    def _is_done(self, photograph: Photograph, sha256: str) -> bool:
        record = self.store.records.get(photograph.name)
        return (
            record is not None
            and (record.sha256, record.settings) == (sha256, self.digest)
            and self.store.is_whole(record)
        )

    def _segment(self, photograph: Photograph, sha256: str) -> ImageRecord:
        start = time.perf_counter()
        with _fundus_warnings() as messages:
            results = self._ask(photograph.path)
        for message in messages:
            logger.warning("%s: %s", photograph.name, message)
        return ImageRecord(
            image=photograph.name,
            source=str(photograph.path),
            sha256=sha256,
            settings=self.digest,
            files=file_sizes(self.store.out, self._write(photograph.name, results)),
            rows=[{"image": photograph.name, **r.measurements()} for r in results.values()],
            warnings=messages,
            seconds=round(time.perf_counter() - start, 3),
            finished=_now(),
        )

    def _ask(self, path: Path) -> Mapping[str, Segmentation]:
        names = list(self.labels)
        if self.description is None:
            results: Mapping[str, Segmentation] = self.model.segment(
                path, names, threshold=self.threshold
            )
            return results
        result: Segmentation = self.model.segment(
            path, names[0], description=self.description, threshold=self.threshold
        )
        return {result.lesion: result}

    def _write(self, image: str, results: Mapping[str, Segmentation]) -> list[str]:
        """Write the pictures of one image; returns their paths under the output folder."""
        out, names = self.store.out, []
        for lesion, result in results.items():
            names.append(f"{image}.{self.labels[lesion]}.mask.png")
            result.save(out / names[-1])
            if self.overlays:
                names.append(f"{image}.{self.labels[lesion]}.overlay.jpg")
                result.save(out / names[-1], "overlay")
        if self.overlays and len(results) > 1:
            from tp_drseg.export.picture import save_picture
            from tp_drseg.inference.result import overlay_all

            names.append(f"{image}.overlay.jpg")
            save_picture(overlay_all(results), out / names[-1])
        return names

    def _write_tables(self, status: str) -> None:
        """Write ``lesions.csv`` and ``run.json`` from the records."""
        records = [record for _, record in sorted(self.store.records.items())]
        out = self.store.out
        write_lesions_csv(out / "lesions.csv", (row for record in records for row in record.rows))
        counts = Counter(done=len(self.done), skipped=len(self.skipped))
        counts["failed"] = len(self.failures)
        images = [
            {
                "image": record.image,
                "source": record.source,
                "status": state,
                "seconds": record.seconds,
                "finished": record.finished,
                "warnings": record.warnings,
            }
            for state, names in (("done", self.done), ("skipped", self.skipped))
            for record in map(self.store.records.__getitem__, names)
        ]
        write_json(
            out / "run.json",
            {
                "status": status,
                "started": self.started,
                "updated" if status == "running" else "finished": _now(),
                "seconds": round(time.perf_counter() - self.start, 3),
                "versions": {
                    "tp-drseg": __version__,
                    "torch": _package_version("torch"),
                    "python": platform.python_version(),
                    "platform": platform.platform(),
                },
                "device": str(getattr(self.model, "device", None)),
                "dtype": str(getattr(self.model, "dtype", None)),
                "settings": self.settings,
                "counts": {
                    "images": len(self.photographs),
                    **counts,
                    "remaining": len(self.photographs) - counts.total(),
                },
                "images": images,
                "failures": [asdict(failure) for failure in self.failures],
            },
        )


def _package_version(package: str) -> str | None:
    """Version of an installed package, without importing it; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _file_labels(lesions: Iterable[Lesion]) -> dict[str, str]:
    """Abbreviations as they appear in file names, by lesion."""
    labels = {x.name: re.sub(r"[^\w-]", "_", x.abbreviation) for x in lesions}
    if len({label.casefold() for label in labels.values()}) < len(labels):
        raise LesionError(f"abbreviations give the same file name twice, rename one: {labels}")
    return labels


@contextmanager
def _fundus_warnings() -> Iterator[list[str]]:
    """Collect what the block warns about the photograph; other warnings pass through."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FundusWarning)
        yield messages
    for warning in caught:
        if issubclass(warning.category, FundusWarning):
            messages.append(str(warning.message))
        else:
            warnings.showwarning(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
