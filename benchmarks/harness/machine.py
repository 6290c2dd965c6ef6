"""What was measured on: the machine and the versions, without any path or name of its own."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "timm", "open_clip_torch", "segment-anything-py", "monai", "numpy", "pillow")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""What a processor may have that decides how fast float32 and bf16 are."""


def machine() -> dict[str, str]:
    """Processor, memory, graphics card, system and versions, by name."""
    import torch

    from tp_drseg import __version__

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {"Processor": f"{_processor()}, {cores} cores"}
    if flags := _flags():
        facts["Instructions"] = ", ".join(flags)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        facts["Memory"] = f"{size / 2**30:.0f} GiB"
    if torch.cuda.is_available():
        facts["Graphics card"] = torch.cuda.get_device_name()
    facts["System"] = f"{platform.system()}, Python {platform.python_version()}"
    packages = [f"{name} {_version(name)}" for name in PACKAGES]
    return {**facts, "Packages": ", ".join([f"tp-drseg {__version__}", *packages])}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    has = _cpuinfo("flags").split()
    return [flag for flag in FLAGS if flag in has]
