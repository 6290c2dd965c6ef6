"""Attention with relative positions that does not hold all scores: SAM's, and TinyViT's."""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn.functional as F
from segment_anything.modeling.image_encoder import Attention, Block, get_rel_pos
from timm.models import tiny_vit
from torch import Tensor, nn

_SCORES = 1 << 20
"""Most scores at a time, for each thread."""


class SAMAttention(Attention):  # type: ignore[misc]
    """Meta's `Attention` of SAM's image encoder, with the same parameters and the same answer.

    SAM's scores are `q k / sqrt(d) + r_h + r_w`, where `r_h` and `r_w` depend on the query and on
    the row and the column of the key. The plain way holds all `N x N` scores of every head in
    memory, several times over. Here they are never held all at once, in one of two ways that give
    the same sum:

    - `concatenated`: PyTorch's fused attention of `[q / sqrt(d), r_h, r_w]` to
      `[k, onehot_row, onehot_column]`; for graphics cards, and wherever a gradient is asked for;
    - `in parts`: some rows of queries at a time, whose scores stay in the cache, either of the same
      longer vectors or with `r_h` and `r_w` added; for processors, whose matrix products are faster
      than their fused kernel.
    """

    def forward(self, x: Tensor, window: int = 0) -> Tensor:
        """Attention within each window.

        Args:
            x: `(B, H, W, C)`.
            window: side of the windows; 0 for one that is the whole item.

        Returns:
            the same shape.
        """
        batch, height, width, dim = x.shape
        tall, wide = (window, window) if window else (height, width)
        rows, columns = -(-height // tall), -(-width // wide)
        qkv = self._filled(self.qkv(x), rows * tall, columns * wide)
        qkv = qkv.reshape(batch, rows, tall, columns, wide, 3, self.num_heads, -1)
        qkv = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7).flatten(5, 6).flatten(1, 3)
        query, key, value = qkv.contiguous()
        on_rows, on_columns = self._relative(query, tall, wide)
        if x.device.type == "cpu" and not query.requires_grad:
            attended = _in_parts(query, key, value, on_rows, on_columns)
        else:
            attended = _concatenated(query, key, value, on_rows, on_columns)
        attended = attended.transpose(1, 2).reshape(batch, rows, columns, tall, wide, dim)
        attended = attended.transpose(2, 3).reshape(batch, rows * tall, columns * wide, dim)
        return self.proj(attended[:, :height, :width].contiguous())  # type: ignore[no-any-return]

    def _filled(self, qkv: Tensor, height: int, width: int) -> Tensor:
        """`(B, height, width, 3 C)`; what is added is the projection of zeros, as in SAM."""
        batch, own_height, own_width, _ = qkv.shape
        if (own_height, own_width) == (height, width):
            return qkv
        nothing: Tensor = self.qkv(qkv.new_zeros(1, self.proj.in_features))
        filled = nothing.expand(batch, height, width, -1).clone()
        filled[:, :own_height, :own_width] = qkv
        return filled

    def _relative(self, query: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """`r_h` `(B, heads, H, W, H)` and `r_w` `(B, heads, H, W, W)`."""
        places = query.reshape(*query.shape[:2], height, width, -1)
        rows = get_rel_pos(height, height, self.rel_pos_h)
        columns = get_rel_pos(width, width, self.rel_pos_w)
        return (
            # contiguous, and so are sums of both
            torch.einsum("bnhwc,hkc->bnhwk", places, rows).contiguous(),
            torch.einsum("bnhwc,wkc->bnhwk", places, columns).contiguous(),
        )


class SAMBlock(Block):  # type: ignore[misc]
    """Meta's `Block` of SAM's image encoder with `SAMAttention`; same parameters, same answer.

    Where windows stand over the edge, Meta's block pads its input, and projects the padding too.
    Here it is the projections that are padded.
    """

    def forward(self, x: Tensor) -> Tensor:
        """One transformer block, `(B, H, W, C)` to the same shape."""
        x = x + self.attn(self.norm1(x), self.window_size)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


def fuse_sam(body: nn.Module) -> None:
    """Lets every block of Meta's `ImageEncoderViT` be a `SAMBlock`; parameters stay."""
    for module in body.modules():
        if type(module) is Block:
            module.__class__, module.attn.__class__ = SAMBlock, SAMAttention


class TinyViTAttention(tiny_vit.Attention):  # type: ignore[misc]
    """timm's `Attention` of TinyViT, its bias in the shape that PyTorch's fused kernels take.

    Given one of three dimensions, PyTorch falls back to a way that holds all scores in memory.
    Training on a processor does so on purpose: for windows of 49 places the backward pass of the
    fused kernel takes ten times as long.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Attention within each window, `(B, N, C)` to the same shape."""
        learns = torch.is_grad_enabled() and (x.requires_grad or self.qkv.weight.requires_grad)
        if x.device.type != "cpu" or not learns:
            return super().forward(x)  # type: ignore[no-any-return]
        batch, places, _ = x.shape
        qkv = self.qkv(self.norm(x)).view(batch, places, self.num_heads, -1).transpose(1, 2)
        query, key, value = qkv.split([self.key_dim, self.key_dim, self.val_dim], dim=-1)
        scores = (query * self.scale) @ key.transpose(-2, -1)
        weights = (scores + self.get_attention_biases(x.device)).softmax(dim=-1)
        attended = weights.to(value.dtype) @ value
        return self.proj(attended.transpose(1, 2).reshape(batch, places, -1))  # type: ignore[no-any-return]

    def get_attention_biases(self, device: torch.device) -> Tensor:
        """`(1, heads, N, N)`, for windows of N places."""
        return super().get_attention_biases(device)[None]  # type: ignore[no-any-return]


def fuse_tiny_vit(body: nn.Module) -> None:
    """Lets every attention of a timm `TinyVit` be a `TinyViTAttention`; parameters stay."""
    for module in body.modules():
        if type(module) is tiny_vit.Attention:
            module.__class__ = TinyViTAttention


# one operation for `torch.compile`, which would write out each turn of the loop
@torch.library.custom_op("tp_drseg::attention_in_parts", mutates_args=())
def _in_parts(
    query: Tensor, key: Tensor, value: Tensor, on_rows: Tensor, on_columns: Tensor
) -> Tensor:
    batch, heads, height, width, _ = on_rows.shape
    places, size = height * width, query.shape[-1]
    # as many scores as fit: rows of queries first, then heads, then items
    fit = _SCORES * torch.get_num_threads() // (width * places)
    rows = max(1, min(height, fit))
    some = max(1, min(heads, fit // rows))
    items = max(1, min(batch, fit // (rows * some)))
    memory = query.new_empty(items * some * rows * width * places)
    # longer products cost less than adding where there are few rows and columns, as in windows
    is_longer = height + width <= size
    if is_longer:
        query, key = _with_places(query, key, on_rows, on_columns)
    # in the order in which the projection reads it
    attended = value.new_empty(batch, places, heads, size).transpose(1, 2)
    for item, head, row in product(
        range(0, batch, items), range(0, heads, some), range(0, height, rows)
    ):
        own = slice(item, item + items), slice(head, head + some)
        part = (*own, slice(row, row + rows))
        queries = (*own, slice(row * width, (row + rows) * width))
        asking, keys = query[queries].flatten(0, 1), key[own].flatten(0, 1).transpose(1, 2)
        shape = (*asking.shape[:2], places)
        scores = memory[: math.prod(shape)].view(shape)
        if is_longer:
            torch.bmm(asking, keys, out=scores)
        else:
            left, right = on_rows[part][..., None], on_columns[part][..., None, :]
            torch.add(left, right, out=scores.view(*left.shape[:-1], width))
            scores.baddbmm_(asking, keys, alpha=size**-0.5)
        found = scores.softmax(dim=-1) @ value[own].flatten(0, 1)
        attended[queries] = found.view(attended[queries].shape)
    return attended


@_in_parts.register_fake
def _like_in_parts(
    query: Tensor, key: Tensor, value: Tensor, on_rows: Tensor, on_columns: Tensor
) -> Tensor:
    batch, heads, places, size = value.shape
    return value.new_empty(batch, places, heads, size).transpose(1, 2)


def _concatenated(
    query: Tensor, key: Tensor, value: Tensor, on_rows: Tensor, on_columns: Tensor
) -> Tensor:
    query, key = _with_places(query, key, on_rows, on_columns)
    size = value.shape[-1]
    attended = F.scaled_dot_product_attention(
        query,
        key,
        # the fused kernels want values as long as keys
        F.pad(value, (0, key.shape[-1] - size)),
        scale=1.0,
    )
    return attended[..., :size]


def _with_places(
    query: Tensor, key: Tensor, on_rows: Tensor, on_columns: Tensor
) -> tuple[Tensor, Tensor]:
    """`[q / sqrt(d), r_h, r_w]` and `[k, onehot_row, onehot_column]`."""
    batch, heads, height, width, _ = on_rows.shape
    row = torch.eye(height, dtype=key.dtype, device=key.device).repeat_interleave(width, 0)
    column = torch.eye(width, dtype=key.dtype, device=key.device).repeat(height, 1)
    places = torch.cat([row, column], dim=-1).expand(batch, heads, -1, -1)
    scaled = query * query.shape[-1] ** -0.5
    return (
        torch.cat([scaled, on_rows.flatten(2, 3), on_columns.flatten(2, 3)], dim=-1),
        torch.cat([key, places], dim=-1),
    )
