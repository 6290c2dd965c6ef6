"""Opening every file of a data set once, so that what is wrong is known before training starts."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image

from tp_drseg.data.files import IMAGE_FORMATS, file_sha256, refuse, some
from tp_drseg.data.masks import MaskPixels
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError
from tp_drseg.images import MIN_SIDE

logger = logging.getLogger(__name__)

_THREADS = 4
_State = Literal["present", "absent", "empty", "covers most"]


@dataclass(frozen=True)
class LesionCount:
    """How a lesion is annotated.

    Attributes:
        lesion: Its catalog name.
        present: On how many photographs its mask marks some pixel.
        absent: On how many it was annotated and is absent.
        empty: On how many a mask file of its own marks no pixel; it is taken as absent there.
        not_annotated: On how many nothing is known of it.
        files: How many mask files tell of it.
    """

    lesion: str
    present: int
    absent: int
    empty: int
    not_annotated: int
    files: int


@dataclass(frozen=True)
class Survey:
    """What a data set holds.

    Attributes:
        photographs: How many there are.
        lesions: A count for each lesion that was asked for.
        warnings: What looks wrong, or is missing, but can be used.
    """

    photographs: int
    lesions: tuple[LesionCount, ...]
    warnings: tuple[str, ...]

    def text(self) -> str:
        """A table of the lesions, and the warnings below it."""
        head = ("lesion", "present", "absent", "empty mask", "not annotated", "mask files")
        rows = [
            (c.lesion, *map(str, (c.present, c.absent, c.empty, c.not_annotated, c.files)))
            for c in self.lesions
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [f"{self.photographs} photograph{'s' if self.photographs > 1 else ''}", ""]
        for first, *rest in (head, *rows):
            cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            lines.append("  ".join([first.ljust(widths[0]), *cells]))
        return "\n".join([*lines, *(f"\nWarning: {warning}" for warning in self.warnings)])


def check(samples: Sequence[Sample], lesions: Iterable[str]) -> Survey:
    """Open every photograph and every mask once.

    Photographs are decoded at a fraction of their size, masks in full. One photograph a thread is
    in memory.

    Args:
        samples: What a reader found.
        lesions: Catalog names of the lesions whose masks are opened.

    Returns:
        What there is.

    Raises:
        DataError: A file cannot be read, a mask has another size than its photograph or values
            that are no mask, two samples have one name, or there is no photograph or no annotation
            of any of the lesions. The message has a line for each problem.
    """
    lesions = tuple(lesions)
    if not samples:
        raise DataError("There is no photograph to check.")
    names = Counter(sample.name for sample in samples)
    problems = [
        f"{n} photographs have the name {name}: "
        f"{some(str(sample.image) for sample in samples if sample.name == name)}. Rename them."
        for name, n in names.items()
        if n > 1
    ]
    if not any(lesion in sample.masks for sample in samples for lesion in lesions):
        problems.append(f"No photograph is annotated for any of: {', '.join(lesions)}.")
    found: list[dict[str, _State]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for states, wrong in pool.map(partial(_check_sample, lesions=lesions), samples):
            found.append(states)
            problems += wrong
            if len(found) % 100 == 0:
                logger.info("checked %d of %d photographs", len(found), len(samples))
    refuse(problems)
    return Survey(
        photographs=len(samples),
        lesions=tuple(_count(samples, found, lesion) for lesion in lesions),
        warnings=tuple(_warnings(samples, found, lesions)),
    )


def _check_sample(sample: Sample, lesions: tuple[str, ...]) -> tuple[dict[str, _State], list[str]]:
    """How each lesion that is annotated is marked, and what is wrong."""
    states: dict[str, _State] = {}
    problems: list[str] = []
    masks = {lesion: sample.masks[lesion] for lesion in lesions if lesion in sample.masks}
    try:
        size = _photograph_size(sample.image)
    except DataError as error:
        return states, [str(error)]
    sharing = Counter(mask.path for mask in masks.values() if mask is not None)
    decoded: dict[Path, MaskPixels] = {}
    for lesion, mask in masks.items():
        if mask is None:
            states[lesion] = "absent"
            continue
        try:
            if mask.path not in decoded:
                decoded[mask.path] = MaskPixels.read(mask.path, size)
            pixels = decoded[mask.path].lesion(mask)
        except DataError as error:
            if str(error) not in problems:  # a file that several lesions share
                problems.append(str(error))
            continue
        if marked := np.count_nonzero(pixels):
            states[lesion] = "covers most" if marked > pixels.size / 2 else "present"
        else:
            states[lesion] = "absent" if sharing[mask.path] > 1 else "empty"
    return states, problems


def _photograph_size(path: Path) -> tuple[int, int]:
    """Height and width of a photograph as it is shown, after making sure that it is whole."""
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as file:
            width, height = file.size
            if file.getexif().get(ExifTags.Base.Orientation) in {5, 6, 7, 8}:  # turned by 90 deg
                width, height = height, width
            file.draft(None, (width // 8, height // 8))  # spares most of the work for a JPEG
            file.load()
    except FileNotFoundError as error:
        raise DataError(f"There is no photograph {path}.") from error
    except Exception as error:  # damaged data makes Pillow's decoders raise nearly anything
        raise DataError(
            f"The photograph {path} cannot be read ({error}). Copy it anew from its source."
        ) from error
    if min(width, height) < MIN_SIDE:
        raise DataError(
            f"The photograph {path} is {height} x {width} pixels (height x width): at least "
            f"{MIN_SIDE} on each side are needed."
        )
    return height, width


def _count(
    samples: Sequence[Sample], found: Sequence[dict[str, _State]], lesion: str
) -> LesionCount:
    states = Counter(states.get(lesion) for states in found)
    return LesionCount(
        lesion=lesion,
        present=states["present"] + states["covers most"],
        absent=states["absent"],
        empty=states["empty"],
        not_annotated=states[None],
        files=sum(sample.masks.get(lesion) is not None for sample in samples),
    )


def _warnings(
    samples: Sequence[Sample], found: Sequence[dict[str, _State]], lesions: Sequence[str]
) -> list[str]:
    warnings: list[str] = []
    for lesion in lesions:
        names: defaultdict[_State | None, list[str]] = defaultdict(list)
        for sample, states in zip(samples, found, strict=True):
            names[states.get(lesion)].append(sample.name)
        if len(names[None]) == len(samples):
            warnings.append(f"{lesion} is annotated on no photograph.")
        elif not names["present"] and not names["covers most"]:
            warnings.append(f"no photograph has a {lesion}.")
        if names["empty"]:
            warnings.append(
                f"{len(names['empty'])} mask(s) of {lesion} are empty, which is taken as absent: "
                f"{some(names['empty'])}."
            )
        if names["covers most"]:
            warnings.append(
                f"{len(names['covers most'])} mask(s) of {lesion} cover more than half of the "
                f"photograph. Are they inverted? {some(names['covers most'])}."
            )
    return warnings + [
        f"{' and '.join(twins)} are the same photograph, byte for byte: they must not be on both "
        "sides of a split."
        for twins in _twins(samples)
    ]


def _twins(samples: Sequence[Sample]) -> list[list[str]]:
    """Names of the photographs whose files are equal."""
    by_size: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_size[sample.image.stat().st_size].append(sample)
    by_content: defaultdict[str, list[str]] = defaultdict(list)
    for group in by_size.values():
        for sample in group if len(group) > 1 else ():
            by_content[file_sha256(sample.image)].append(sample.name)
    return [names for names in by_content.values() if len(names) > 1]


def fingerprint(samples: Sequence[Sample]) -> str:
    """A hash of a data set, the same on every machine and in every folder.

    Args:
        samples: In any order.

    Returns:
        SHA-256 in hexadecimal over the names and contents of photographs and masks, and over the
        rules by which the masks are read.

    Raises:
        DataError: A file cannot be read.
    """
    total = hashlib.sha256()
    for sample in sorted(samples, key=lambda sample: sample.name):
        parts = [sample.name, file_sha256(sample.image)]
        for lesion, mask in sorted(sample.masks.items()):
            parts.append(lesion)
            parts += (
                ["absent"]
                if mask is None
                else [file_sha256(mask.path), repr((mask.values, mask.ignored))]
            )
        # The parts are joined by what no part contains, and the samples by another such.
        total.update("\0".join(parts).encode() + b"\1")
    return total.hexdigest()
