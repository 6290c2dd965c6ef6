"""Which photographs learn and which measure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tp_drseg.config import LearnedPhotograph, Provenance
from tp_drseg.data import Sample, fingerprint, read_dataset, read_graded, read_lesion_free
from tp_drseg.data import split_folds as folded
from tp_drseg.data.check import check
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.run_config import DataConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSplit:
    """Which photographs learn and which measure; no photograph does both.

    Attributes:
        training: Annotated photographs, then lesion-free ones.
        validation: Annotated photographs.
        lesion_free: Lesion-free photographs for validation.
        unlabelled: Photographs without masks, to learn from.
        kept_out: Photographs without masks that nothing is learned from and nothing chosen on.
    """

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...] = ()
    lesion_free: tuple[Sample, ...] = ()
    unlabelled: tuple[Sample, ...] = ()
    kept_out: tuple[Sample, ...] = ()

    @property
    def learned(self) -> tuple[Sample, ...]:
        """All that the weights learn from."""
        return (*self.training, *self.unlabelled)

    def to_dict(self) -> dict[str, Any]:
        """Return names and fingerprints, for the run's folder."""
        return {
            part: {
                "photographs": [sample.name for sample in samples],
                "fingerprint": fingerprint(samples),
            }
            for part, samples in vars(self).items()
            if samples
        }


def split_data(data: DataConfig, catalog: LesionCatalog, lesions: Sequence[str]) -> DataSplit:
    """Read a data set, open every file of it once, and divide it.

    Args:
        data: Where it is, and how to divide it.
        catalog: The lesions that the model knows.
        lesions: Those of them that learn; masks of others are left out.

    Raises:
        DataError: Something is missing or cannot be used; all that is found is named.
    """
    samples = [
        replace(sample, masks={k: v for k, v in sample.masks.items() if k in lesions})
        for sample in read_dataset(
            Path(data.root), data.format, data.split, catalog, max_pixels=data.max_pixels
        )
    ]
    training, validation = folded(samples, data.folds, data.fold) if data.folds else (samples, [])
    free: list[Sample] = []
    if data.lesion_free is not None:
        free = read_lesion_free(Path(data.lesion_free), lesions, max_pixels=data.max_pixels)
    kept = max(0, len(free) - data.lesion_free_held_out)
    graded = read_graded(
        [Path(folder) for folder in data.unlabelled],
        None if data.grades is None else Path(data.grades),
        lesions,
        data.unlabelled_held_out,
        max_pixels=data.max_pixels,
    )
    healthy, unlabelled = _by_health(graded.learning, lesions)
    healthy_kept_out, kept_out = _by_health(graded.kept_out, lesions)
    learning, learning_free, measuring, measuring_free, unlabelled, kept_out = (
        part[: data.limit]
        for part in (
            training, [*free[:kept], *healthy], validation, [*free[kept:], *healthy_kept_out],
            unlabelled, kept_out,
        )
    )  # fmt: skip
    split = DataSplit(
        (*learning, *learning_free),
        tuple(measuring),
        tuple(measuring_free),
        tuple(unlabelled),
        tuple(kept_out),
    )
    survey = check([sample for part in vars(split).values() for sample in part], lesions)
    logger.info("%s", survey.text())
    return split


def _by_health(
    samples: Sequence[Sample], lesions: Sequence[str]
) -> tuple[list[Sample], list[Sample]]:
    """Divide photographs without masks into those without any lesion and all others."""
    healthy = [s for s in samples if s.masks.keys() >= {*lesions}]
    return healthy, [s for s in samples if not s.masks.keys() >= {*lesions}]


def content(samples: Sequence[Sample]) -> tuple[LearnedPhotograph, ...]:
    """Return name and content hash of photographs, by which they are known again.

    Raises:
        DataError: A photograph cannot be read.
    """
    return tuple(LearnedPhotograph(name=s.name, sha256=s.sha256) for s in samples)


def warn_of_learned(provenance: Provenance, validation: Sequence[Sample]) -> None:
    """Log which validation photographs the parent has learned from: figures on them flatter.

    Raises:
        DataError: A photograph cannot be read.
    """
    known = {photograph.sha256 for photograph in provenance.photographs}
    learned = [s.name for s in validation if known and s.sha256 in known]
    if learned:
        logger.warning(
            "The model that this run starts from has learned from %d of the %d validation "
            "photographs (%s): figures on them flatter. Choose another fold, or other photographs.",
            len(learned), len(validation), ", ".join(learned),
        )  # fmt: skip
