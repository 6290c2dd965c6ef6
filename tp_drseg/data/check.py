"""Opening every file of a data set once, so that what is wrong is known before training starts."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from tp_drseg.data.files import file_sha256, refuse, some
from tp_drseg.data.masks import MaskPixels
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError, ImageError
from tp_drseg.images import file_limit, read_fundus

logger = logging.getLogger(__name__)

_THREADS = min(4, os.cpu_count() or 1)
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
        """Return a table of the lesions, and the warnings below it."""
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

    Photographs and masks are read as training reads them, so that it finds nothing else. One
    photograph a thread is in memory.

    Args:
        samples: What a reader found.
        lesions: Catalog names of the lesions whose masks are opened.

    Returns:
        What there is.

    Raises:
        DataError: A file cannot be read, a photograph is black or uniform, a mask has another size
            than its photograph or values that are no mask, two samples have one name, or there is
            no photograph or no annotation of any of the lesions. The message has a line for each
            problem.
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
    found: list[_Checked] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for checked in pool.map(partial(_check_sample, lesions=lesions), samples):
            found.append(checked)
            problems += checked.problems
            if len(found) % 100 == 0:
                logger.info("checked %d of %d photographs", len(found), len(samples))
    refuse(problems)
    return Survey(
        photographs=len(samples),
        lesions=tuple(_count(samples, found, lesion) for lesion in lesions),
        warnings=tuple([*_odd(samples, found, lesions), *_doubtful(found), *_twins(found)]),
    )


@dataclass(frozen=True)
class _Checked:
    """What one sample was found to be.

    Attributes:
        name: The sample's.
        states: How each lesion that is annotated is marked.
        problems: What is wrong.
        doubt: Why the photograph may be no colour fundus photograph.
        sha256: The hash of its file.
    """

    name: str
    states: Mapping[str, _State]
    problems: Sequence[str]
    doubt: str | None = None
    sha256: str | None = None


def _check_sample(sample: Sample, lesions: tuple[str, ...]) -> _Checked:
    states: dict[str, _State] = {}
    problems: list[str] = []
    masks = {lesion: sample.masks[lesion] for lesion in lesions if lesion in sample.masks}
    try:
        fundus = read_fundus(sample.image, max_pixels=sample.max_pixels)
    except ImageError as error:
        return _Checked(sample.name, states, [str(error)])
    size = (fundus.pixels.shape[0], fundus.pixels.shape[1])
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
    return _Checked(sample.name, states, problems, fundus.doubt, fundus.sha256)


def _count(samples: Sequence[Sample], found: Sequence[_Checked], lesion: str) -> LesionCount:
    states = Counter(checked.states.get(lesion) for checked in found)
    return LesionCount(
        lesion=lesion,
        present=states["present"] + states["covers most"],
        absent=states["absent"],
        empty=states["empty"],
        not_annotated=states[None],
        files=sum(sample.masks.get(lesion) is not None for sample in samples),
    )


def _odd(
    samples: Sequence[Sample], found: Sequence[_Checked], lesions: Sequence[str]
) -> Iterator[str]:
    """Return what is odd about the masks of each lesion."""
    for lesion in lesions:
        names: defaultdict[_State | None, list[str]] = defaultdict(list)
        for checked in found:
            names[checked.states.get(lesion)].append(checked.name)
        if len(names[None]) == len(samples):
            yield f"{lesion} is annotated on no photograph."
        elif not names["present"] and not names["covers most"]:
            yield f"no photograph has a {lesion}."
        if names["empty"]:
            yield (
                f"{len(names['empty'])} mask(s) of {lesion} are empty, which is taken as absent: "
                f"{some(names['empty'])}."
            )
        if names["covers most"]:
            yield (
                f"{len(names['covers most'])} mask(s) of {lesion} cover more than half of the "
                f"photograph. Are they inverted? {some(names['covers most'])}."
            )


def _doubtful(found: Sequence[_Checked]) -> Iterator[str]:
    """Say which photographs may be none, and why, those of one reason together."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for checked in found:
        if checked.doubt is not None:
            names[checked.doubt].append(checked.name)
    for doubt, doubtful in names.items():
        yield f"{len(doubtful)} photograph(s) are doubtful: {some(doubtful)}. {doubt}"


def _twins(found: Sequence[_Checked]) -> Iterator[str]:
    """Say which photographs are equal."""
    names: defaultdict[str | None, list[str]] = defaultdict(list)
    for checked in found:
        names[checked.sha256].append(checked.name)
    for twins in names.values():
        if len(twins) > 1:
            yield (
                f"{' and '.join(twins)} are the same photograph, byte for byte: they must not be "
                "on both sides of a split."
            )


def fingerprint(samples: Sequence[Sample]) -> str:
    """Return a hash of a data set, the same on every machine and in every folder.

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
        parts = [sample.name, sample.sha256]
        for lesion, mask in sorted(sample.masks.items()):
            parts.append(lesion)
            parts += (
                ["absent"]
                if mask is None
                else [
                    file_sha256(mask.path, file_limit(sample.max_pixels)),
                    repr((mask.values, mask.ignored)),
                ]
            )
        # The parts are joined by what no part contains, and the samples by another such.
        total.update("\0".join(parts).encode() + b"\1")
    return total.hexdigest()
