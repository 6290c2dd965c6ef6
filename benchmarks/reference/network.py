"""The plain reference: TP-DRSeg written straight from its equations, one lesion at a time.

It has the weights of a checkpoint under their own names and shares nothing between lesions: for
each one CLIP's two towers, the whole encoder with its makers' own attention, and SAM's own mask
decoder run again, in float32. None of `tp_drseg.modules` and `tp_drseg.model` is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from benchmarks.reference.parts import (
    WIDTH,
    PlainDetail,
    PlainGenerator,
    PlainInjector,
    PlainTiny,
    PlainTower,
    plain_vit,
)
from tp_drseg.config import CLIPConfig, TPDRSegConfig
from tp_drseg.modules.text_tower import TextTower

CLIP_STATISTICS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SAM_STATISTICS = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


class PlainTPDRSeg(nn.Module):
    """The method for one image and one lesion; see the equations in `docs/method.md`.

    Args:
        config: of the checkpoint whose weights are to be loaded.

    Raises:
        ValueError: for a configuration that is not the paper's method.
    """

    def __init__(self, config: TPDRSegConfig) -> None:
        super().__init__()
        architecture = config.architecture
        if architecture.tuning != "injector" or architecture.clip.features != "value":
            raise ValueError("the plain reference knows injectors and CLIP's value path alone")
        self.config = config
        sam, grid, side = architecture.image_encoder, architecture.grid, architecture.image_size
        backbone = plain_vit(sam, side) if sam.kind == "vit" else PlainTiny(sam)
        dims = [dim for dim, n in zip(sam.embed_dims, sam.depths, strict=True) for _ in range(n)]
        blocks, stride = architecture.injector_blocks, architecture.injector_stride
        chosen = range(len(dims)) if blocks is None else blocks
        injectors = nn.ModuleDict({str(i): PlainInjector(dims[i], stride) for i in chosen})
        if architecture.detail and min(chosen, default=len(dims)) < sum(sam.depths[:3]) - 1:
            raise ValueError("an injector stands before a feature that the detail head reads")
        self.explicit_prior = nn.ModuleDict({"clip": _plain_clip(architecture.clip)})
        self.image_encoder = nn.ModuleDict({"backbone": backbone, "injectors": injectors})
        self.prompt_generator = PlainGenerator(
            len(config.lesions), grid, architecture.sparse_tokens
        )
        self.prompt_encoder = PromptEncoder(
            embed_dim=WIDTH,
            image_embedding_size=(grid, grid),
            input_image_size=(side, side),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            transformer_dim=WIDTH,
            transformer=TwoWayTransformer(depth=2, embedding_dim=WIDTH, mlp_dim=2048, num_heads=8),
        )
        self.detail_head = PlainDetail(sam.embed_dims[:3]) if architecture.detail else None

    @classmethod
    def from_folder(cls, folder: Path, device: str = "cpu") -> PlainTPDRSeg:
        """The weights of a checkpoint's folder, in float32; every tensor must find its place."""
        config = TPDRSegConfig.from_json((folder / "config.json").read_text(encoding="utf-8"))
        model = cls(config)
        model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
        return model.to(device).eval()

    @property
    def clip(self) -> Any:
        """open_clip's CLIP."""
        return self.explicit_prior["clip"]

    def prior(self, image: Tensor, texts: Sequence[str], where: Tensor, named: str) -> Tensor:
        """Eq. 1: the explicit prior of one lesion.

        Args:
            image: `(1, 3, H, W)` RGB in [0, 1], the whole field of view.
            texts: the lesion's descriptions.
            where: `(1, 1, h, w)` bool, the patches inside the field of view.
            named: the lesion's name.

        Returns:
            `(1, 1, h, w)` in [0, 1].
        """
        units = F.normalize(self.text_features(texts, named).to(image.device))
        text = units.mean(dim=0)[None, :, None, None]
        similarity = F.cosine_similarity(self.patches(image), text, dim=1)[:, None]
        inside = similarity[where]
        span = inside.max() - inside.min()
        if span <= 1e-6:
            return torch.zeros_like(similarity)
        return (similarity - inside.min()).div(span) * where

    def text_features(self, texts: Sequence[str], named: str) -> Tensor:
        """Return CLIP's `P_t` of each of T texts, `(T, D)`, not of unit length.

        The small CLIP's concepts are weighed by Bayes' rule: the lesion that the texts are said
        to describe is 20 times likelier than by the words alone.
        """
        device = self.prompt_generator.class_bias.device
        if isinstance(self.clip, open_clip.CLIP):
            tokenizer = SimpleTokenizer(context_length=self.clip.context_length)
            return self.clip.encode_text(tokenizer(list(texts)).to(device))  # type: ignore[no-any-return]
        tower: Any = self.clip.text
        likely = tower.probabilities(tower.encoder(tower.tokenize(texts).to(device)))
        for place, concept in enumerate(tower.concepts):
            if concept == named:
                likely[:, place] *= 20
        return (likely / likely.sum(dim=1, keepdim=True)) @ tower.anchors  # type: ignore[no-any-return]

    def patches(self, image: Tensor) -> Tensor:
        """CLIP's `P_v` in the joint space, `(1, D, h, w)`, of `(1, 3, H, W)` in [0, 1]."""
        visual = self.clip.visual
        if isinstance(visual, PlainTower):
            return visual(_normalise(image, IMAGENET_STATISTICS))  # type: ignore[no-any-return]
        x = visual.conv1(_normalise(image, CLIP_STATISTICS))
        size = x.shape[-2:]
        x = torch.cat([visual.class_embedding[None, None], x.flatten(2).transpose(1, 2)], dim=1)
        x = visual.ln_pre(x + _positions(visual, size))
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        # the value path of the last layer: each token attends to itself alone
        attention, width = last.attn, x.shape[-1]
        weight, bias = attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
        x = x + attention.out_proj(F.linear(last.ln_1(x), weight, bias))
        x = x + last.mlp(last.ln_2(x))
        x = visual.ln_post(x[:, 1:]) @ visual.proj
        return x.transpose(1, 2).unflatten(2, size)  # type: ignore[no-any-return]

    def logits(self, image: Tensor, prior: Tensor, lesion: int) -> Tensor:
        """The mask of one lesion on one tile.

        Args:
            image: `(1, 3, S, S)` RGB in [0, 255].
            prior: `(1, 1, S / 16, S / 16)` in [0, 1].
            lesion: its place in the catalog.

        Returns:
            `(1, 1, S / 2, S / 2)` with a detail head, else `(1, 1, S / 4, S / 4)`.
        """
        image = _normalise(image, SAM_STATISTICS)
        gate = prior if self.config.architecture.injector_prior else None
        features: list[Tensor] = []
        if self.config.architecture.image_encoder.kind == "vit":
            embedding = self._encode_vit(image, gate)
        else:
            embedding, features = self._encode_tiny(image, gate)
        gate = prior if self.config.architecture.generator_prior else None
        sparse, dense = self.prompt_generator(embedding, gate, lesion)
        seen: list[Tensor] = []  # SAM's decoder keeps its mask token to itself
        hook = self.mask_decoder.transformer.register_forward_hook(
            lambda module, given, out: seen.append(out[0][:, 1])
        )
        position = self.prompt_encoder.get_dense_pe()
        logits, _ = self.mask_decoder(embedding, position, sparse, dense, multimask_output=False)
        hook.remove()
        if self.detail_head is None:
            return logits  # type: ignore[no-any-return]
        fine: Tensor = self.detail_head(image, features, seen[0])
        return fine + F.interpolate(logits, fine.shape[-2:], mode="bilinear")

    def _encode_vit(self, image: Tensor, prior: Tensor | None) -> Tensor:
        encoder: Any = self.image_encoder["backbone"]
        x = encoder.patch_embed(image) + encoder.pos_embed
        for index, block in enumerate(encoder.blocks):
            x = self._inject(index, block(x).permute(0, 3, 1, 2), prior).permute(0, 2, 3, 1)
        return encoder.neck(x.permute(0, 3, 1, 2))  # type: ignore[no-any-return]

    def _encode_tiny(self, image: Tensor, prior: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """The embedding, and the features of stride 4, 8 and 16 that no injector has changed."""
        encoder: Any = self.image_encoder["backbone"]
        x, features, index = encoder.patch_embed(image), [], 0
        for number, stage in enumerate(encoder.stages):
            if number > 0:
                x = stage.downsample(x)
            for block in stage.blocks:
                x = block(x) if number == 0 else block(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
                if block is stage.blocks[-1]:
                    features.append(x)
                x = self._inject(index, x, prior)
                index += 1
        return encoder.neck(x), features[:3]

    def _inject(self, index: int, feature: Tensor, prior: Tensor | None) -> Tensor:
        injectors: Any = self.image_encoder["injectors"]
        return injectors[str(index)](feature, prior) if str(index) in injectors else feature


def _plain_clip(config: CLIPConfig) -> nn.Module:
    architecture: Any = config.architecture
    vision, text = dict(architecture["vision_cfg"]), dict(architecture["text_cfg"])
    width = architecture["embed_dim"]
    if vision.pop("tower", None) is None:
        return open_clip.CLIP(  # type: ignore[no-any-return]
            embed_dim=width,
            vision_cfg=vision,
            text_cfg=text,
            quick_gelu=architecture.get("quick_gelu", False),
        )
    del text["tower"]
    # the text tower is compared with Hugging Face's BERT in the tests of the package
    clip = nn.Module()
    clip.visual, clip.text = PlainTower(width, **vision), TextTower(width, **text)
    clip.logit_scale = nn.Parameter(torch.ones([]))
    return clip


def _normalise(image: Tensor, statistics: Sequence[Sequence[float]]) -> Tensor:
    mean, std = (image.new_tensor(values).view(3, 1, 1) for values in statistics)
    return (image - mean) / std


def _positions(visual: Any, size: Sequence[int]) -> Tensor:
    """CLIP's position embedding, stretched to another grid."""
    embedding: Tensor = visual.positional_embedding
    if tuple(visual.grid_size) == tuple(size):
        return embedding
    grid = embedding[1:].T.reshape(1, -1, *visual.grid_size)
    grid = F.interpolate(grid, size=tuple(size), mode="bicubic")
    return torch.cat([embedding[:1], grid[0].flatten(1).T])
