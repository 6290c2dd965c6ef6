"""SAM's mask decoder for a true batch: one image and one prompt an item."""

from __future__ import annotations

import torch
from segment_anything.modeling import MaskDecoder as SAMMaskDecoder
from segment_anything.modeling import TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn

from tp_drseg.modules.image_encoder import EMBEDDING_DIM


class MaskDecoder(SAMMaskDecoder):  # type: ignore[misc]
    """Meta's `MaskDecoder`, parameters and all, that decodes a batch of images at once.

    Meta's own repeats the image embedding for every prompt, so it takes one image and many
    prompts; this one takes as many images as prompts. Only SAM's single-mask output is used.
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
        """Keeps from learning what only SAM's other outputs use: their masks and the IoU head."""
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
    """Adds to the logits what only the encoder's fine features can see.

    SAM's decoder starts from an embedding of stride 16; a microaneurysm is smaller than that.
    This head reads the encoder's stride-4 features through two convolutions and lets the mask
    token choose among them, as SAM's own hypernetwork does. It is not part of TP-DRSeg. Its last
    layer starts at zero, so that a fresh head changes nothing.

    Args:
        dim: channels of the fine features.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=3, padding=1),
            LayerNorm2d(dim),
            nn.GELU(),
            nn.Conv2d(dim, dim, kernel_size=3, padding=1),
            nn.GELU(),
        )
        self.choose = MLP(EMBEDDING_DIM, EMBEDDING_DIM, dim, 3)
        nn.init.zeros_(self.choose.layers[-1].weight)
        nn.init.zeros_(self.choose.layers[-1].bias)

    def forward(self, fine: Tensor, mask_token: Tensor) -> Tensor:
        """Logits to be added.

        Args:
            fine: what `features` made of the encoder's fine features, `(B / L, dim, H, W)`; L
                prompts in a row share an image.
            mask_token: `(B, 256)`.

        Returns:
            `(B, 1, H, W)`.
        """
        weights = self.choose(mask_token).unflatten(0, (len(fine), -1))
        return torch.einsum("blc,bchw->blhw", weights, fine).flatten(0, 1)[:, None]
