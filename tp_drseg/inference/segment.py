"""Segmenting one photograph: prompts in, typed results out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from tp_drseg.errors import PromptError
from tp_drseg.inference.placed import PlacedClicks
from tp_drseg.inference.result import Segmentation
from tp_drseg.inference.tile_logits import Prompt
from tp_drseg.inference.view import FundusView
from tp_drseg.lesions import Lesion

if TYPE_CHECKING:
    from tp_drseg.model import TPDRSeg

"""The operating point of a lesion for which the model stores none."""


@dataclass(frozen=True)
class Question:
    """What is asked of a photograph, checked.

    Attributes:
        lesions: of the model's catalog, each once.
        texts: the descriptions to ask with, for each lesion.
        threshold: for all of them, or None for each one's operating point.
        points: `(x, y, label)` in original pixels.
        boxes: `(left, top, right, bottom)` in original pixels.
        single: whether one lesion was asked for by its name, not a list.
    """

    lesions: tuple[Lesion, ...]
    texts: tuple[tuple[str, ...], ...]
    threshold: float | None
    points: Sequence[tuple[float, float, int]] | None
    boxes: Sequence[tuple[float, float, float, float]] | None
    single: bool

    @classmethod
    def check(
        cls,
        model: TPDRSeg,
        lesion: str | Sequence[str] | None,
        description: str | Sequence[str] | None,
        threshold: float | None,
        points: Sequence[tuple[float, float, int]] | None,
        boxes: Sequence[tuple[float, float, float, float]] | None,
    ) -> Question:
        """The arguments of `TPDRSeg.segment`; raises what it raises, but for the photograph."""
        catalog = model.catalog
        names = [lesion] if isinstance(lesion, str) else lesion
        lesions = list(catalog) if names is None else [catalog.resolve(n) for n in names]
        lesions = list(dict.fromkeys(lesions))
        if not lesions:
            raise PromptError("The list of lesions is empty. Give None for every lesion.")
        clicks = sum(len(places) for places in (points, boxes) if places is not None)
        if len(lesions) > 1 and (description is not None or clicks):
            raise PromptError("description, points and boxes belong to one lesion; ask for one.")
        if threshold is not None and not 0 <= threshold <= 1:
            raise PromptError(f"threshold is a probability in [0, 1], got {threshold}.")
        texts = tuple(model.prompt_texts(found) for found in lesions)
        if description is not None:
            texts = (_texts(description),)
        return cls(tuple(lesions), texts, threshold, points, boxes, isinstance(lesion, str))


def answer(view: FundusView, question: Question) -> Segmentation | dict[str, Segmentation]:
    """What `TPDRSeg.segment` returns."""
    model = view.model
    placed = PlacedClicks.place(view.frame, question.points, question.boxes)
    probability, priors = probabilities(view, question.lesions, question.texts, placed)
    results = {
        lesion.name: Segmentation(
            lesion=lesion.name,
            texts=question.texts[i],
            threshold=(
                model.config.inference.threshold(lesion.name)
                if question.threshold is None
                else question.threshold
            ),
            probability=probability[i],
            make_prior=partial(view.frame.restore, priors[i], view.field_of_view.mask),
            field_of_view=view.field_of_view.mask,
            image=view.image,
            model_id=model.model_id,
            revision=model.revision,
        )
        for i, lesion in enumerate(question.lesions)
    }
    return results[question.lesions[0].name] if question.single else results


def probabilities(
    view: FundusView,
    lesions: Sequence[Lesion],
    texts: Sequence[Sequence[str]],
    placed: PlacedClicks | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probability and prior of L lesions, both in [0, 1].

    The probability is in original pixels, `(L, H, W)`; the prior, of which fewer users ask, is
    still in the working frame, `(L, h, w)`.

    Args:
        view: the photograph in its model's frames.
        lesions: of the model's catalog.
        texts: the descriptions to ask with, for each lesion.
        placed: points and boxes that go with the texts.
    """
    with view.model.working(), torch.inference_mode():
        view.prepare()
        priors = view.working_priors(view.priors(texts))
        catalog = view.model.catalog
        prompts = [
            Prompt(catalog.index(lesion.name), tuple(own))
            for lesion, own in zip(lesions, texts, strict=True)
        ]
        return view.restore(view.probability(prompts, priors, placed)), view.unpadded(priors[0])


def explain(view: FundusView, text: str | Sequence[str]) -> NDArray[np.float32]:
    """See `TPDRSeg.explain`."""
    texts = _texts(text)
    with view.model.working(), torch.inference_mode():
        (restored,) = view.restore(view.working_priors(view.priors([texts]))[0])
    return restored  # type: ignore[no-any-return]


def _texts(text: str | Sequence[str]) -> tuple[str, ...]:
    texts = (text,) if isinstance(text, str) else tuple(text)
    if not texts or not all(isinstance(t, str) and t.strip() for t in texts):
        raise PromptError("A description must be a text that is not empty.")
    return texts
