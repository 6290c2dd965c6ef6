"""A small BERT with 8-bit weights that turns a sentence into a vector (MiniLM's architecture)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tp_drseg.modules.int8 import Int8Embedding, Int8Linear

PADDING = 0
"""Number of the token that fills up short texts."""

_EPSILON = 1e-12  # BERT's own, in all of its layer norms


class SentenceEncoder(nn.Module):
    """BERT's encoder, read out at several depths.

    The vector of a text is the mean of its tokens' features, as MiniLM's own sentence vector is,
    but of several layers: the lower ones know more of the words, the upper ones more of the
    sentence. Each layer's mean is scaled to unit length, and so is the whole.

    Wang, W. et al.: MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
    Pre-Trained Transformers. NeurIPS 2020. Reimers, N., Gurevych, I.: Sentence-BERT. EMNLP 2019.

    Args:
        vocab_size: How many tokens there are.
        width: Channels C of a token.
        heads: Attention heads; they divide the width.
        layers: Transformer layers.
        context_length: Tokens of the longest text, its start and end among them.
        pooled_layers: After which layers the tokens are read out; 1 is the first layer.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int,
        heads: int,
        layers: int,
        context_length: int,
        pooled_layers: Sequence[int],
    ) -> None:
        super().__init__()
        self.pooled_layers = tuple(pooled_layers)
        self.output_dim = width * len(self.pooled_layers)
        self.tokens = Int8Embedding(vocab_size, width)
        self.positions = nn.Parameter(torch.zeros(context_length, width), requires_grad=False)
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.blocks = nn.ModuleList(EncoderBlock(width, heads) for _ in range(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the sentence vectors of T texts.

        Args:
            tokens: `(T, n)` int64, filled up with `PADDING`; n is at most the context's length.

        Returns:
            `(T, C * len(pooled_layers))`, of unit length.
        """
        real = tokens != PADDING
        x = self.norm(self.tokens(tokens) + self.positions[: tokens.shape[1]])
        share = real / real.sum(dim=1, keepdim=True)
        means = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, real)
            if number in self.pooled_layers:
                means.append(F.normalize(torch.einsum("tnc,tn->tc", x, share.to(x.dtype)), dim=1))
        return F.normalize(torch.cat(means, dim=1), dim=1)


class EncoderBlock(nn.Module):
    """One layer of BERT: attention and an MLP, each followed by a layer norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (Int8Linear(width, width) for _ in range(4))
        self.attention_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.grow, self.shrink = Int8Linear(width, 4 * width), Int8Linear(4 * width, width)
        self.mlp_norm = nn.LayerNorm(width, eps=_EPSILON)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Map `(T, n, C)` to the same shape; `real`, `(T, n)` bool, is False for padding."""
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=real[:, None, None])
        x = self.attention_norm(x + self.out(mixed.transpose(1, 2).flatten(-2)))
        return self.mlp_norm(x + self.shrink(F.gelu(self.grow(x))))  # type: ignore[no-any-return]
