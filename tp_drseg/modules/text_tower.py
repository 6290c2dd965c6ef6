"""The text tower of the small CLIP: plain English to CLIP's joint space, by way of concepts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from importlib import resources
from textwrap import shorten
from typing import Final

import torch
import torch.nn.functional as F
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, nn

from tp_drseg.errors import ConfigError, PromptError
from tp_drseg.modules.int8 import Int8Matrix
from tp_drseg.modules.sentence_encoder import PADDING, SentenceEncoder

VOCABULARY_SIZE: Final = 30522
"""Tokens of BERT's vocabulary of lower-case English, `wordpiece.txt`."""

GAMMA: Final = 3.0
"""How fast examples lose their say with distance; as those below, chosen on development texts."""

RIDGE: Final = 0.1
"""Slack of an example that weighs as much as the mean one."""

BETA: Final = 12.0
"""Turns scores, 1 for a clear case, into log-odds."""

NAMED: Final = 20.0
"""Odds that a description is of the lesion that the caller names with it, beside any other."""


class TextTower(nn.Module):
    r"""A frozen sentence encoder, and concepts that examples have taught it.

    Every example $i$ is the unit vector $s_i$ of a text that stands for a concept: a lesion, or
    something that is none, such as a vessel, an everyday thing or another language. A new text
    $s$ gets its scores by kernel ridge regression on the examples, and its feature in CLIP's
    joint space is the mixture of the concepts' anchors $a_k$:

    $$f_k = \frac{1}{K} + \sum_i \exp(-\gamma (1 - s^\top s_i)) \, v_{ik}, \qquad
      p = \mathrm{softmax}(\beta f), \qquad P_t = \sum_k p_k a_k$$

    So any wording that clearly means a lesion gives that lesion's feature, and what means nothing
    gives that of the background.

    Args:
        output_dim: Width D of CLIP's joint space.
        concepts: Names of the K concepts.
        examples: How many examples N there are.
        vocab_size: See `SentenceEncoder`, also for all that follows.
        width: ...
        heads: ...
        layers: ...
        context_length: ...
        pooled_layers: ...

    Raises:
        ConfigError: The vocabulary is not that of `wordpiece.txt`, or no such layer is there.
    """

    def __init__(
        self,
        output_dim: int,
        *,
        concepts: Sequence[str],
        examples: int,
        vocab_size: int,
        width: int,
        heads: int,
        layers: int,
        context_length: int,
        pooled_layers: Sequence[int],
    ) -> None:
        super().__init__()
        if vocab_size != VOCABULARY_SIZE:
            raise ConfigError(
                f"The text tower's vocabulary has {VOCABULARY_SIZE} tokens, not {vocab_size}."
            )
        if not pooled_layers or not set(pooled_layers) <= set(range(1, layers + 1)):
            raise ConfigError(
                f"pooled_layers must name some of the text tower's layers 1 to {layers}, got "
                f"{list(pooled_layers)}."
            )
        if not concepts or len(set(concepts)) < len(concepts):
            raise ConfigError(f"concepts must be names, each once, got {list(concepts)}.")
        self.concepts = tuple(concepts)
        self.context_length = context_length
        self.encoder = SentenceEncoder(
            vocab_size, width, heads, layers, context_length, pooled_layers
        )
        self.examples = Int8Matrix(examples, self.encoder.output_dim)
        self.kinds = nn.Parameter(torch.arange(examples) % len(concepts), requires_grad=False)
        self.slack = nn.Parameter(torch.ones(examples), requires_grad=False)
        self.votes = nn.Parameter(torch.empty(examples, len(concepts)), requires_grad=False)
        self.anchors = nn.Parameter(torch.empty(len(concepts), output_dim))
        self._learned: tuple[Hashable, Tensor, Tensor] | None = None
        nn.init.normal_(self.votes, std=0.1)
        nn.init.normal_(self.anchors, std=output_dim**-0.5)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Return BERT's word pieces of T texts, `(T, n)` int64, filled up to the longest.

        Raises:
            PromptError: A text is longer than the tower reads; nothing is cut off in silence.
        """
        rows = [_tokenizer().encode(text).ids for text in texts]
        for text, row in zip(texts, rows, strict=True):
            refuse_long(text, len(row) - 2, self.context_length - 2)  # beside start and end
        tokens = torch.full((len(rows), max(map(len, rows), default=0)), PADDING)
        for filled, row in zip(tokens, rows, strict=True):
            filled[: len(row)] = torch.tensor(row)
        return tokens

    def forward(self, tokens: Tensor) -> Tensor:
        """Return CLIP's text features, `(T, n)` to `(T, D)`, not of unit length."""
        return self.features(self.encoder(tokens))

    def features(self, sentences: Tensor, named: str | None = None) -> Tensor:
        """Return CLIP's text features, not of unit length.

        Args:
            sentences: Their vectors, `(T, C)`.
            named: The lesion that the texts are said to describe: it is `NAMED` times likelier
                than from the words alone (Bayes' rule), so that an odd wording does no harm. No
                concept of that name changes nothing.

        Returns:
            `(T, D)`.
        """
        odds = torch.tensor([NAMED if c == named else 1.0 for c in self.concepts])
        likely = self.probabilities(sentences) * odds.to(self.anchors)
        return likely / likely.sum(dim=1, keepdim=True) @ self.anchors

    def probabilities(self, sentences: Tensor) -> Tensor:
        """Return the probability of each concept: sentence vectors `(T, C)` to `(T, K)`."""
        return _softmax(_alike(self.examples.products(sentences)) @ self.votes)

    def probabilities_with(self, sentences: Tensor, own: Sequence[Sequence[str]]) -> Tensor:
        """Return the probability of each concept and of further ones, learned on the spot.

        What was learned last is kept, since learning takes a second or two.

        Args:
            sentences: Of the texts, `(T, C)`.
            own: Each further concept's texts.

        Returns:
            `(T, K + len(own))`.
        """
        if not own:
            return self.probabilities(sentences)
        key = tuple(map(tuple, own)), self.votes._version, sentences.device
        if self._learned is None or self._learned[0] != key:
            vectors = [self.encoder(self.tokenize(x).to(sentences.device)) for x in own]
            self._learned = key, *self._learn(vectors)
        _, examples, votes = self._learned
        return _softmax(kernel(sentences, examples) @ votes)

    def _learn(self, own: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return all examples and their votes, `(N, C)` and `(N, K + len(own))`."""
        count = len(self.concepts)
        examples = torch.cat([self.examples(), *own])
        kinds: list[Tensor] = [self.kinds]
        kinds += [self.kinds.new_full((len(x),), count + i) for i, x in enumerate(own)]
        # a concept weighs as much as any other, however few texts it has
        slack: list[Tensor] = [self.slack]
        slack += [self.slack.new_full((len(x),), _slack(len(x), self)) for x in own]
        return examples, solve_votes(examples, torch.cat(kinds), torch.cat(slack), count + len(own))


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """Return how alike unit vectors are, `(T, C)` and `(N, C)` to `(T, N)` in (0, 1]."""
    return _alike(a @ b.T)


def _alike(cosines: Tensor) -> Tensor:
    return (-GAMMA * (1 - cosines)).exp()


def solve_votes(examples: Tensor, kinds: Tensor, slack: Tensor, count: int) -> Tensor:
    """Solve kernel ridge regression on one-hot targets.

    Args:
        examples: Unit vectors `(N, C)`.
        kinds: The concept of each, `(N,)` int64 from 0 to K - 1.
        slack: How far each may miss its target, `(N,)`: the ridge, divided by its weight.
        count: K.

    Returns:
        Votes `(N, K)`.
    """
    target = F.one_hot(kinds, count).double() - 1 / count
    matrix = kernel(examples.double(), examples.double()) + torch.diag(slack.double())
    votes = torch.cholesky_solve(target, torch.linalg.cholesky(matrix))
    return votes.to(examples.dtype)


def _softmax(scores: Tensor) -> Tensor:
    return (BETA * scores).softmax(dim=1)  # what all scores have in common, 1 / K, falls out


def _slack(texts: int, tower: TextTower) -> float:
    return RIDGE * texts * len(tower.concepts) / len(tower.kinds)


def refuse_long(text: str, count: int, most: int) -> None:
    """Raise a `PromptError` for a text of more tokens, without start and end, than are read."""
    if count > most:
        raise PromptError(
            f"A description has {count} tokens (pieces of words), and CLIP reads at most {most}: "
            f"shorten {shorten(text, 60)!r}, or give its parts as several descriptions."
        )


@lru_cache(maxsize=1)
def _tokenizer() -> BertWordPieceTokenizer:
    pieces = (resources.files("tp_drseg.modules") / "wordpiece.txt").read_text(encoding="utf-8")
    vocabulary = {piece: number for number, piece in enumerate(pieces.rstrip("\n").split("\n"))}
    return BertWordPieceTokenizer(vocabulary, lowercase=True)
