"""The two uses of MobileSAM's image encoder against a plain transcription of its definition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tp_drseg.checkpoints.backbones import load_sam, load_trunk, read_sam, rename_mobile_sam
from tp_drseg.config import ENCODERS
from tp_drseg.modules.fundus_tower import FundusTower
from tp_drseg.modules.image_encoder import TinyViTBackbone

DEPTHS, HEADS, WINDOWS = (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)


class MobileSAMEncoder:
    """TinyViT-5M with SAM's neck, run on the tensors of the published checkpoint.

    Wu et al., TinyViT (ECCV 2022), with MobileSAM's changes: the last downsampling has stride 1,
    the classifier is never run.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        prefix = "image_encoder."
        self.w = {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}

    def conv_norm(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        kernel = self.w[f"{name}.c.weight"]
        groups = x.shape[1] // kernel.shape[1]  # 1, or depthwise
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)
        mean, variance, scale, shift = (
            self.w[f"{name}.bn.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, name: str, x: Tensor) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
        return x * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def norm_2d(self, name: str, x: Tensor) -> Tensor:
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-6).sqrt()
        return x * self.w[f"{name}.weight"][:, None, None] + self.w[f"{name}.bias"][:, None, None]

    def mb_conv(self, name: str, x: Tensor) -> Tensor:
        y = F.gelu(self.conv_norm(f"{name}.conv1", x))
        y = F.gelu(self.conv_norm(f"{name}.conv2", y))
        return F.gelu(x + self.conv_norm(f"{name}.conv3", y))

    def merging(self, name: str, x: Tensor, stride: int) -> Tensor:
        x = F.gelu(self.conv_norm(f"{name}.conv1", x))
        x = F.gelu(self.conv_norm(f"{name}.conv2", x, stride))
        return self.conv_norm(f"{name}.conv3", x)

    def attention(self, name: str, x: Tensor, heads: int, window: int) -> Tensor:
        """One window, `(B, window, window, C)`."""
        batch, _, _, channels = x.shape
        dim = channels // heads
        x = self.norm(f"{name}.norm", x.reshape(batch, window * window, channels))
        qkv = self.linear(f"{name}.qkv", x).reshape(batch, window * window, heads, 3 * dim)
        place = torch.arange(window)
        row, column = place.repeat_interleave(window), place.repeat(window)
        down, along = (row[:, None] - row).abs(), (column[:, None] - column).abs()
        out = []
        for head in range(heads):
            query, key, value = qkv[:, :, head].reshape(batch, -1, 3, dim).unbind(2)
            bias = self.w[f"{name}.attention_biases"][head][down * window + along]
            scores = query @ key.transpose(1, 2) / dim**0.5 + bias
            out.append(scores.softmax(-1) @ value)
        return self.linear(f"{name}.proj", torch.cat(out, -1)).reshape(
            batch, window, window, channels
        )

    def block(self, name: str, x: Tensor, heads: int, window: int) -> Tensor:
        height, width = x.shape[-2:]
        tokens = F.pad(x, (0, -width % window, 0, -height % window)).permute(0, 2, 3, 1)
        attended = torch.zeros_like(tokens)
        for top in range(0, height, window):
            for left in range(0, width, window):
                rows, columns = slice(top, top + window), slice(left, left + window)
                attended[:, rows, columns] = self.attention(
                    f"{name}.attn", tokens[:, rows, columns], heads, window
                )
        x = x + attended[:, :height, :width].permute(0, 3, 1, 2)
        x = self.conv_norm(f"{name}.local_conv", x)
        hidden = self.norm(f"{name}.mlp.norm", x.permute(0, 2, 3, 1))
        hidden = F.gelu(self.linear(f"{name}.mlp.fc1", hidden))
        return x + self.linear(f"{name}.mlp.fc2", hidden).permute(0, 3, 1, 2)

    def stages(self, x: Tensor) -> list[Tensor]:
        """The output of each of the four stages, before the downsampling that follows it."""
        x = F.gelu(self.conv_norm("patch_embed.seq.0", x, stride=2))
        x = self.conv_norm("patch_embed.seq.2", x, stride=2)
        outputs = []
        for stage, depth in enumerate(DEPTHS):
            if stage > 0:
                x = self.merging(f"layers.{stage - 1}.downsample", x, 1 if stage == 3 else 2)
            for index in range(depth):
                name = f"layers.{stage}.blocks.{index}"
                if stage == 0:
                    x = self.mb_conv(name, x)
                else:
                    x = self.block(name, x, HEADS[stage], WINDOWS[stage])
            outputs.append(x)
        return outputs

    def __call__(self, x: Tensor) -> Tensor:
        x = F.conv2d(self.stages(x)[-1], self.w["neck.0.weight"])
        x = F.conv2d(self.norm_2d("neck.1", x), self.w["neck.2.weight"], padding=1)
        return self.norm_2d("neck.3", x)


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    path = Path(__file__).parents[3] / "shared" / "weights" / "mobile_sam.pt"
    if not path.is_file():
        pytest.skip("mobile_sam.pt is not beside the repository")
    return read_sam(path)


@torch.no_grad()
def test_image_embedding_equals_mobile_sams(
    published: dict[str, Tensor], make_model: Any, retina: Any
) -> None:
    model = make_model("tiny_vit", image_encoder=ENCODERS["tiny"], image_size=128)
    load_sam(model.network, published)
    pixels = torch.from_numpy(retina).movedim(-1, 0)[None].float()
    images = F.interpolate(pixels, (128, 128), mode="bilinear", antialias=True)
    mean = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
    std = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    expected = MobileSAMEncoder(published)((images - mean) / std)
    assert expected.shape == (1, 256, 8, 8)
    features = model.network.encode_image(images)
    embedding = model.network.image_encoder.inject(features.feature, torch.rand(1, 1, 8, 8))
    torch.testing.assert_close(embedding, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_fundus_tower_reads_mobile_sams_stages(published: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    tower = FundusTower(output_dim=8, width=16).eval()
    load_trunk(tower, published)
    image = torch.rand(1, 3, 96, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    fine, middle, coarse, _ = MobileSAMEncoder(published).stages(
        (image - mean[:, None, None]) / std[:, None, None]
    )
    fine = fine.reshape(1, 64, 6, 4, 4, 4)
    middle = middle.reshape(1, 128, 6, 2, 4, 2)
    expected = torch.cat(
        [
            fine.mean((3, 5)),
            fine.amax((3, 5)),
            middle.mean((3, 5)),
            middle.amax((3, 5)),
            coarse,
        ],
        dim=1,
    )
    clip_mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    clip_std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    features = tower.trunk_features((image - clip_mean) / clip_std)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


def test_renaming_covers_every_tensor(published: dict[str, Tensor]) -> None:
    prefix = "image_encoder."
    own = {k[len(prefix) :]: v for k, v in published.items() if k.startswith(prefix)}
    classifier = {name for name in own if name.startswith(("head.", "norm_head."))}
    assert classifier == {"head.weight", "head.bias", "norm_head.weight", "norm_head.bias"}
    renamed = rename_mobile_sam(own)
    expected = TinyViTBackbone(ENCODERS["tiny"]).state_dict()
    assert {k: v.shape for k, v in renamed.items()} == {k: v.shape for k, v in expected.items()}
    assert len(renamed) == len(own) - len(classifier)
