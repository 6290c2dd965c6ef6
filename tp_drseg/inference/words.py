"""What a user's words mean to a model: the lesion that a description fits best."""

from __future__ import annotations

from functools import partial

import torch

from tp_drseg.errors import PromptError
from tp_drseg.inference.request import Matcher, check_texts
from tp_drseg.lesions import LesionCatalog
from tp_drseg.lesions.match import Match
from tp_drseg.modules.clip import SmallCLIP
from tp_drseg.modules.explicit_prior import ExplicitPriorEncoder
from tp_drseg.modules.text_tower import TextTower


def matcher(encoder: ExplicitPriorEncoder, catalog: LesionCatalog) -> Matcher | None:
    """Return what finds the lesion of a catalog that a description fits.

    None where the model's text tower was not made to tell what a text means: open_clip's are not.
    """
    return partial(match, encoder, catalog) if isinstance(encoder.clip, SmallCLIP) else None


@torch.inference_mode()
def match(encoder: ExplicitPriorEncoder, catalog: LesionCatalog, text: str) -> Match:
    """Say which lesion of the catalog a description fits, and how well.

    A lesion that is none of the text tower's concepts, such as one of a user's own, is learned on
    the spot from its descriptions and names.

    Args:
        encoder: One whose CLIP is a `SmallCLIP`.
        catalog: The model's lesions.
        text: Any text.

    Raises:
        PromptError: The text is empty, or longer than the tower reads.
    """
    if not text.strip():
        raise PromptError("The description is empty: say how the lesion looks.")
    check_texts(text)
    tower: TextTower = encoder.clip.text
    own = [lesion for lesion in catalog if lesion.name not in tower.concepts]
    names = (*tower.concepts, *(lesion.name for lesion in own))
    sentence = encoder.sentences([text])
    known = [(*x.texts, x.name, *x.aliases) for x in own]
    probabilities = tower.probabilities_with(sentence, known)[0].tolist()
    return Match.of(text, dict(zip(names, probabilities, strict=True)), catalog.names)
