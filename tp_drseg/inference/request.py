"""What is asked of a photograph, checked once, for every way of asking."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tp_drseg._runtime.text import valid
from tp_drseg.config import TPDRSegConfig
from tp_drseg.errors import LesionError, PromptError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.lesions.match import LEAST_SHARE, Match

MAX_TEXTS: Final = 1000
"""Descriptions that one prompt may have."""

MAX_POINTS: Final = 1000
"""Points and boxes that one prompt may have, together."""

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Prompt:
    """One lesion to look for, in words and, where a physician wants to help, by points and boxes.

    Places are in pixels of the original photograph, x to the right and y down; (0, 0) is the
    centre of the first pixel.

    Args:
        lesion: Name, abbreviation or alias of a lesion that the model knows.
        descriptions: How the lesion looks, in place of the catalog's descriptions: one text, or
            several of one thing. Empty for the catalog's.
        point_coords: `(x, y)` of each point.
        point_labels: For each point 1 where it is on the lesion, 0 where it is beside it.
        boxes: `(left, top, right, bottom)` of each box around a lesion.
        threshold: Least probability of a lesion pixel, in [0, 1]; None for the operating point
            stored with the model.
        match: How words led to the lesion, or how a description was read that reads as that of no
            lesion; else None. Filled in by the model.

    Raises:
        PromptError: A value cannot be used; the message says which and what is allowed.

    Example:
        >>> from tp_drseg import Prompt
        >>> prompt = Prompt("EX", point_coords=[(1200, 840)], point_labels=[1], threshold=0.4)
        >>> prompt.point_coords
        ((1200.0, 840.0),)
        >>> Prompt("EX", threshold=40)
        Traceback (most recent call last):
        ...
        tp_drseg.errors.PromptError: The threshold is a probability in [0, 1], got 40.
    """

    lesion: str
    descriptions: Sequence[str] = ()
    point_coords: Sequence[Sequence[float]] = ()
    point_labels: Sequence[int] = ()
    boxes: Sequence[Sequence[float]] = ()
    threshold: float | None = None
    match: Match | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.lesion, str) or not self.lesion.strip():
            raise PromptError(f"A prompt names a lesion by a text, got {self.lesion!r}.")
        texts = (self.descriptions,) if isinstance(self.descriptions, str) else self.descriptions
        checked = {
            "descriptions": check_texts(texts) if len(texts) else (),
            "point_coords": _rows(self.point_coords, 2, "point_coords", "(x, y)"),
            "point_labels": _labels(self.point_labels),
            "boxes": _rows(self.boxes, 4, "boxes", "(left, top, right, bottom)"),
            "threshold": _threshold(self.threshold),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if len(self.point_coords) != len(self.point_labels):
            raise PromptError(
                f"There are {len(self.point_coords)} point_coords and {len(self.point_labels)} "
                f"point_labels. Give one label for each point."
            )
        if len(self.point_coords) + len(self.boxes) > MAX_POINTS:
            raise PromptError(f"A prompt takes at most {MAX_POINTS} points and boxes.")
        for left, top, right, bottom in self.boxes:
            if left >= right or top >= bottom:
                raise PromptError(
                    f"A box has left < right and top < bottom, got "
                    f"({left:g}, {top:g}, {right:g}, {bottom:g})."
                )

    @property
    def has_places(self) -> bool:
        """Whether there is a point or a box."""
        return bool(self.point_coords or self.boxes)


logger = logging.getLogger(__name__)

Asked = str | Prompt
"""A lesion's name, or a prompt for it."""


Matcher = Callable[[str], Match]
"""Says which lesion a description in plain English fits."""


def as_prompts(
    asked: Iterable[Asked] | None, catalog: LesionCatalog, match: Matcher | None = None
) -> tuple[Prompt, ...]:
    """Turn what is asked for into prompts that name each lesion as the catalog does, each once.

    Args:
        asked: Names and prompts; None for every lesion of the catalog.
        catalog: The lesions that can be asked for.
        match: See `as_prompt`.

    Raises:
        LesionError: The catalog does not know a lesion; the message lists what it knows.
        PromptError: There is nothing to ask for, or a lesion is asked for in two ways.
    """
    if isinstance(asked, (str, Prompt)):
        asked = [asked]
    found: dict[str, Prompt] = {}
    for item in catalog.names if asked is None else asked:
        prompt = as_prompt(item, catalog, match)
        if found.setdefault(prompt.lesion, prompt) != prompt:
            raise PromptError(
                f"{prompt.lesion} is asked for twice, with different prompts. Ask in two calls."
            )
    if not found:
        raise PromptError("The list of lesions is empty. Give None for every lesion.")
    return tuple(found.values())


