"""What is done with one photograph: read, segmented, its results written.

`process` does it all, and any engine may run it: it needs nothing but the photograph, the model,
the request and the output folder. The local engine runs its three stages beside each other.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from tp_drseg._runtime.allocator import freed_memory_kept
from tp_drseg._runtime.text import visible
from tp_drseg.anatomy import Eye, Measurements, read_signs
from tp_drseg.anatomy.columns import anatomy_cells, measurement_cells, sign_cells
from tp_drseg.errors import ConfigError, ImageError, LesionError, OutputError, PromptError
from tp_drseg.folder.failure import Failure
from tp_drseg.folder.names import REPORT
from tp_drseg.folder.photographs import Photograph
from tp_drseg.folder.record import ImageRecord, LesionRow, now
from tp_drseg.folder.request import FolderRequest
from tp_drseg.folder.segmenter import Segmenter, Session
from tp_drseg.folder.store import RecordStore
from tp_drseg.images import Acquisition, FileBytes, Quality
from tp_drseg.images.decode import file_limit
from tp_drseg.images.dicom.head import is_dicom
from tp_drseg.images.read import read_source
from tp_drseg.images.source import read_file

if TYPE_CHECKING:
    from tp_drseg.export.dicom.source import DicomSource
    from tp_drseg.inference.results import Segmentations

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# of the disk, not of one photograph's name
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@dataclass(frozen=True)
class Job:
    """A photograph, and the record of it that an earlier run has left."""

    photograph: Photograph
    earlier: ImageRecord | None = None


@dataclass(frozen=True)
class Done:
    """A photograph whose results are written."""

    record: ImageRecord


@dataclass(frozen=True)
class Skipped:
    """A photograph that was done already."""

    record: ImageRecord


@dataclass(frozen=True)
class Failed:
    """A photograph without results; what is there of an earlier run stays if it was not read."""

    failure: Failure
    is_read: bool = True


@dataclass(frozen=True)
class Rejected:
    """A photograph that is not good enough, and was passed over for that."""

    failure: Failure


Outcome = Done | Skipped | Failed | Rejected


@dataclass(frozen=True)
class Opened:
    """A photograph that is ready for the model, and what there is to say of its file."""

    job: Job
    sha256: str
    session: Session
    notes: tuple[str, ...]
    dicom: DicomSource | None
    acquisition: Acquisition | None


@dataclass(frozen=True)
class Segmented:
    """What the model made of a photograph, and in how many seconds."""

    job: Job
    sha256: str
    results: Segmentations
    quality: Quality
    acquisition: Acquisition | None
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    dicom: DicomSource | None
    seconds: float


@dataclass(frozen=True)
class Step:
    """What is done with each photograph of a run."""

    model: Segmenter
    request: FolderRequest
    store: RecordStore

    def process(self, job: Job) -> Outcome:
        """Do all that is to be done with a photograph, and say how it ended.

        Raises:
            OutputError: Nothing can be written any more.
            LesionError, PromptError, ConfigError: Every other photograph would fail as well.
        """
        return self.write(job, self.segment(self.read(job)))

    def read(self, job: Job) -> Opened | Outcome:
        """Read a photograph, once: what is hashed is what is segmented."""
        photograph = job.photograph
        limit = file_limit(self.request.max_pixels)
        found = _attempt(photograph, lambda: read_file(photograph.path, limit, what="photograph"))
        if isinstance(found, Failed):
            return Failed(found.failure, is_read=False)
        if not self.request.overwrite and self._is_done(job, found.sha256):
            assert job.earlier is not None
            return Skipped(job.earlier)

        def open_and_prepare() -> Opened:
            most = self.request.max_pixels
            source = read_source(found, max_pixels=most)
            session = self.model.open_quietly(source.pixels, max_pixels=most)
            session.prepare()
            return Opened(
                job, found.sha256, session, source.notes, self._dicom(found), source.acquisition
            )

        return _attempt(photograph, open_and_prepare)

    def segment(self, taken: Opened | Outcome) -> Segmented | Outcome:
        """Ask the model."""
        if not isinstance(taken, Opened):
            return taken

        def ask() -> Segmented | Outcome:
            start = time.perf_counter()
            quality = taken.session.quality
            if quality.verdict == "reject" and self.request.on_poor_quality != "warn":
                return self._reject(taken, quality)
            with self._working():
                results = taken.session.segment_many(self.request.prompts)
                taken.session.close()
            doubt = taken.session.doubt
            return Segmented(
                job=taken.job,
                sha256=taken.sha256,
                results=results,
                quality=quality,
                acquisition=taken.acquisition,
                doubts=() if doubt is None else (doubt,),
                notes=taken.notes,
                dicom=taken.dicom,
                seconds=time.perf_counter() - start,
            )

        return _attempt(taken.job.photograph, ask)

    def write(self, job: Job, segmented: Segmented | Outcome) -> Outcome:
        """Write the results, or remove those that are no longer true.

        Raises:
            OutputError: Nothing can be written any more.
        """
        self.store.check()
        if isinstance(segmented, Segmented):
            results = segmented
            outcome: Outcome = self._attempt_to_write(job, lambda: self._write(results))
        else:
            outcome = segmented
        earlier = job.earlier
        is_gone = isinstance(outcome, Rejected) or (isinstance(outcome, Failed) and outcome.is_read)
        if is_gone and earlier is not None:
            self._attempt_to_write(job, lambda: self.store.discard(earlier))
        return outcome

    def _is_done(self, job: Job, sha256: str) -> bool:
        """Whether it was done with these settings, and nothing has changed since."""
        earlier = job.earlier
        return (
            earlier is not None
            and (earlier.sha256, earlier.settings) == (sha256, self.request.digest)
            and self.store.is_whole(earlier)
            and not (earlier.quality == "reject" and self.request.on_poor_quality != "warn")
        )

    def _reject(self, taken: Opened, quality: Quality) -> Outcome:
        photograph = taken.job.photograph
        error = ImageError(f"The photograph is not good enough. {quality.reason}")
        failure = Failure.of(photograph.name, photograph.path, error)
        is_failed = self.request.on_poor_quality == "fail"
        return Failed(failure) if is_failed else Rejected(failure)

    def _working(self) -> AbstractContextManager[None]:
        return freed_memory_kept() if self.request.keep_memory else nullcontext()

    def _write(self, segmented: Segmented) -> Done:
        from tp_drseg.folder.pictures import encode_results  # it needs torch

        photograph, results = segmented.job.photograph, segmented.results
        request, image = self.request, photograph.name
        height, width = results[0].image.shape[:2]
        measurements = self._measure(segmented)
        record = ImageRecord(
            image=image,
            source=visible(str(photograph.path)),
            sha256=segmented.sha256,
            settings=request.digest,
            is_complete=False,
            files=(),
            width=width,
            height=height,
            lesions=tuple(
                LesionRow(
                    lesion=result.lesion,
                    threshold=result.threshold,
                    regions=len(result.regions),
                    area_px=result.area_px,
                    area_percent=result.area_percent,
                    mean_probability=result.mean_probability,
                    max_probability=result.max_probability,
                    measurements=measurement_cells(measurements[result.lesion]),
                )
                for result in results
            ),
            doubts=segmented.doubts,
            notes=segmented.notes,
            quality=segmented.quality.verdict,
            quality_reason=segmented.quality.reason,
            anatomy=anatomy_cells(measurements.anatomy),
            signs=sign_cells(read_signs(measurements)),
            identifiers=self._identifiers(segmented.dicom),
            seconds=round(segmented.seconds, 3),
            finished=now(),
        )
        files = encode_results(image, results, request.labels, overlays=request.overlays)
        if request.report:
            from tp_drseg.folder.report import make_report, report_page  # it needs torch

            report = make_report(image, results, segmented.quality, measurements, self.model.config)
            files[image + REPORT] = report_page(report).encode()
        if request.dicom is not None:
            from tp_drseg.inference.dicom import encode_dicom  # it needs the extra

            assert segmented.dicom is not None
            written = encode_dicom(results, segmented.dicom, kind=request.dicom)
            files |= {image + ending: data for ending, data in written.items()}
        return Done(self.store.replace(record, files, segmented.job.earlier))

    def _measure(self, segmented: Segmented) -> Measurements:
        """Measure the lesions, with what the file says of eye and spacing."""
        results, acquisition = segmented.results, segmented.acquisition
        spacing = self.request.pixel_spacing
        if acquisition is not None:
            if acquisition.laterality is not None:
                eye: Eye = "right" if acquisition.laterality == "R" else "left"
                results = replace(results, anatomy=results.anatomy.of_eye(eye))
            spacing = acquisition.mean_spacing if spacing is None else spacing
        return results.measurements(pixel_spacing=spacing)

    def _dicom(self, file: FileBytes) -> DicomSource | None:
        """Return what DICOM results, or the tables, need of a photograph's header."""
        wants_identifiers = self.request.keep_identifiers and is_dicom(file.data[:132])
        if self.request.dicom is None and not wants_identifiers:
            return None
        from tp_drseg.export.dicom.source import read_source_header  # it needs the extra

        return read_source_header(file)

    def _identifiers(self, dicom: DicomSource | None) -> dict[str, str]:
        if dicom is None or not self.request.keep_identifiers:
            return {}
        return {
            "patient_id": str(dicom.identity.PatientID),
            "study_uid": dicom.study,
            "image_uid": dicom.sop_instance,
        }

    def _attempt_to_write(self, job: Job, step: Callable[[], Result]) -> Result | Failed:
        """Write; what concerns this photograph's files alone is its own failure."""
        try:
            return _attempt(job.photograph, step)
        except OutputError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in _OF_THE_DISK:
                raise
            self.store.probe()
            return Failed(Failure.of(job.photograph.name, job.photograph.path, error))


def _attempt(photograph: Photograph, step: Callable[[], Result]) -> Result | Failed:
    """Do one step for a photograph; an error that is about this photograph is its outcome."""
    try:
        return step()
    except (OutputError, LesionError, PromptError, ConfigError):
        raise
    except Exception as error:
        logger.debug("%s", photograph.path, exc_info=True)
        return Failed(Failure.of(photograph.name, photograph.path, error))
