"""A convolution or a linear map in one pass with what surrounds it: batch norm, GELU.

On a processor most of the time of such a layer goes into reading and writing its large maps. A
batch norm whose statistics are fixed is folded into the convolution before it, and where no
gradient is asked for, oneDNN applies the GELU before a value leaves the cache.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.models import tiny_vit
from torch import Tensor, nn


class FoldedConvNorm(tiny_vit.ConvNorm):  # type: ignore[misc]
    """timm's `ConvNorm` of TinyViT, its batch norm folded while that is in evaluation mode.

    `W' = W s`, `b' = b - m s` with `s = w / sqrt(v + eps)`, for a batch norm of weight `w`, bias
    `b`, mean `m` and variance `v`.

    Attributes:
        gelu: Whether a GELU follows.
    """

    gelu = False

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise, `(B, C, H, W)` to `(B, C', H', W')`."""
        conv, norm = self.conv, self.bn
        if norm.training:
            x = super().forward(x)
            return F.gelu(x) if self.gelu else x
        # rounded once, after the folding
        exact = torch.promote_types(conv.weight.dtype, torch.float32)
        scale = norm.weight.to(exact) * (norm.running_var.to(exact) + norm.eps).rsqrt()
        weight = (conv.weight.to(exact) * scale[:, None, None, None]).to(conv.weight.dtype)
        bias = (norm.bias.to(exact) - norm.running_mean.to(exact) * scale).to(conv.weight.dtype)
        places = conv.padding, conv.stride, conv.dilation, conv.groups
        if self.gelu and _can_fuse(x, weight):
            ready = _as_autocast(x, weight, bias)
            return torch.ops.mkldnn._convolution_pointwise(*ready, *places, "gelu", [], "none")  # type: ignore[no-any-return]
        padding, stride, dilation, groups = places
        x = F.conv2d(x, weight, bias, stride, padding, dilation, groups)
        return F.gelu(x) if self.gelu else x


class LinearGELU(nn.Linear):
    """A linear map and the GELU after it."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `gelu(W x + b)`, `(..., C)` to `(..., C')`."""
        if _can_fuse(x, self.weight):
            ready = _as_autocast(x, self.weight, self.bias)
            return torch.ops.mkldnn._linear_pointwise(*ready, "gelu", [], "none")  # type: ignore[no-any-return]
        return F.gelu(super().forward(x))


def fuse_layers(body: nn.Module) -> None:
    """Let the layers of a timm `TinyVit` take its activations in; parameters and names stay."""
    for module in body.modules():
        if type(module) is tiny_vit.ConvNorm:
            module.__class__ = FoldedConvNorm
        for layer, activation in _FOLLOWED.get(type(module), ()):
            if type(getattr(module, activation)) is nn.GELU:
                _take_in(getattr(module, layer))
                setattr(module, activation, nn.Identity())


_FOLLOWED: dict[type[Any], tuple[tuple[str, str], ...]] = {
    tiny_vit.PatchEmbed: (("conv1", "act"),),
    tiny_vit.MBConv: (("conv1", "act1"), ("conv2", "act2")),
    tiny_vit.PatchMerging: (("conv1", "act1"), ("conv2", "act2")),
    tiny_vit.NormMlp: (("fc1", "act"),),
}
"""Layers of timm's modules and the activations that follow them."""


def _take_in(layer: Any) -> None:
    if isinstance(layer, nn.Linear):
        layer.__class__ = LinearGELU
    else:
        layer.__class__, layer.gelu = FoldedConvNorm, True


def _can_fuse(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN may do it: on a processor, without gradient, and not for an exporter."""
    dtype = _compute_dtype(x)
    return (
        x.device.type == "cpu"
        and dtype in (torch.float32, torch.bfloat16)
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and (dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def _compute_dtype(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _as_autocast(*tensors: Tensor) -> list[Tensor]:
    """Return the tensors in the type to compute in, which fused operations do not ask for."""
    dtype = _compute_dtype(tensors[0])
    return [tensor.to(dtype) for tensor in tensors]