def as_prompt(asked: Asked, catalog: LesionCatalog, match: Matcher | None = None) -> Prompt:
    """Turn a name or a prompt into a prompt that names the lesion as the catalog does.

    What is no name may be a description of one of the lesions in plain English; it is then the
    prompt's description too.

    Args:
        asked: A name, a description, or a prompt for either.
        catalog: The lesions that can be asked for.
        match: Finds the lesion that a description fits; None where the model cannot tell.

    Raises:
        LesionError: The catalog does not know the lesion, nor does the text describe one; the
            message lists what it knows.
        PromptError: It is neither a name nor a prompt.
    """
    if isinstance(asked, str):
        asked = Prompt(asked)
    if not isinstance(asked, Prompt):
        raise PromptError(f"Ask for a lesion by its name or a Prompt, got {asked!r}.")
    try:
        prompt = replace(asked, lesion=catalog.resolve(asked.lesion).name)
    except LesionError as error:
        if match is None:
            raise
        found = match(asked.lesion)
        if found.refusal:
            raise LesionError(f"{error} {found.refusal}") from error
        descriptions = asked.descriptions or (asked.lesion,)
        prompt = replace(asked, lesion=found.lesion, descriptions=descriptions, match=found)
    return prompt if match is None or prompt.match is not None else _judge(prompt, match)


def _judge(prompt: Prompt, match: Matcher) -> Prompt:
    """Say, in the log and in the prompt, when a description reads as that of no lesion at all."""
    odd = [found for text in prompt.descriptions if (found := match(text)).share < LEAST_SHARE]
    for found in odd:
        logger.warning(
            "%r is given as a description of %s. %s", found.text, prompt.lesion, found.refusal
        )
    return replace(prompt, match=odd[0]) if odd else prompt


def prompt_texts(prompt: Prompt, config: TPDRSegConfig) -> tuple[str, ...]:
    """Return the texts that a model with this configuration is asked with."""
    if prompt.descriptions:
        return tuple(prompt.descriptions)
    lesion = config.lesions.resolve(prompt.lesion)
    return lesion.texts if config.inference.text == "description" else (lesion.name,)


def prompt_threshold(prompt: Prompt, config: TPDRSegConfig) -> float:
    """Return the prompt's own threshold, or the operating point of its lesion, in [0, 1]."""
    if prompt.threshold is not None:
        return prompt.threshold
    return config.inference.threshold(prompt.lesion)


def check_texts(texts: Sequence[str] | str) -> tuple[str, ...]:
    """Return one text or several of one thing as a tuple.

    Raises:
        PromptError: There is none, one is empty or no Unicode, or there are too many.
    """
    texts = (texts,) if isinstance(texts, str) else tuple(texts)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise PromptError("A description must be a text that is not empty.")
    if any(valid(text) != text for text in texts):
        raise PromptError("A description holds bytes that are no Unicode. Type it anew.")
    if len(texts) > MAX_TEXTS:
        raise PromptError(f"{len(texts)} descriptions are too many: at most {MAX_TEXTS}.")
    return texts


def _threshold(value: float | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, (str, bool)) or not 0 <= number <= 1:  # also refuses NaN
        shown = value if isinstance(value, str | bool) else f"{number:g}"
        raise PromptError(f"The threshold is a probability in [0, 1], got {shown}.")
    return number


def _labels(values: Sequence[int]) -> tuple[int, ...]:
    try:
        labels = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        labels = (math.nan,)
    if not all(label in (0, 1) for label in labels):
        raise PromptError("A point's label must be 1 (on the lesion) or 0 (beside it).")
    return tuple(int(label) for label in labels)


def _rows(
    values: Sequence[Sequence[float]], width: int, name: str, form: str
) -> tuple[tuple[float, ...], ...]:
    try:
        rows = tuple(tuple(float(number) for number in row) for row in values)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{name} must be a list of {form}.") from error
    if any(len(row) != width for row in rows):
        raise PromptError(f"{name} must be a list of {form}.")
    if not all(math.isfinite(number) for row in rows for number in row):
        raise PromptError(f"{name} must be finite numbers.")
    return rows
