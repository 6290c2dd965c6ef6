"""What was measured on: the machine and the versions, without any path or name of its own."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import psutil
import torch

from tp_drseg import __version__

PACKAGES = ("torch", "timm", "open_clip_torch", "segment-anything-py", "numpy", "pillow")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""What a processor may have that decides how fast float32 and bf16 are."""


def machine() -> dict[str, str]:
    """Return processor, memory, graphics card, system and versions, by name."""
    facts = {"Processor": f"{_processor()}, {_cores()} cores"}
    if flags := _flags():
        facts["Instructions"] = ", ".join(flags)
    facts["Memory"] = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    if torch.cuda.is_available():
        facts["Graphics card"] = torch.cuda.get_device_name()
    facts["System"] = f"{platform.system()}, Python {platform.python_version()}"
    packages = [f"{name} {_version(name)}" for name in PACKAGES]
    return {**facts, "Packages": ", ".join([f"tp-drseg {__version__}", *packages])}


def _cores() -> int | None:
    """Those that this process may use, where the system tells."""
    if psutil.LINUX or psutil.WINDOWS:
        return len(psutil.Process().cpu_affinity())
    return psutil.cpu_count()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _cpuinfo(key: str) -> str:
    """What Linux says of the first processor; psutil tells neither its name nor its flags."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    has = _cpuinfo("flags").split()
    return [flag for flag in FLAGS if flag in has]
