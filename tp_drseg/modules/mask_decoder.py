"""SAM's mask decoder for a true batch: one image and one prompt an item."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder as SAMMaskDecoder
from segment_anything.modeling import TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn

from tp_drseg.modules.constants import EMBEDDING_DIM


class MaskDecoder(SAMMaskDecoder):  # type: ignore[misc]
    """Meta's `MaskDecoder`, parameters and all, that decodes a batch of images at once.

    Meta's own repeats the image embedding for every prompt, so it takes one image and many
    prompts; this one takes as many images as prompts. Only SAM's single-mask output is used.

    Example:
        >>> import torch
        >>> from tp_drseg import MaskDecoder
        >>> embedding, position, dense = torch.rand(3, 2, 256, 8, 8)
        >>> sparse = torch.rand(2, 5, 256)
        >>> logits, mask_token = MaskDecoder()(embedding, position[:1], sparse, dense)
        >>> logits.shape, mask_token.shape
        (torch.Size([2, 1, 32, 32]), torch.Size([2, 256]))
    """

    def __init__(self) -> None:
        super().__init__(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=EMBEDDING_DIM, mlp_dim=2048, num_heads=8
            ),
            transformer_dim=EMBEDDING_DIM,
        )

    def freeze_unused(self) -> None:
        """Keep from learning what only SAM's other outputs use: their masks and the IoU head."""
        self.iou_prediction_head.requires_grad_(False)
        self.output_hypernetworks_mlps[1:].requires_grad_(False)

    def forward(
        self, embedding: Tensor, position: Tensor, sparse: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mask logits at a quarter of the image's resolution, and the mask token behind them.

        Args:
            embedding: `F_e`, `(B, 256, H_e, W_e)`.
            position: SAM's dense position encoding, `(1, 256, H_e, W_e)`.
            sparse: `E_s`, `(B, n, 256)`.
            dense: `E_d`, `(B, 256, H_e, W_e)`.

        Returns:
            logits `(B, 1, 4 H_e, 4 W_e)` and the decoded mask token `(B, 256)`.
        """
        batch = len(embedding)
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([output_tokens.expand(batch, -1, -1), sparse], dim=1)
        hidden, source = self.transformer(
            embedding + dense, position.expand(batch, -1, -1, -1), tokens
        )
        mask_token = hidden[:, 1]
        source = source.transpose(1, 2).unflatten(2, tuple(embedding.shape[-2:]))
        upscaled = self.output_upscaling(source)
        weights = self.output_hypernetworks_mlps[0](mask_token)
        return torch.einsum("bc,bchw->bhw", weights, upscaled)[:, None], mask_token


class DetailHead(nn.Module):
    """Mask logits at half of the image's resolution, by what only fine features can see.

    SAM's decoder starts from an embedding of stride 16 and ends at stride 4; a microaneurysm is
    smaller than the one and hardly larger than the other. This head brings the encoder's
    features of stride 16, 8 and 4 and the image itself together on a grid of stride 2 (a feature
    pyramid, Lin et al. 2017), once an image, and lets the mask token of each prompt choose among
    them, as SAM's own hypernetwork does. It is not part of TP-DRSeg. The last layer of the choice
    starts at zero, so that a fresh head changes nothing.

    Args:
        dims: channels of the encoder's features of stride 4, 8 and 16.
        width: channels of the result; the grids of stride 4 and of 8 and more have twice and
            four times as many.
    """

    def __init__(self, dims: Sequence[int], width: int = 32) -> None:
        super().__init__()
        widths = (2 * width, 4 * width, 4 * width)
        self.lateral = nn.ModuleList(
            nn.Conv2d(dim, out, kernel_size=1) for dim, out in zip(dims, widths, strict=True)
        )
        self.smooth = nn.ModuleList([_Smooth(2 * width, 2), _Smooth(4 * width, 1)])
        self.narrow = nn.ModuleList(
            [nn.Conv2d(4 * width, 2 * width, 1), nn.Conv2d(4 * width, 4 * width, 1)]
        )
        self.image = nn.Conv2d(3, width, kernel_size=5, stride=2, padding=2)
        self.last = nn.Conv2d(2 * width, width, kernel_size=1)
        self.fine = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            nn.GELU(),
        )
        self.choose = MLP(EMBEDDING_DIM, EMBEDDING_DIM, width, 3)
        nn.init.zeros_(self.choose.layers[-1].weight)
        nn.init.zeros_(self.choose.layers[-1].bias)

    def features(self, images: Tensor, fine: Sequence[Tensor]) -> Tensor:
        """Return what all prompts on an image share, `(B, width, S / 2, S / 2)`.

        Args:
            images: `(B, 3, S, S)`, normalised.
            fine: the encoder's features of stride 4, 8 and 16.
        """
        x = F.gelu(self.lateral[2](fine[2]))
        for level in (1, 0):
            x = self.lateral[level](fine[level]) + _double(self.narrow[level](x))
            x = self.smooth[level](x)
        return self.fine(self.image(images) + _double(self.last(x)))  # type: ignore[no-any-return]

    def forward(self, fine: Tensor, mask_token: Tensor) -> Tensor:
        """Logits to be added.

        Args:
            fine: what `features` gave, `(B / L, width, H, W)`; L prompts in a row share an image.
            mask_token: `(B, 256)`.

        Returns:
            `(B, 1, H, W)`.
        """
        weights = self.choose(mask_token).unflatten(0, (len(fine), -1))
        return torch.einsum("blc,bchw->blhw", weights, fine).flatten(0, 1)[:, None]


class _Smooth(nn.Module):
    """Some 3x3 convolutions, each added to what it was given."""

    def __init__(self, dim: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                LayerNorm2d(dim), nn.GELU(), nn.Conv2d(dim, dim, kernel_size=3, padding=1)
            )
            for _ in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
