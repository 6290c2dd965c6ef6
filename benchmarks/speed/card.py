"""On a graphics card: milliseconds an image beside the least that its arithmetic can take."""

from __future__ import annotations

import statistics
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.harness.setting import Setting, dtype_name, load_ours, timed
from benchmarks.reference.network import PlainTPDRSeg
from benchmarks.speed.ways import load_plain
from tp_drseg.model import TPDRSeg

BATCHES = (1, 8)


def card_speed(setting: Setting, peak_tflops: float, compiled: bool) -> dict[str, Any]:
    """Time CLIP, encoder and decoder for all lesions of random images that lie on the card.

    Args:
        setting: how to run it.
        peak_tflops: what the card can do at most in the dtype, in 10^12 operations a second.
        compiled: whether to compile the model first.
    """
    model = load_ours(setting)
    if compiled:
        model.compile()
    flops = necessary_flops(load_plain(setting))
    floor = flops / peak_tflops / 1e9
    batches = {str(batch): _batch(model, batch, setting.runs) for batch in BATCHES}
    for values in batches.values():
        values["share_of_floor"] = floor / values["milliseconds"]
    return {
        "dtype_chosen": dtype_name(model.dtype),
        "compiled": compiled,
        "lesions": len(model.catalog),
        "gflops": flops / 1e9,
        "peak_tflops": peak_tflops,
        "floor_milliseconds": floor,
        "batches": batches,
    }


def _batch(model: TPDRSeg, batch: int, runs: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    architecture = model.config.architecture
    side, clip_side = architecture.image_size, architecture.clip.image_size
    images = torch.rand(batch, 3, side, side, generator=generator).to(model.device) * 255
    pictures = torch.rand(batch, 3, clip_side, clip_side, generator=generator).to(model.device)
    texts = [model.config.prompt_texts(name) for name in model.catalog.names]
    lesions = torch.arange(len(model.catalog), device=model.device)

    @torch.inference_mode()
    def run() -> Tensor:
        priors = model.network.explicit_prior(pictures, texts)
        logits: Tensor = model.network(images, priors, lesions)
        torch.cuda.synchronize()
        return logits

    for _ in range(3):
        run()
    torch.cuda.reset_peak_memory_stats()
    seconds = [timed(run)[0] for _ in range(max(10, runs))]
    return {
        "milliseconds": statistics.median(seconds) / batch * 1000,
        "memory": torch.cuda.max_memory_allocated() / 2**20,
    }


@torch.inference_mode()
def necessary_flops(plain: PlainTPDRSeg) -> float:
    """Count multiplications and additions for all lesions of one image, nothing done twice.

    CLIP's image side and all before the first injector count once, the rest for each lesion.
    """
    config, device = plain.config, plain.prompt_generator.class_bias.device
    side, clip_side = config.architecture.image_size, config.architecture.clip.image_size
    picture = torch.rand(1, 3, clip_side, clip_side, device=device)
    image = torch.rand(1, 3, side, side, device=device)
    prior = torch.rand(1, 1, config.architecture.grid, config.architecture.grid, device=device)
    with FlopCounterMode(display=False) as clip:
        plain.patches(picture)
    with FlopCounterMode(display=False) as whole:
        plain.logits(image, prior, 0)
    shared = _flops_before_injectors(plain, image, prior)
    each = whole.get_total_flops() - shared
    return float(clip.get_total_flops() + shared + len(config.lesions) * each)


def _flops_before_injectors(plain: PlainTPDRSeg, image: Tensor, prior: Tensor) -> int:
    """Of one pass: what is spent until the first injector begins."""

    class Reached(Exception):  # noqa: N818
        pass

    def stop(*_: object) -> None:
        raise Reached

    injectors: Any = plain.image_encoder["injectors"]
    hooks = [injector.register_forward_pre_hook(stop) for injector in injectors.values()]
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            plain.logits(image, prior, 0)
    except Reached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return counter.get_total_flops()
