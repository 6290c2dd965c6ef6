"""From which probability on each lesion is marked, chosen on validation photographs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tp_drseg.config import OperatingPoint
from tp_drseg.data import Sample
from tp_drseg.errors import DataError
from tp_drseg.evaluation.metrics import PixelCurve
from tp_drseg.evaluation.predictions import predictions

if TYPE_CHECKING:
    from tp_drseg.model import TPDRSeg

logger = logging.getLogger(__name__)


def choose_operating_points(
    model: TPDRSeg,
    samples: Sequence[Sample],
    *,
    lesion_free: Sequence[Sample] = (),
    most_marked: float | None = 0.0002,
    chosen_on: str | None = None,
) -> dict[str, OperatingPoint]:
    """Choose a threshold for each lesion, and store it in the model's config.

    It is the threshold of the highest pooled Dice on `samples` among those that keep the limit on
    `lesion_free`; of equals the highest. A lesion that none of the samples has keeps the operating
    point it had.

    Args:
        model: The model.
        samples: Annotated photographs. They should be neither those it was trained on, where it is
            too sure of itself, nor those that figures are reported on, which would flatter.
        lesion_free: Photographs without any lesion; one that they do not name has no limit.
        most_marked: Which share of the field of view, mean over `lesion_free`, may be marked, in
            [0, 1]; `None` for no limit.
        chosen_on: What to say about the photographs; by default their number and names.

    Returns:
        The operating points chosen, by lesion name, with the pooled sensitivity and precision that
        they give on `samples`.

    Raises:
        ImageError: A photograph cannot be read.
        DataError: A mask cannot be read, `most_marked` is out of range, or a lesion's limit cannot
            be kept with any threshold.
    """
    if most_marked is not None and not 0 <= most_marked <= 1:
        raise DataError(
            f"most_marked is a share of the field of view in [0, 1], not {most_marked}."
        )
    curves = {x.name: PixelCurve() for x in model.catalog}
    for prediction in predictions(model, samples):
        curve = curves[prediction.lesion]
        curve.add(prediction.probability, prediction.truth, prediction.scored)
    limit = most_marked if lesion_free else None
    marked = _marked(model, lesion_free) if limit is not None else {}
    text = _text(samples, lesion_free, limit) if chosen_on is None else chosen_on
    points = {}
    for name, curve in curves.items():
        if curve.positives:
            allowed = None if limit is None else marked[name] <= limit
            points[name] = _best(name, curve, allowed, text)
    model.config = model.config.replace(
        inference={"operating_points": {**model.config.inference.operating_points, **points}}
    )
    return points


def _marked(model: TPDRSeg, lesion_free: Sequence[Sample]) -> dict[str, NDArray[np.float64]]:
    """By lesion, the share marked at the threshold of each bin, mean over the photographs."""
    shares = {x.name: np.zeros(PixelCurve.thresholds().shape) for x in model.catalog}
    counts = dict.fromkeys(shares, 0)
    for prediction in predictions(model, lesion_free):
        curve = PixelCurve()
        curve.add(prediction.probability, prediction.truth, prediction.scored)
        above = curve.histogram.sum(axis=0)[::-1].cumsum()[::-1]
        shares[prediction.lesion] += above / max(1, curve.pixels)
        counts[prediction.lesion] += 1
    return {name: share / max(1, counts[name]) for name, share in shares.items()}


def _best(
    lesion: str, curve: PixelCurve, allowed: NDArray[np.bool_] | None, chosen_on: str
) -> OperatingPoint:
    other, hits = curve.histogram[:, ::-1].cumsum(axis=1)[:, ::-1]
    scores = 2 * hits / (hits + other + curve.positives)
    if allowed is not None:
        if not allowed.any():
            raise DataError(
                f"With every threshold more {lesion} is marked on the lesion-free photographs than "
                "most_marked allows: the model gives some of them a probability of 1. Allow more, "
                "or train it with such photographs."
            )
        scores = np.where(allowed, scores, -1)
    best = len(scores) - 1 - int(np.argmax(scores[::-1]))
    threshold = float(PixelCurve.thresholds()[best])
    if not hits[best]:
        logger.warning(
            "No %s is marked at its operating point %g: any threshold that marks some marks too "
            "much on the lesion-free photographs.",
            lesion,
            threshold,
        )
    marked = int(hits[best] + other[best])
    return OperatingPoint(
        threshold=threshold,
        sensitivity=round(float(hits[best] / curve.positives), 4),
        precision=round(float(hits[best] / marked), 4) if marked else None,
        chosen_on=chosen_on,
    )


def _text(samples: Sequence[Sample], lesion_free: Sequence[Sample], limit: float | None) -> str:
    text = f"{len(samples)} photographs ({', '.join(sample.name for sample in samples)})"
    if limit is None:
        return text
    return f"{text}, with at most {limit:.3%} of {len(lesion_free)} lesion-free photographs marked"
