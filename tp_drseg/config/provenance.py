"""Where weights come from, and which photographs they have seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, JsonValue

from tp_drseg.config.base import FrozenConfig

MOST_PHOTOGRAPHS = 200_000


class LearnedPhotograph(FrozenConfig):
    """A photograph that a model has learned from, known again by its content.

    Attributes:
        name: Its name in the data set, such as the stem of its file.
        sha256: SHA-256 of the file's bytes, in lower-case hexadecimal digits.
    """

    name: Annotated[str, Field(min_length=1, max_length=255)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ReportedScore(FrozenConfig):
    """One figure of a model, as the model card and the Hub show it.

    Attributes:
        dataset: The photographs it was measured on, in words.
        dataset_type: The data set's short name, such as `idrid`.
        metric: The metric's short name, such as `average_precision`.
        metric_name: The metric with its convention, in words.
        lesion: Name of the lesion, or `mean`.
        value: The figure.

    Example:
        >>> ReportedScore(
        ...     dataset="11 photographs of IDRiD", dataset_type="idrid", metric="dice",
        ...     metric_name="Dice, pooled over all pixels", lesion="mean", value=0.56,
        ... ).value
        0.56
    """

    dataset: Annotated[str, Field(max_length=1000)]
    dataset_type: Annotated[str, Field(max_length=100)]
    metric: Annotated[str, Field(max_length=100)]
    metric_name: Annotated[str, Field(max_length=1000)]
    lesion: Annotated[str, Field(max_length=255)]
    value: float


Photographs = Annotated[tuple[LearnedPhotograph, ...], Field(max_length=MOST_PHOTOGRAPHS)]


class Provenance(FrozenConfig):
    """Where a model's weights come from.

    Attributes:
        parent: Model id and revision of the checkpoint that this one was trained from.
        facts: Free-form facts about the training, shown on the model card: a heading, and below
            it a text, a mapping, or a mapping of mappings for a table.
        photographs: The photographs that the weights learned from, those of the parent included.
        selected_on: The photographs that chose operating points or the best of several states:
            no step learned from them, but figures on them flatter.
        scores: Figures that the card and the Hub show.

    Example:
        >>> Provenance(parent="org/eyes@abc", facts={"Training": "300 steps."}).photographs
        ()
    """

    parent: Annotated[str, Field(max_length=1000)] | None = None
    facts: Mapping[str, JsonValue] = Field(default_factory=dict)
    photographs: Photographs = ()
    selected_on: Photographs = ()
    scores: Annotated[tuple[ReportedScore, ...], Field(max_length=1000)] = ()
