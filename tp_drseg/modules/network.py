"""The whole network: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from segment_anything.modeling import PromptEncoder
from torch import Tensor, nn

from tp_drseg.config import ArchitectureConfig
from tp_drseg.modules.anatomy_head import AnatomyHead
from tp_drseg.modules.clip import build_clip
from tp_drseg.modules.constants import EMBEDDING_DIM, SAM_PIXEL_MEAN, SAM_PIXEL_STD
from tp_drseg.modules.explicit_prior import ExplicitPriorEncoder
from tp_drseg.modules.fundus_tower import FundusTower
from tp_drseg.modules.image_encoder import ImageFeatures, InjectedImageEncoder, build_backbone
from tp_drseg.modules.mask_decoder import DetailHead, MaskDecoder
from tp_drseg.modules.points import Points, dense_positions, embed_points
from tp_drseg.modules.precision import ExactParts, float32_or_longer, no_longer_than
from tp_drseg.modules.prompt_generator import ClassPromptGenerator


@dataclass(frozen=True)
class PromptedFeatures:
    """What SAM's decoder is given for each of N prompts.

    Attributes:
        embedding: `F_e`, `(N, 256, S / 16, S / 16)`.
        sparse: `E_s`, `(N, n, 256)`.
        dense: `E_d`, `(N, 256, S / 16, S / 16)`.
    """

    embedding: Tensor
    sparse: Tensor
    dense: Tensor

    def split(self) -> list[PromptedFeatures]:
        """Return the prompts one by one, N = 1."""
        return [
            PromptedFeatures(self.embedding[i, None], self.sparse[i, None], self.dense[i, None])
            for i in range(len(self.embedding))
        ]


class TPDRSegNetwork(ExactParts):
    """Text-prompted segmentation of diabetic retinopathy lesions (TP-DRSeg, MICCAI 2024).

    A frozen CLIP turns the explicit description of a lesion into a prior map
    (`explicit_prior`); injectors feed it into SAM's image encoder (`image_encoder`); a
    class-specific generator turns it into prompts (`prompt_generator`) for SAM's mask decoder
    (`mask_decoder`), beside which a detail head may add what only fine features see
    (`detail_head`). An anatomy head may say where disc and fovea are (`anatomy_head`); training
    leaves it as it is.

    The constructor builds the architecture with random weights and downloads nothing. Turned
    into bf16 or float16 (`network.to(torch.bfloat16)`) it takes the same inputs and gives logits
    in float32 all the same. What would lose most by it stays in float32: constants, and
    TinyViT's blocks before the first injector (`exact_modules`).

    Args:
        architecture: what to build.
        lesions: number of lesions, that is of the prompt generator's class groups.

    Example:
        >>> import torch
        >>> from tp_drseg import TPDRSegConfig
        >>> from tp_drseg.modules.network import TPDRSegNetwork
        >>> config = TPDRSegConfig.for_size("tiny", architecture={"image_size": 64})
        >>> network = TPDRSegNetwork(config.architecture, lesions=4).eval()
        >>> images, priors = torch.rand(1, 3, 64, 64) * 255, torch.rand(1, 2, 4, 4)
        >>> network(images, priors, classes=torch.tensor([0, 2])).shape
        torch.Size([1, 2, 32, 32])
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    exact_buffers = (
        "pixel_mean",
        "pixel_std",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    )

    def __init__(self, architecture: ArchitectureConfig, lesions: int) -> None:
        super().__init__()
        self.architecture = architecture
        clip = architecture.clip
        self.explicit_prior = ExplicitPriorEncoder(
            build_clip(clip.architecture), clip.image_size, clip.features
        )
        self.image_encoder = InjectedImageEncoder(
            build_backbone(architecture.image_encoder, architecture.image_size),
            architecture.injector_blocks,
            architecture.injector_stride,
            architecture.injector_prior,
            architecture.tuning,
        )
        grid = architecture.grid
        self.prompt_generator = ClassPromptGenerator(
            lesions, EMBEDDING_DIM, grid, architecture.sparse_tokens, architecture.generator_prior
        )
        self.prompt_encoder = PromptEncoder(
            embed_dim=EMBEDDING_DIM,
            image_embedding_size=(grid, grid),
            input_image_size=(architecture.image_size, architecture.image_size),
            mask_in_chans=16,
        ).requires_grad_(False)
        self.mask_decoder = MaskDecoder()
        self.mask_decoder.freeze_unused()
        dims = self.image_encoder.backbone.block_dims
        self.detail_head = (
            DetailHead([dims[i] for i in self.image_encoder.backbone.detail_blocks])
            if architecture.detail
            else None
        )
        self.anatomy_head = (
            AnatomyHead(FundusTower.coarse_dim).requires_grad_(False)
            if architecture.anatomy
            else None
        )
        for name, values in (("pixel_mean", SAM_PIXEL_MEAN), ("pixel_std", SAM_PIXEL_STD)):
            buffer = torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)
        # the layout that convolutions are fastest on, on processors and cards
        self.to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        """Device that the weights are on."""
        return self.pixel_mean.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.mask_decoder.iou_token.weight.dtype  # type: ignore[no-any-return]

    @property
    def logit_stride(self) -> int:
        """Pixels of a tile that one logit covers, along a side."""
        return 4 if self.detail_head is None else 2

    def trained_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Iterate over what learns: tuning, prompt generator, mask decoder, detail head."""
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad)

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Compute what no prior touches: the encoder's first blocks, and the fine features.

        Args:
            images: `(B, 3, h, w)` RGB in [0, 255], both S = `architecture.image_size`; a TinyViT
                takes any multiples of 16.
        """
        normalised = (images - self.pixel_mean) / self.pixel_std
        features = self.image_encoder.encode_image(normalised)
        if self.detail_head is None:
            return ImageFeatures(features.feature)
        normalised, *detail = (
            no_longer_than(x, self.dtype) for x in (normalised, *features.detail)
        )
        fine = self.detail_head.features(normalised, detail)
        return ImageFeatures(features.feature, (fine,))

    def encode_prompt(
        self, features: ImageFeatures, priors: Tensor, classes: Tensor
    ) -> PromptedFeatures:
        """Compute what the text of L lesions makes of each of B images; points come after it.

        Args:
            features: what `encode_image` gave for the B images.
            priors: explicit priors `P_e`, `(B, L, h, w)` in [0, 1].
            classes: `(L,)` or `(B, L)` int64, the place of each lesion in the catalog.
        """
        batch, count = priors.shape[:2]
        prior = priors.flatten(0, 1)[:, None]
        embedding = self.image_encoder.inject(
            features.feature.repeat_interleave(count, dim=0), prior
        )
        sparse, dense = self.prompt_generator(
            embedding, prior, classes.expand(batch, count).flatten()
        )
        return PromptedFeatures(embedding, sparse, dense)

    def decode(
        self, features: ImageFeatures, prompted: PromptedFeatures, points: Points | None = None
    ) -> Tensor:
        """Compute the mask logits of N = B * L prompts.

        Args:
            features: what `encode_image` gave for the B images.
            prompted: what `encode_prompt` gave, lesions of one image in a row.
            points: points and boxes for each of the N prompts.

        Returns:
            `(N, S / logit_stride, S / logit_stride)` float32.
        """
        embedding, sparse = prompted.embedding, prompted.sparse
        if points is not None:
            sparse = torch.cat([sparse, embed_points(self.prompt_encoder, points)], dim=1)
        height, width = embedding.shape[-2:]
        position = dense_positions(self.prompt_encoder, (height, width)).to(embedding.dtype)
        logits, mask_token = self.mask_decoder(embedding, position, sparse, prompted.dense)
        if self.detail_head is not None:
            fine = self.detail_head(features.detail[0], mask_token)
            logits = fine + F.interpolate(logits, fine.shape[-2:], mode="bilinear")
        return float32_or_longer(logits[:, 0])

    def forward(
        self, images: Tensor, priors: Tensor, classes: Tensor, points: Points | None = None
    ) -> Tensor:
        """Compute the mask logits of L lesions on each of B images.

        Args:
            images: `(B, 3, S, S)` RGB in [0, 255].
            priors: explicit priors, `(B, L, h, w)` in [0, 1].
            classes: `(L,)` or `(B, L)` int64, the place of each lesion in the catalog.
            points: points and boxes for each of the B * L prompts.

        Returns:
            `(B, L, S / logit_stride, S / logit_stride)` float32.
        """
        features = self.encode_image(images)
        logits = self.decode(features, self.encode_prompt(features, priors, classes), points)
        return logits.reshape(*priors.shape[:2], *logits.shape[-2:])

    def compile(self) -> None:
        """Let `torch.compile` make fast code; see `InjectedImageEncoder.compile`."""
        self.image_encoder.compile()
        if self.detail_head is not None:
            features = torch.compile(self.detail_head.features, dynamic=False)
            self.detail_head.features = features  # type: ignore[method-assign]
