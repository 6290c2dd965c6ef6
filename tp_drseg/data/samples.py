"""What every data set reader returns, and how samples are split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tp_drseg._runtime.text import visible
from tp_drseg.data.files import file_sha256, files_by_stem
from tp_drseg.data.masks import MaskFile, read_ignored, read_mask
from tp_drseg.errors import DataError
from tp_drseg.images import MAX_PIXELS, file_limit

__all__ = [
    "MaskFile",
    "Sample",
    "hold_out",
    "read_ignored",
    "read_lesion_free",
    "read_mask",
    "split_folds",
]


@dataclass(frozen=True)
class Sample:
    """One photograph and the mask files of its lesions. Nothing is opened until it is asked for.

    Attributes:
        name: Unique in its data set: in most, the stem of the image file. What is not seen in it
            (control characters, bytes that are no Unicode) is escaped, so that tables, reports and
            a checkpoint's record of what it learned from can hold it.
        image: The photograph.
        masks: Lesion catalog name to mask file. ``None`` is a lesion that was annotated and is
            absent (its mask is all zero); a lesion that is not a key was not annotated.
        disc: x and y of the optic disc's centre in original pixels; None where it is not known.
        max_pixels: The most pixels that the photograph, and so each of its masks, may have.
    """

    name: str
    image: Path
    masks: Mapping[str, MaskFile | None]
    disc: tuple[float, float] | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", visible(self.name))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the photograph's file, in hexadecimal; it is read when first asked for.

        Raises:
            DataError: The file cannot be read, or is too large for a photograph.
        """
        return file_sha256(self.image, file_limit(self.max_pixels))


def read_lesion_free(
    folder: Path, lesions: Iterable[str], *, max_pixels: int = MAX_PIXELS
) -> list[Sample]:
    """Photographs of eyes without retinopathy: every lesion annotated and absent.

    Args:
        folder: Holds the photographs, with no folder in between.
        lesions: Catalog names of the lesions that are known to be absent.
        max_pixels: The most pixels that a photograph may have, see `Sample`.

    Returns:
        One sample per photograph, sorted by name.

    Raises:
        DataError: The folder is missing or has no image, or two images have the same stem.
    """
    absent = tuple(lesions)
    return [
        Sample(name, image, dict.fromkeys(absent), max_pixels=max_pixels)
        for name, image in sorted(files_by_stem(Path(folder)).items())
    ]


def hold_out(samples: Sequence[Sample], every: int = 5) -> tuple[list[Sample], list[Sample]]:
    """Split samples into training and validation, the same way in every run.

    Sorted by name, the samples 0, ``every``, 2 ``every``, ... are for validation: 11 of IDRiD's 54.

    Args:
        samples: In any order.
        every: One in how many is held out, 2 or more.

    Returns:
        Training samples and validation samples, both sorted by name.

    Raises:
        DataError: ``every`` is below 2.
    """
    if every < 2:
        raise DataError(f"every={every} leaves no sample to train on. Use 2 or more.")
    return _take_out(samples, every, 0)


def split_folds(
    samples: Sequence[Sample], folds: int, fold: int
) -> tuple[list[Sample], list[Sample]]:
    """Training and validation samples of one fold, the same in every run.

    Sorted by name, the samples ``fold``, ``fold + folds``, ``fold + 2 folds``, ... are for
    validation: over all folds each sample is once. Fold 0 is what :func:`hold_out` takes out.

    Args:
        samples: In any order.
        folds: How many folds there are, from 2 to the number of samples.
        fold: Which one, from 0 to ``folds - 1``.

    Returns:
        Training samples and validation samples, both sorted by name.

    Raises:
        DataError: ``folds`` or ``fold`` is out of range.
    """
    if not 2 <= folds <= len(samples):
        raise DataError(
            f"{len(samples)} samples cannot be split into {folds} folds. Use 2 to {len(samples)}."
            if len(samples) > 1
            else f"Folds need 2 samples or more; there are {len(samples)}."
        )
    if not 0 <= fold < folds:
        raise DataError(f"There is no fold {fold} among {folds}. Use 0 to {folds - 1}.")
    return _take_out(samples, folds, fold)


def _take_out(
    samples: Sequence[Sample], every: int, first: int
) -> tuple[list[Sample], list[Sample]]:
    ordered = sorted(samples, key=lambda sample: sample.name)
    rest = [sample for index, sample in enumerate(ordered) if index % every != first]
    return rest, ordered[first::every]
