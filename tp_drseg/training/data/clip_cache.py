"""CLIP's features of a run's photographs, kept so that a run that goes on need not make them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from tp_drseg._runtime.files import atomic_write
from tp_drseg.inference.prior import CLIPFeatures, clip_features
from tp_drseg.model import TPDRSeg
from tp_drseg.training.data.annotated import AnnotatedImage

logger = logging.getLogger(__name__)


def features_of(
    model: TPDRSeg, images: Sequence[AnnotatedImage], cache: Path | None = None
) -> list[CLIPFeatures]:
    """Return what CLIP sees of photographs, on the CPU.

    Args:
        model: Whose CLIP.
        images: The photographs.
        cache: Folder where they are kept, by a hash of CLIP's weights and the pixels; None for
            none.

    Raises:
        OutputError: `cache` cannot be written.
    """
    if cache is None:
        return [_computed(model, image) for image in images]
    weights = hashlib.blake2b()
    for name, value in sorted(model.network.explicit_prior.state_dict().items()):
        weights.update(name.encode())
        weights.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    found = []
    for number, image in enumerate(images, 1):
        key = weights.copy()
        for pixels in (image.clip_pixels, image.clip_inside):
            key.update(f"{tuple(pixels.shape)}".encode())
            key.update(pixels.contiguous().numpy().data)
        path = cache / f"{key.hexdigest()[:24]}.safetensors"
        features = _kept(path)
        if features is None:
            features = _computed(model, image)
            with atomic_write(path) as file:
                file.write(
                    to_bytes({"dense": features.dense, "inside": features.inside.contiguous()})
                )
            logger.info("CLIP saw %d of %d photographs: %s", number, len(images), image.name)
        found.append(features)
    return found


@torch.no_grad()
def _computed(model: TPDRSeg, image: AnnotatedImage) -> CLIPFeatures:
    found = clip_features(
        model.network.explicit_prior, image.clip_pixels.numpy(), image.clip_inside.float().numpy()
    )
    return CLIPFeatures(found.dense.cpu().contiguous(), found.inside.cpu())


def _kept(path: Path) -> CLIPFeatures | None:
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return CLIPFeatures(file.get_tensor("dense"), file.get_tensor("inside"))
    except (SafetensorError, OSError) as error:
        logger.warning("%s is damaged (%s): CLIP looks at the photograph anew", path, error)
        return None
