"""What is known of one photograph's results: a schema, since records may come from a stranger."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from tp_drseg._runtime.schema import Count, Digest, FilePath, FromOutside, Text
from tp_drseg.folder.names import (
    DICOM_ENDINGS,
    MASK,
    OVERLAY,
    REPORT,
    THUMBNAIL,
    THUMBNAIL_FOLDER,
    is_output_name,
)
from tp_drseg.images import Verdict

MAX_LESIONS: Final = 1000

_LABEL: Final = r"\.[\w-]{1,40}"  # as `file_labels` makes them
_WHOLE: Final = "|".join(map(re.escape, (*DICOM_ENDINGS, REPORT)))
_RESULT: Final = rf"(?:{_LABEL}{re.escape(MASK)}|(?:{_LABEL})?{re.escape(OVERLAY)}|{_WHOLE})"


def _as_output_name(name: str) -> str:
    if not is_output_name(name):
        raise ValueError("no name of a photograph's results")
    return name


OutputName = Annotated[str, StringConstraints(min_length=1), AfterValidator(_as_output_name)]
Share = Annotated[float, Field(ge=0, le=1)]


class WrittenFile(FromOutside):
    """A file that this package has written.

    Attributes:
        name: Its path under the output folder, with forward slashes.
        size: Its length in bytes.
        sha256: Hash of its bytes.
    """

    name: str
    size: Count
    sha256: Digest


class LesionRow(FromOutside):
    """What was found of one lesion.

    Attributes:
        lesion: Its name in the model's catalog.
        threshold: Least probability of a lesion pixel, in [0, 1].
        regions: Number of separate regions.
        area_px: Number of lesion pixels.
        area_percent: Lesion pixels in percent of the field of view.
        mean_probability: Mean over the field of view, in [0, 1].
        max_probability: Highest in the field of view, in [0, 1].
        measurements: About the fovea, by column of `lesions.csv`.
    """

    lesion: Text
    threshold: Share
    regions: Count
    area_px: Count
    area_percent: Annotated[float, Field(ge=0, le=100)]
    mean_probability: Share
    max_probability: Share
    measurements: Annotated[dict[Text, int | float | None], Field(max_length=200)] = Field(
        default_factory=dict
    )


class ImageRecord(FromOutside):
    """The results of one photograph.

    Attributes:
        image: The photograph's name under the output folder, with forward slashes.
        source: Its absolute path.
        sha256: Hash of its bytes.
        settings: Hash of the settings that it was segmented with.
        is_complete: Whether all its files are written; if not, `files` may be there or not.
        files: What this package has written, or is about to write.
        width: Of the photograph, in px.
        height: Of the photograph, in px.
        lesions: What was found, in the order asked.
        doubts: What makes the photograph look unlike one of a fundus.
        notes: What was left out of its file, or looks odd in it.
        quality: Verdict on the photograph.
        quality_reason: Why it is not good; empty where it is.
        anatomy: Eye, disc and fovea, by column of `photographs.csv`.
        signs: What was found for the grading rules, likewise.
        identifiers: Whose it is, where that was asked for and its file says so, by column.
        seconds: Time that the model took.
        finished: When, UTC.
    """

    image: OutputName
    source: FilePath
    sha256: Digest
    settings: Digest
    is_complete: bool
    files: Annotated[tuple[WrittenFile, ...], Field(max_length=8 * MAX_LESIONS)]
    width: Count
    height: Count
    lesions: Annotated[tuple[LesionRow, ...], Field(max_length=MAX_LESIONS)]
    doubts: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    notes: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    quality: Verdict
    quality_reason: Text = ""
    anatomy: Annotated[dict[Text, Text | float | None], Field(max_length=20)] = Field(
        default_factory=dict
    )
    signs: Annotated[dict[Text, int | None], Field(max_length=20)] = Field(default_factory=dict)
    identifiers: dict[Text, Text] = Field(default_factory=dict, max_length=10)
    seconds: Annotated[float, Field(ge=0)]
    finished: datetime

    @model_validator(mode="after")
    def _owns_its_files(self) -> ImageRecord:
        for file in self.files:
            if not belongs_to(file.name, self.image):
                raise ValueError(f"{file.name!r} is none of the results of {self.image!r}")
        return self


def belongs_to(file: str, image: str) -> bool:
    """Tell whether a file's name is that of a result of a photograph."""
    if file == thumbnail_name(image):
        return True
    rest = file.removeprefix(image)
    return rest != file and re.fullmatch(_RESULT, rest) is not None


def thumbnail_name(image: str) -> str:
    """Return where a photograph's thumbnail lies under the output folder."""
    return f"{THUMBNAIL_FOLDER}/{image}{THUMBNAIL}"


def now() -> datetime:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
