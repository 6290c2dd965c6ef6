"""What a model marks where nothing is: places on lesion-free photographs to learn from again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from tp_drseg._runtime.files import atomic_write
from tp_drseg.data import Sample
from tp_drseg.images import Frame, pad_to_square, read_fundus
from tp_drseg.model import TPDRSeg
from tp_drseg.training.data.annotated import AnnotatedImage

logger = logging.getLogger(__name__)

_SIDE = 256
"""Cells along the longest side of the field of view."""

_SUSPECTED = 0.1
"""From this probability on a pixel is marked: below any threshold in use."""


def with_marks(
    model: TPDRSeg, samples: Sequence[Sample], images: Sequence[AnnotatedImage], folder: Path
) -> list[AnnotatedImage]:
    """Return photographs with what a model marks on those that are known to have no lesion.

    Each of those is segmented once; what was marked is kept in the folder, so that a run that goes
    on draws the same crops.

    Args:
        model: Which marks.
        samples: The photographs' files.
        images: The same photographs, framed.
        folder: Where the marks are kept.

    Raises:
        ImageError: A photograph cannot be read.
        DataError: The same.
        OutputError: The folder cannot be written.
    """
    found = []
    for sample, image in zip(samples, images, strict=True):
        free = not image.masks.any() and all(map(image.knows, range(len(image.masks))))
        marks = _marks(model, sample, folder) if free else None
        found.append(replace(image, marks=marks))
    return found


def _marks(model: TPDRSeg, sample: Sample, folder: Path) -> Tensor:
    path = folder / f"{sample.sha256}.safetensors"
    if path.exists():
        try:
            return _checked(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            logger.warning("%s is damaged (%s): the photograph is segmented anew", path, error)
    fundus = read_fundus(sample.image, max_pixels=sample.max_pixels)
    marked = np.zeros(fundus.field_of_view.mask.shape, dtype=np.bool_)
    for result in model.segment_many(sample.image, max_pixels=sample.max_pixels):
        marked |= result.probability >= _SUSPECTED
    share = Frame.fit(fundus.field_of_view, _SIDE).apply_mask(marked)
    marks = torch.from_numpy(pad_to_square(share, _SIDE)).contiguous()
    with atomic_write(path) as file:
        file.write(to_bytes({"marks": marks}))
    logger.info("marked on %s, which is lesion-free: %.3f %%", sample.name, 100 * marks.mean())
    return marks


def _checked(tensors: Mapping[str, Tensor]) -> Tensor:
    marks = tensors.get("marks")
    if marks is None or marks.shape != (_SIDE, _SIDE) or marks.dtype != torch.float32:
        raise ValueError("it holds no marks")
    if not bool(((marks >= 0) & (marks <= 1)).all()):
        raise ValueError("its marks are out of range")
    return marks
