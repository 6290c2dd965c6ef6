"""Comparing two models on the same photographs, draw by draw of the bootstrap.

Two models are better compared on the same draws of photographs than by their own intervals: most
of what makes a figure vary, which photographs were drawn, is then the same for both and cancels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tp_drseg._runtime.files import atomic_write
from tp_drseg.errors import DataError
from tp_drseg.evaluation.bootstrap import Interval, percentile_interval
from tp_drseg.evaluation.scores import (
    FIGURES,
    Evaluation,
    Figures,
    LesionScore,
    PhotographScore,
)

MEAN = "mean"
"""Stands for the mean over lesions where a lesion's name stands otherwise."""
_KIND = "tp-drseg draws 1"


@dataclass(frozen=True)
class Drawn:
    """The figures of an evaluation and their draws, apart from the pixels that they came from.

    Attributes:
        scored: A hash of what was scored and drawn: photographs, their masks' pixels, which
            pixels counted, number and seed of the draws. Only equal ones can be compared.
        photographs: How many there were.
        figures: Each figure by lesion and by its name in `FIGURES`; the lesion `MEAN` is the mean.
        draws: Each figure's draws, `(draws,)`, likewise; none for a lesion without intervals.
    """

    scored: str
    photographs: int
    figures: Mapping[str, Mapping[str, float]]
    draws: Mapping[str, Mapping[str, NDArray[np.float64]]]

    @classmethod
    def of(cls, evaluation: Evaluation) -> Drawn:
        """Take what can be compared from an evaluation."""
        rows: dict[str, Figures] = {score.lesion: score for score in evaluation}
        rows[MEAN] = evaluation.mean
        what = [
            [evaluation.pixels, evaluation.bootstrap, evaluation.seed, evaluation.photographs],
            [
                [s.lesion, [[p.photograph, p.pixels, p.positives] for p in _by_name(s)]]
                for s in evaluation
            ],
        ]
        return cls(
            scored=hashlib.sha256(json.dumps(what).encode()).hexdigest(),
            photographs=len(evaluation.photographs),
            figures={
                lesion: {name: float(getattr(row, name)) for name in FIGURES}
                for lesion, row in rows.items()
            },
            draws={lesion: dict(row.draws) for lesion, row in rows.items() if row.draws},
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all.

        Raises:
            OutputError: The file cannot be written.
        """
        tensors = {
            f"{lesion}/{kind}": np.array([rows[lesion][name] for name in FIGURES])
            for kind, rows in (("figures", self.figures), ("draws", self.draws))
            for lesion in rows
        }
        about = {
            "kind": _KIND,
            "scored": self.scored,
            "photographs": str(self.photographs),
            "names": json.dumps(FIGURES),
        }
        with atomic_write(path) as file:
            file.write(save(tensors, about))

    @classmethod
    def load(cls, path: Path) -> Drawn:
        """Read what `save` wrote.

        Raises:
            DataError: The file cannot be read or is no such file.
        """
        try:
            with safe_open(path, "numpy") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise DataError(
                f"The draws {path} cannot be read ({error}). Write them anew with --draws."
            ) from error
        if about.get("kind") != _KIND or about.get("names") != json.dumps(FIGURES):
            raise DataError(
                f"{path} holds no draws of an evaluation by this version. Write them anew with "
                "--draws."
            )
        found: dict[str, dict[str, Mapping[str, NDArray[np.float64]]]] = {}
        for name, values in tensors.items():
            lesion, _, kind = name.rpartition("/")
            found.setdefault(kind, {})[lesion] = dict(zip(FIGURES, values, strict=True))
        return cls(
            scored=about.get("scored", ""),
            photographs=int(about.get("photographs", 0)),
            figures={
                lesion: {name: float(value) for name, value in row.items()}
                for lesion, row in found.get("figures", {}).items()
            },
            draws=found.get("draws", {}),
        )


@dataclass(frozen=True)
class Difference:
    """One figure of two models.

    Attributes:
        lesion: Catalog name, or `MEAN`.
        first: The first model's.
        second: The second model's.
        interval: 95 % interval of the first less the second, photographs drawn for both alike;
            `None` where fewer than two photographs have the lesion.
    """

    lesion: str
    first: float
    second: float
    interval: Interval | None

    @property
    def value(self) -> float:
        """The first less the second."""
        return self.first - self.second


@dataclass(frozen=True)
class Comparison:
    """One figure of two models on the same photographs; iterating gives the differences.

    Attributes:
        figure: A name in `FIGURES`.
        photographs: How many were scored.
        differences: Of each lesion that both know, then of their mean.
    """

    figure: str
    photographs: int
    differences: tuple[Difference, ...]

    def __getitem__(self, lesion: str) -> Difference:
        """Return the difference of a lesion, or of the mean (`MEAN`).

        Raises:
            KeyError: It was not compared.
        """
        for difference in self.differences:
            if difference.lesion == lesion:
                return difference
        raise KeyError(lesion)


def compare(
    first: Evaluation | Drawn, second: Evaluation | Drawn, figure: str = "average_precision"
) -> Comparison:
    """Compare two models that were evaluated on the same photographs with the same seed.

    Args:
        first: The one model's evaluation; its models' where folds were pooled.
        second: The other's.
        figure: Which figure, a name in `FIGURES`.

    Returns:
        The differences, with paired bootstrap intervals.

    Raises:
        DataError: The figure is unknown, or other photographs, masks, pixels, lesions or draws
            were used.
    """
    if figure not in FIGURES:
        raise DataError(f"There is no figure {figure!r}. Use one of: {', '.join(FIGURES)}.")
    one, other = (x if isinstance(x, Drawn) else Drawn.of(x) for x in (first, second))
    if one.scored != other.scored:
        raise DataError(
            f"The two evaluations ({one.photographs} and {other.photographs} photographs) cannot "
            "be compared: photographs, masks, scored pixels, lesions or draws differ. Evaluate "
            "both models on the same photographs with the same settings."
        )
    return Comparison(
        figure,
        one.photographs,
        tuple(
            Difference(
                lesion,
                row[figure],
                other.figures[lesion][figure],
                percentile_interval(one.draws[lesion][figure] - other.draws[lesion][figure])
                if lesion in one.draws and lesion in other.draws
                else None,
            )
            for lesion, row in one.figures.items()
        ),
    )


def _by_name(score: LesionScore) -> list[PhotographScore]:
    return sorted(score.per_photograph, key=lambda one: one.photograph)
