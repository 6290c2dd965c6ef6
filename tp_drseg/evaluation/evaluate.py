"""Scores a model on annotated photographs under one declared convention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tp_drseg.data import Sample
from tp_drseg.errors import DataError
from tp_drseg.evaluation.bootstrap import (
    Interval,
    draw_weights,
    pack,
    percentile_interval,
    pooled_areas,
    ratio,
)
from tp_drseg.evaluation.metrics import PixelCurve
from tp_drseg.evaluation.predictions import Descriptions, Prediction, predictions
from tp_drseg.evaluation.regions import TrueRegions
from tp_drseg.evaluation.scores import (
    CONVENTION,
    FIGURES,
    Evaluation,
    Figures,
    FrocPoint,
    LesionFreeScore,
    LesionScore,
    PhotographScore,
)

if TYPE_CHECKING:
    from tp_drseg.model import TPDRSeg

__all__ = ["CONVENTION", "FROC_THRESHOLDS", "Evaluation", "LesionScore", "Watch", "evaluate"]

FROC_THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""A usual choice of thresholds for the free-response curve."""

Watch = Callable[[Prediction, NDArray[np.bool_], PhotographScore], None]
"""Sees each prediction, what is marked at the operating point, and its figures."""


class _Tally:
    """One lesion on the photographs so far. Of each it keeps figures, and a packed histogram."""

    def __init__(self, threshold: float, froc: Sequence[float], keep_histograms: bool) -> None:
        self.threshold = threshold
        self.curve = PixelCurve()
        self.photographs: list[PhotographScore] = []
        self.histograms: list[Any] | None = [] if keep_histograms else None
        self.froc = {level: np.zeros(2, dtype=np.int64) for level in froc}

    def add(self, prediction: Prediction, watch: Watch | None) -> None:
        truth, scored = prediction.truth, prediction.scored
        curve = PixelCurve()
        curve.add(prediction.probability, truth, scored)
        self.curve.merge(curve)
        if self.histograms is not None:
            self.histograms.append(pack(curve.histogram))
        mask = prediction.marked(self.threshold)
        regions = TrueRegions(truth, prediction.ignored)
        counts = regions.match(mask)
        for level, total in self.froc.items():
            at_level = regions.match(prediction.marked(level))
            total += (at_level.found, at_level.false_finds)
        score = PhotographScore(
            photograph=prediction.photograph,
            pixels=curve.pixels,
            positives=curve.positives,
            marked=int((mask & scored).sum()),
            hits=int((mask & truth).sum()),
            average_precision=curve.average_precision(),
            roc_auc=curve.roc_auc(),
            lesions=counts.lesions,
            found=counts.found,
            finds=counts.finds,
            false_finds=counts.false_finds,
        )
        self.photographs.append(score)
        if watch is not None:
            watch(prediction, mask, score)


def evaluate(
    model: TPDRSeg,
    samples: Sequence[Sample],
    *,
    lesion_free: Sequence[Sample] = (),
    descriptions: Sequence[Descriptions] = ("own",),
    bootstrap: int = 1000,
    seed: int = 0,
    froc: Sequence[float] = (),
    watch: Watch | None = None,
) -> dict[Descriptions, Evaluation]:
    """Scores every lesion of the model on every sample; see `CONVENTION`.

    One photograph is held at a time. Beside it, some 0.5 MB are kept per photograph and lesion for
    the bootstrap, and next to nothing without it.

    Args:
        model: the model.
        samples: annotated photographs that the model was not trained on.
        lesion_free: photographs without any lesion (see `read_lesion_free`), looked at apart.
        descriptions: with which descriptions the lesions are asked for: the model's own, or the
            held-out ones that no training saw.
        bootstrap: draws of the bootstrap; 0 for no intervals.
        seed: of the draws.
        froc: thresholds of the free-response curve, such as `FROC_THRESHOLDS`.
        watch: is called with each prediction, those of the lesion-free photographs last.

    Returns:
        The scores by kind of descriptions.

    Raises:
        ImageError: a photograph cannot be read.
        DataError: a mask cannot be read, a number is out of range, or no photograph is annotated
            for any of the model's lesions.
    """
    if bootstrap < 0 or not all(0 <= level <= 1 for level in froc):
        raise DataError("bootstrap must be 0 or more, and each threshold of froc be in [0, 1].")

    def tallies(froc: Sequence[float], keep: bool) -> dict[Descriptions, dict[str, _Tally]]:
        return {
            kind: {x.name: _Tally(_threshold(model, x.name), froc, keep) for x in model.catalog}
            for kind in descriptions
        }

    annotated, free = tallies(froc, bootstrap > 0), tallies((), False)
    for group, photographs in ((annotated, samples), (free, lesion_free)):
        for prediction in predictions(model, photographs, descriptions):
            group[prediction.descriptions][prediction.lesion].add(prediction, watch)
    if not any(tally.photographs for tally in annotated[descriptions[0]].values()):
        raise DataError(
            "There is nothing to score: no photograph is annotated for any of the model's lesions "
            f"({', '.join(model.catalog.names)})."
        )
    return {
        kind: _evaluation(model, kind, annotated[kind], free[kind], bootstrap, seed)
        for kind in descriptions
    }


