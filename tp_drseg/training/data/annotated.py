"""Annotated photographs in their working frame, ready for cutting crops."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tp_drseg._runtime.files import atomic_write
from tp_drseg.data import MaskFile, Sample, read_ignored, read_mask
from tp_drseg.images import Frame, read_fundus

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnnotatedImage:
    """One annotated photograph, its field of view padded to a square.

    Attributes:
        name: the sample's name.
        image: `(3, d, d)` uint8 RGB, black outside of the photograph.
        masks: `(L, d, d)` uint8, 1 on lesion, one mask a lesion of the catalog.
        field_of_view: `(1, d, d)` uint8, 1 inside.
        ignored: `(L, d, d)` uint8, 1 where a mask says neither lesion nor background; None when
            there is no such pixel.
        annotated: which of the L lesions were looked for when the photograph was annotated; None
            for all.
    """

    name: str
    image: Tensor
    masks: Tensor
    field_of_view: Tensor
    ignored: Tensor | None = None
    annotated: tuple[bool, ...] | None = None

    def knows(self, lesion: int) -> bool:
        """Whether the lesion of that place in the catalog was annotated."""
        return self.annotated is None or self.annotated[lesion]


def load_annotated(sample: Sample, lesions: Sequence[str], diameter: int) -> AnnotatedImage:
    """Reads a sample and scales its field of view to `diameter` pixels.

    Raises:
        ImageError: when the photograph cannot be read.
        DataError: when a mask cannot be read or has another size than the photograph.
    """
    pixels = _pixels(sample, lesions, diameter)
    return _annotated(sample, lesions, pixels)


def load_cached(
    samples: Sequence[Sample], lesions: Sequence[str], diameter: int, cache: Path
) -> list[AnnotatedImage]:
    """Reads samples as `load_annotated` does, into files of `cache` that are mapped into memory.

    So a data set larger than the memory can be trained on, and a run that is started again does
    not read the photographs anew.

    Raises:
        ImageError, DataError: see `load_annotated`.
        OutputError: when `cache` cannot be written.
    """
    photographs = []
    for number, sample in enumerate(samples, 1):
        path = cache / f"{_key(sample, lesions, diameter)}.npy"
        if not path.exists():
            with atomic_write(path) as file:
                np.save(file, _pixels(sample, lesions, diameter))
            logger.info("read %d of %d photographs: %s", number, len(samples), sample.name)
        # copy on write: torch warns about memory that cannot be written
        photographs.append(_annotated(sample, lesions, np.load(path, mmap_mode="c")))
    return photographs


def _pixels(sample: Sample, lesions: Sequence[str], diameter: int) -> NDArray[np.uint8]:
    """Image, field of view, masks, and ignored pixels if there are any: `(4 + L or 2 L, d, d)`."""
    fundus = read_fundus(sample.image)
    if fundus.doubt is not None:
        logger.warning("%s: %s", sample.name, fundus.doubt)
    image, field_of_view = fundus.pixels, fundus.field_of_view
    size = (image.shape[0], image.shape[1])
    frame = Frame.fit(field_of_view, diameter)
    planes = [*np.moveaxis(frame.apply(image), -1, 0), frame.apply_mask(field_of_view.mask) >= 0.5]
    sources = [sample.masks.get(lesion) for lesion in lesions]
    for source in sources:
        mask = read_mask(source, size)
        planes.append(frame.apply_mask(mask) >= 0.5 if mask.any() else np.zeros(frame.size, bool))
    if any(isinstance(source, MaskFile) and source.ignored for source in sources):
        planes += [frame.apply_mask(read_ignored(source, size)) > 0 for source in sources]
    square = np.zeros((len(planes), diameter, diameter), dtype=np.uint8)
    for out, plane in zip(square, planes, strict=True):
        out[: frame.size[0], : frame.size[1]] = plane
    return square


def _annotated(sample: Sample, lesions: Sequence[str], pixels: NDArray[np.uint8]) -> AnnotatedImage:
    tensor, end = torch.from_numpy(pixels), 4 + len(lesions)
    return AnnotatedImage(
        name=sample.name,
        image=tensor[:3],
        field_of_view=tensor[3:4],
        masks=tensor[4:end],
        ignored=tensor[end:] if len(tensor) > end else None,
        annotated=tuple(lesion in sample.masks for lesion in lesions),
    )


def _key(sample: Sample, lesions: Sequence[str], diameter: int) -> str:
    """Changes with the files' names, sizes and times, and with what is read of them."""
    digest = hashlib.sha256(f"{sample.name} {diameter} {tuple(lesions)}".encode())
    for source in (sample.image, *(sample.masks.get(lesion) for lesion in lesions)):
        path = source.path if isinstance(source, MaskFile) else source
        stamp = None  # also of a file that is missing: reading it says so
        if path is not None and path.exists():
            stamp = (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        digest.update(f"{source if isinstance(source, MaskFile) else ''}{stamp}".encode())
    return digest.hexdigest()[:24]
