"""The checkpoints that are timed: the embedded one, and `vit_b` with random weights."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import torch
from torch import nn

from tp_drseg.config import TPDRSegConfig
from tp_drseg.model import TPDRSeg

FRAMES = ("own", "whole", "tiled")
DIAMETERS = {"whole": 1024, "tiled": 1792}
"""Longest side of the field of view; `own` is what the size has by itself."""


def make_checkpoint(size: str, frame: str, folder: Path) -> Path:
    """Return the folder of a checkpoint, made below `folder` when it is not there yet.

    Args:
        size: of `tiny`, `vit_b` and `vit_b_1024`; only the first has trained weights.
        frame: one of `FRAMES`.
        folder: where checkpoints are kept for this run.
    """
    target = folder / f"{size}-{frame}"
    if target.exists():
        return target
    if size == "tiny":
        source = Path(str(resources.files("tp_drseg") / "weights"))
    else:
        source = folder / f"{size}-random"
        if not source.exists():
            config = TPDRSegConfig.for_size("vit_b")
            if size == "vit_b_1024":
                config = config.replace(architecture={"clip": {"image_size": 1024}})
            random_model(config).save_pretrained(source)
    config = TPDRSegConfig.from_json((source / "config.json").read_text(encoding="utf-8"))
    if frame != "own":
        config = config.replace(inference={"working_diameter": DIAMETERS[frame]})
    target.mkdir(parents=True)
    (target / "config.json").write_text(config.to_json(), encoding="utf-8")
    (target / "model.safetensors").symlink_to((source / "model.safetensors").resolve())
    return target


def random_model(config: TPDRSegConfig) -> TPDRSeg:
    """Return a model with seeded random weights whose answer depends on every one of them."""
    torch.manual_seed(0)
    model = TPDRSeg.build(config)
    stir_zeros(model.network)
    spread_logits(model)
    return model


def stir_zeros(model: nn.Module) -> None:
    """Give seeded random values to every parameter that is all zero.

    Those are what starts without a say: the injectors' value projections, the detail head's last
    layer, and SAM's position embeddings.
    """
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(0.05 * noise)


@torch.inference_mode()
def spread_logits(model: TPDRSeg, spread: float = 2.0) -> None:
    """Scale the decoder's last layer until logits vary as those of a trained model do.

    Those of random weights are all near 0, where no difference would be seen.
    """
    architecture = model.config.architecture
    side, grid = architecture.image_size, architecture.grid
    generator = torch.Generator().manual_seed(2)
    image = torch.rand(1, 3, side, side, generator=generator) * 255
    prior = torch.rand(1, 1, grid, grid, generator=generator)
    found = model.network(image, prior, torch.zeros(1, dtype=torch.int64)).std()
    last = model.network.mask_decoder.output_hypernetworks_mlps[0].layers[-1]
    last.weight.mul_(spread / found)
    last.bias.mul_(spread / found)