def _evaluation(
    model: TPDRSeg,
    kind: Descriptions,
    annotated: Mapping[str, _Tally],
    free: Mapping[str, _Tally],
    bootstrap: int,
    seed: int,
) -> Evaluation:
    names = _names(annotated)
    weights = draw_weights(len(names), bootstrap, seed)  # the same draws for all lesions
    lesions, draws = [], []
    for name, tally in annotated.items():
        among = [names.index(score.photograph) for score in tally.photographs]
        drawn = _draws(tally, weights[:, among])
        point = model.config.inference.operating_points.get(name)
        score = _score(
            name,
            tally,
            {figure: percentile_interval(values) for figure, values in drawn.items()},
            _lesion_free(free[name].photographs, bootstrap, seed),
            point.chosen_on if point else "",
        )
        lesions.append(score)
        if score.with_lesion:
            draws.append(drawn)
    return Evaluation(
        descriptions=kind,
        lesions=tuple(lesions),
        mean=_mean([score for score in lesions if score.with_lesion], draws),
        photographs=tuple(names),
        lesion_free=tuple(_names(free)),
        draws=bootstrap,
        seed=seed,
    )


def _figures(
    photographs: Sequence[PhotographScore], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """All figures but the pooled areas, each `(draws,)`, from weights `(draws, photographs)`."""

    def column(name: str) -> NDArray[np.float64]:
        return np.array([getattr(score, name) for score in photographs], dtype=np.float64)

    hits, marked, positives = (weights @ column(n) for n in ("hits", "marked", "positives"))
    figures = {
        "pooled_dice": ratio(2 * hits, marked + positives),
        "pooled_iou": ratio(hits, marked + positives - hits),
        "sensitivity": ratio(hits, positives),
        "precision": ratio(hits, marked),
        "share_found": ratio(weights @ column("found"), weights @ column("lesions")),
        "false_finds_per_photograph": ratio(weights @ column("false_finds"), weights.sum(axis=1)),
    }
    for name in ("average_precision", "roc_auc", "dice", "iou", "sensitivity", "precision"):
        exists = ~np.isnan(column(name))
        drawn = weights[:, exists]
        figures[f"{name}_per_image"] = ratio(drawn @ column(name)[exists], drawn.sum(axis=1))
    return figures


def _draws(tally: _Tally, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Every figure in every draw of the bootstrap.

    None where fewer than two photographs have the lesion: from one, nothing can be said of others.
    """
    if not weights.size or sum(score.positives > 0 for score in tally.photographs) < 2:
        return {}
    assert tally.histograms is not None
    average_precision, roc_auc = pooled_areas(tally.histograms, weights)
    return {
        "average_precision": average_precision,
        "roc_auc": roc_auc,
        **_figures(tally.photographs, weights),
    }


def _score(
    lesion: str,
    tally: _Tally,
    intervals: Mapping[str, Interval],
    lesion_free: LesionFreeScore | None,
    chosen_on: str,
) -> LesionScore:
    photographs, curve = tally.photographs, tally.curve
    number = len(photographs)
    once = _figures(photographs, np.ones((1, number)))
    lesions = sum(score.lesions for score in photographs)
    best_threshold, best_dice = curve.best_dice()
    return LesionScore(
        **{name: float(values[0]) for name, values in once.items()},
        average_precision=curve.average_precision(),
        roc_auc=curve.roc_auc(),
        intervals=intervals,
        lesion=lesion,
        photographs=number,
        with_lesion=sum(score.positives > 0 for score in photographs),
        prevalence=curve.positives / max(1, curve.pixels),
        threshold=tally.threshold,
        chosen_on=chosen_on,
        lesions=lesions,
        found=sum(score.found for score in photographs),
        false_finds=sum(score.false_finds for score in photographs),
        best_threshold=best_threshold,
        best_dice=best_dice,
        lesion_free=lesion_free,
        froc=tuple(
            FrocPoint(level, found / lesions if lesions else float("nan"), false / max(1, number))
            for level, (found, false) in sorted(tally.froc.items())
        ),
        curve=curve,
        cases=tuple(photographs),
    )


def _lesion_free(
    photographs: Sequence[PhotographScore], bootstrap: int, seed: int
) -> LesionFreeScore | None:
    if not photographs:
        return None
    shares = np.array([score.marked / max(1, score.pixels) for score in photographs])
    drawn = draw_weights(len(shares), bootstrap, seed) @ shares / len(shares)
    return LesionFreeScore(
        photographs=len(photographs),
        with_mark=int((shares > 0).sum()),
        marked_mean=float(shares.mean()),
        marked_max=float(shares.max()),
        finds_per_photograph=float(np.mean([score.finds for score in photographs])),
        interval=percentile_interval(drawn) if len(shares) > 1 and bootstrap else None,
    )


def _mean(
    lesions: Sequence[Figures], draws: Sequence[Mapping[str, NDArray[np.float64]]]
) -> Figures:
    """Mean over lesions; each draw has its own, of the same photographs for all lesions."""
    values = {
        name: float(np.mean([getattr(score, name) for score in lesions]))
        if lesions
        else float("nan")
        for name in FIGURES
    }
    intervals = {}
    if draws and all(draws):
        for name in FIGURES:
            together = np.mean([drawn[name] for drawn in draws], axis=0)
            intervals[name] = percentile_interval(together)
    return Figures(**values, intervals=intervals)


def _names(tallies: Mapping[str, _Tally]) -> list[str]:
    """Every photograph that was scored for some lesion, in the order it was seen."""
    seen = (score.photograph for tally in tallies.values() for score in tally.photographs)
    return list(dict.fromkeys(seen))


def _threshold(model: TPDRSeg, lesion: str) -> float:
    return model.config.inference.threshold(lesion)
