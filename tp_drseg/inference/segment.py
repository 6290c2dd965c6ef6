"""Segmenting one photograph: prompts in, typed results out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tp_drseg.errors import PromptError
from tp_drseg.inference.placed import PlacedClicks
from tp_drseg.inference.result import Segmentation
from tp_drseg.inference.view import FundusView, Prompt
from tp_drseg.lesions import Lesion

DEFAULT_THRESHOLD = 0.5
"""The operating point of a lesion for which the model stores none."""


def segment(
    view: FundusView,
    lesion: str | Sequence[str] | None,
    description: str | Sequence[str] | None,
    threshold: float | None,
    points: Sequence[tuple[float, float, int]] | None,
    boxes: Sequence[tuple[float, float, float, float]] | None,
) -> Segmentation | dict[str, Segmentation]:
    """See `TPDRSeg.segment`."""
    model = view.model
    names = [lesion] if isinstance(lesion, str) else lesion
    lesions = list(model.catalog) if names is None else [model.catalog.resolve(n) for n in names]
    lesions = list(dict.fromkeys(lesions))
    if not lesions:
        raise PromptError("The list of lesions is empty. Give None for every lesion.")
    clicks = sum(len(places) for places in (points, boxes) if places is not None)
    if len(lesions) > 1 and (description is not None or clicks):
        raise PromptError("description, points and boxes belong to one lesion; ask for one.")
    if threshold is not None and not 0 <= threshold <= 1:
        raise PromptError(f"threshold is a probability in [0, 1], got {threshold}.")
    texts = [model.prompt_texts(found) for found in lesions]
    if description is not None:
        texts = [_texts(description)]
    placed = PlacedClicks.place(view.frame, points, boxes)
    probability, prior = probabilities(view, lesions, texts, placed)
    results = {
        found.name: Segmentation(
            lesion=found.name,
            texts=texts[i],
            threshold=(
                model.config.thresholds.get(found.name, DEFAULT_THRESHOLD)
                if threshold is None
                else threshold
            ),
            probability=probability[i],
            prior=prior[i],
            field_of_view=view.field_of_view.mask,
            image=view.image,
            model_id=model.model_id,
            revision=model.revision,
        )
        for i, found in enumerate(lesions)
    }
    return results[lesions[0].name] if isinstance(lesion, str) else results


def probabilities(
    view: FundusView,
    lesions: Sequence[Lesion],
    texts: Sequence[Sequence[str]],
    placed: PlacedClicks | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probability and prior of L lesions, each `(L, H, W)` in [0, 1], in original pixels.

    Args:
        view: the photograph in its model's frames.
        lesions: of the model's catalog.
        texts: the descriptions to ask with, for each lesion.
        placed: points and boxes that go with the texts.
    """
    with torch.inference_mode():
        priors = view.working_priors(view.priors(texts))
        catalog = view.model.catalog
        prompts = [
            Prompt(catalog.index(lesion.name), tuple(own))
            for lesion, own in zip(lesions, texts, strict=True)
        ]
        return view.restore(view.probability(prompts, priors, placed)), view.restore(priors[0])


def explain(view: FundusView, text: str | Sequence[str]) -> NDArray[np.float32]:
    """See `TPDRSeg.explain`."""
    texts = _texts(text)
    with torch.inference_mode():
        (restored,) = view.restore(view.working_priors(view.priors([texts]))[0])
    return restored  # type: ignore[no-any-return]


def _texts(text: str | Sequence[str]) -> tuple[str, ...]:
    texts = (text,) if isinstance(text, str) else tuple(text)
    if not texts or not all(isinstance(t, str) and t.strip() for t in texts):
        raise PromptError("A description must be a text that is not empty.")
    return texts
