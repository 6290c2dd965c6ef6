"""Where a model runs and in which type it computes: as asked, or what suits the hardware."""

from __future__ import annotations

import logging
import re

import torch

from tp_drseg.errors import ConfigError

logger = logging.getLogger(__name__)

DTYPES = ("auto", "float32", "bfloat16", "float16")
"""What may be asked for as `dtype`."""


def pick_device(device: str | torch.device) -> torch.device:
    """Return the device that a name stands for; `auto` is CUDA, then Apple's MPS, then the CPU.

    Raises:
        ConfigError: for a name that torch does not know or a device that is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        picked = torch.device(device)
        torch.empty(0, device=picked)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # what a driver advises after that is nothing that helps here
        reason = re.split(r"\. |\n", str(error).strip())[0].rstrip(".")
        raise ConfigError(
            f"Device {str(device)!r} cannot be used here: {reason}. Use auto or cpu."
        ) from error
    return picked


def takes_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 natively; where it does not, float32 is faster."""
    if device.type == "cuda":
        # asks about the current device
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # AVX512-BF16 and AMX; older versions of torch lack one or both of these questions
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in questions)


def pick_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Return the type that a name stands for; `auto` is bf16 where that is native, else float32.

    What was chosen and why goes into the log.

    Args:
        dtype: one of `DTYPES`, or the torch type itself.
        device: where the model is to run.

    Raises:
        ConfigError: for another name, and for float16 elsewhere than on CUDA.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ConfigError(f"dtype {name!r} is unknown. Use one of {', '.join(DTYPES)}.")
    if name == "float16" and device.type != "cuda":
        raise ConfigError(
            f"dtype float16 works on CUDA alone, and the model is to run on {device}. "
            f"Use auto, bfloat16 or float32."
        )
    why = "as asked"
    if name == "auto":
        found = takes_bf16(device)
        name = "bfloat16" if found else "float32"
        part = "processor" if device.type == "cpu" else "device"
        why = f"this {part} has {'' if found else 'no '}bf16 instructions"
    logger.info("device: %s, dtype: %s (%s)", device, name, why)
    picked: torch.dtype = getattr(torch, name)
    return picked
