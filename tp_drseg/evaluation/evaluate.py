"""Scores models on annotated photographs under one declared convention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tp_drseg.config import DEFAULT_THRESHOLD, OperatingPoint
from tp_drseg.data import Sample
from tp_drseg.errors import DataError
from tp_drseg.evaluation.bootstrap import draw_weights
from tp_drseg.evaluation.convention import Pixels
from tp_drseg.evaluation.held_out import Split, divide, together
from tp_drseg.evaluation.predictions import Descriptions, Prediction, predictions
from tp_drseg.evaluation.scores import FIGURES, Evaluation, Figures, PhotographScore
from tp_drseg.evaluation.tally import Draws, LesionTally

if TYPE_CHECKING:
    from tp_drseg.lesions import LesionCatalog
    from tp_drseg.model import TPDRSeg

FROC_THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""A usual choice of thresholds for the free-response curve."""

Watch = Callable[[Prediction, NDArray[np.bool_], PhotographScore], None]
"""Sees each prediction, what is marked at the operating point, and its figures."""

Progress = Callable[[int, int], None]
"""Is told how many photographs of a model are done and how many there are, first of all none."""

Tallies = Mapping[str, LesionTally]


class Fold(NamedTuple):
    """A model and the photographs that it is scored on.

    Attributes:
        model: The model.
        samples: Annotated photographs.
        lesion_free: Photographs without any lesion, looked at apart.
    """

    model: TPDRSeg
    samples: Sequence[Sample]
    lesion_free: Sequence[Sample] = ()


def evaluate(
    model: TPDRSeg,
    samples: Sequence[Sample],
    *,
    lesion_free: Sequence[Sample] = (),
    descriptions: Descriptions = Descriptions.OWN,
    pixels: Pixels = Pixels.FIELD_OF_VIEW,
    bootstrap: int = 1000,
    seed: int = 0,
    froc: Sequence[float] = (),
    include_learned: bool = False,
    watch: Watch | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score every lesion of the model on every sample; see `conventions`.

    Photographs that the model learned from, as its configuration records them, are left out; the
    evaluation's `split` names them and says whether the others were held out.

    One photograph is held at a time. Beside it, some 0.5 MB are kept per photograph and lesion for
    the bootstrap, and next to nothing without it.

    Args:
        model: The model.
        samples: Annotated photographs.
        lesion_free: Photographs without any lesion (see `read_lesion_free`), looked at apart.
        descriptions: With which descriptions the lesions are asked for.
        pixels: Which pixels are scored.
        bootstrap: Draws of the bootstrap; 0 for no intervals.
        seed: Of the draws.
        froc: Thresholds of the free-response curve, such as `FROC_THRESHOLDS`.
        include_learned: Whether photographs that the model learned from are scored too; the
            figures are then marked as not held out.
        watch: Is called with each prediction, those of the lesion-free photographs last.
        progress: Is told of each photograph.

    Returns:
        The scores.

    Raises:
        ImageError: A photograph cannot be read.
        DataError: A mask cannot be read, a number is out of range, two photographs have one name,
            or no photograph is left that is annotated for any of the model's lesions.
    """
    return evaluate_folds(
        [Fold(model, samples, lesion_free)],
        descriptions=[descriptions],
        pixels=pixels,
        bootstrap=bootstrap,
        seed=seed,
        froc=froc,
        include_learned=include_learned,
        watch=watch,
        progress=progress,
    )[descriptions]


def evaluate_folds(
    folds: Iterable[Fold],
    *,
    descriptions: Sequence[Descriptions] = (Descriptions.OWN,),
    pixels: Pixels = Pixels.FIELD_OF_VIEW,
    bootstrap: int = 1000,
    seed: int = 0,
    froc: Sequence[float] = (),
    include_learned: bool = False,
    watch: Watch | None = None,
    progress: Progress | None = None,
) -> dict[Descriptions, Evaluation]:
    """Score several models of one recipe, each on photographs of its own, as one.

    The pixels of all folds form one pool, each marked at its own model's operating point, so that
    every photograph of a data set counts once, with a model that has not learned from it.

    Args:
        folds: Models with the same lesions. A generator may load them one by one: none is kept.
        descriptions: With which descriptions the lesions are asked for; several kinds share the
            work on a photograph.
        pixels: See `evaluate`, as for all that follow.
        bootstrap: See there.
        seed: See there.
        froc: See there.
        include_learned: See there.
        watch: See there; the lesion-free photographs of a fold come after its other ones.
        progress: See there; it begins anew with each fold.

    Returns:
        The scores by kind of descriptions.

    Raises:
        ImageError: A photograph cannot be read.
        DataError: As for `evaluate`, or the models have different lesions, or a photograph is in
            two folds.
    """
    if bootstrap < 0 or not all(0 <= level <= 1 for level in froc):
        raise DataError("bootstrap must be 0 or more, and each threshold of froc be in [0, 1].")
    pool = _Pool(descriptions, froc, keep_histograms=bootstrap > 0)
    for fold in folds:
        pool.add(fold, pixels, watch, progress, include_learned=include_learned)
        del fold  # so that its model can go before a generator loads the next
    pool.check()
    return {kind: pool.evaluation(kind, pixels, bootstrap, seed) for kind in descriptions}


class _Pool:
    """The photographs of the folds so far: annotated ones and lesion-free ones."""

    def __init__(
        self,
        descriptions: Sequence[Descriptions],
        froc: Sequence[float],
        *,
        keep_histograms: bool,
    ) -> None:
        self.descriptions = tuple(descriptions)
        self.froc = tuple(froc)
        self.keep_histograms = keep_histograms
        self.lesions: tuple[str, ...] = ()
        self.annotated: dict[Descriptions, Tallies] = {}
        self.lesion_free: dict[Descriptions, Tallies] = {}
        self._splits: list[Split] = []
        self._seen: tuple[set[str], set[str]] = (set(), set())

    def add(
        self,
        fold: Fold,
        pixels: Pixels,
        watch: Watch | None,
        progress: Progress | None,
        *,
        include_learned: bool,
    ) -> None:
        """Score the photographs of a fold with its model."""
        model = fold.model
        self._open(model.catalog)
        parts: list[list[Sample]] = []
        for samples, seen in zip((fold.samples, fold.lesion_free), self._seen, strict=True):
            _only_once(samples, seen)
            kept, split = divide(model.config.provenance, samples, include_learned=include_learned)
            self._splits.append(split)
            parts.append(kept)
        total, done = sum(map(len, parts)), 0
        if progress is not None:
            progress(done, total)
        for group, kept in zip((self.annotated, self.lesion_free), parts, strict=True):
            for sample in kept:
                for prediction in predictions(model, [sample], self.descriptions, pixels):
                    tally = group[prediction.descriptions][prediction.lesion]
                    mask, score = tally.add(prediction, _point(model, prediction.lesion))
                    if watch is not None:
                        watch(prediction, mask, score)
                done += 1
                if progress is not None:
                    progress(done, total)

    def check(self) -> None:
        """Make sure that there is something to score."""
        if not self.lesions:
            raise DataError("There is no fold to score. Give a model with photographs.")
        if any(t.photographs for group in self.annotated.values() for t in group.values()):
            return
        left_out = len(together(self._splits).left_out)
        raise DataError(
            f"There is nothing to score: the model learned from {left_out} of the photographs, and "
            "no other is annotated for its lesions. Give photographs that it has not learned from."
            if left_out
            else "There is nothing to score: no photograph is annotated for any of the model's "
            f"lesions ({', '.join(self.lesions)})."
        )

    def evaluation(
        self, kind: Descriptions, pixels: Pixels, bootstrap: int, seed: int
    ) -> Evaluation:
        """Return the figures of all that was added."""
        annotated, free = self.annotated[kind], self.lesion_free[kind]
        names = _names(annotated)
        weights = draw_weights(len(names), bootstrap, seed)  # the same draws for all lesions
        lesions = []
        for name, tally in annotated.items():
            among = [names.index(score.photograph) for score in tally.photographs]
            drawn = tally.draws(weights[:, among])
            lesions.append(tally.score(name, drawn, free[name].lesion_free_score(bootstrap, seed)))
        return Evaluation(
            descriptions=kind,
            pixels=pixels,
            lesions=tuple(lesions),
            mean=_mean([score for score in lesions if score.with_lesion]),
            photographs=tuple(names),
            lesion_free=tuple(_names(free)),
            split=together(self._splits),
            bootstrap=bootstrap,
            seed=seed,
        )

    def _open(self, catalog: LesionCatalog) -> None:
        """Start with the lesions of the first fold's model; the others must have the same."""
        lesions = tuple(catalog.names)
        for lesion in catalog if Descriptions.HELD_OUT in self.descriptions else ():
            if not lesion.held_out:
                raise DataError(
                    f"{lesion.name} has no held-out descriptions. Add some to the catalog, or ask "
                    "with the model's own alone."
                )
        if not self.lesions:
            self.lesions = lesions
            for kind in self.descriptions:
                self.annotated[kind] = {
                    name: LesionTally(self.froc, keep_histograms=self.keep_histograms)
                    for name in lesions
                }
                self.lesion_free[kind] = {name: LesionTally() for name in lesions}
        elif lesions != self.lesions:
            raise DataError(
                f"The models of the folds have different lesions: {', '.join(self.lesions)} and "
                f"{', '.join(lesions)}. Evaluate them apart."
            )


def _only_once(samples: Sequence[Sample], seen: set[str]) -> None:
    for sample in samples:
        if sample.name in seen:
            raise DataError(
                f"The photograph {sample.name} is there twice. Score each once, by one model, and "
                "give each a name of its own."
            )
        seen.add(sample.name)


def _point(model: TPDRSeg, lesion: str) -> OperatingPoint:
    points = model.config.inference.operating_points
    return points.get(lesion, OperatingPoint(threshold=DEFAULT_THRESHOLD))


def _mean(lesions: Sequence[Figures]) -> Figures:
    """Mean over lesions; each draw has its own, of the same photographs for all lesions."""
    values = {
        name: float(np.mean([getattr(score, name) for score in lesions]))
        if lesions
        else float("nan")
        for name in FIGURES
    }
    draws: Draws = {}
    if lesions and all(score.draws for score in lesions):
        draws = {
            name: np.mean([score.draws[name] for score in lesions], axis=0) for name in FIGURES
        }
    return Figures(**values, draws=draws)


def _names(tallies: Tallies) -> list[str]:
    """Every photograph that was scored for some lesion, by name: so draws depend on no order."""
    return sorted({score.photograph for tally in tallies.values() for score in tally.photographs})
