"""The two ways that are compared: the plain reference, and the package's model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from benchmarks.harness.memory import PeakMemory
from benchmarks.harness.setting import Setting, load_ours, set_threads
from benchmarks.reference.network import PlainTPDRSeg
from benchmarks.reference.photograph import segment_plain
from tp_drseg._runtime.allocator import freed_memory_kept

Way = Callable[[Path, Sequence[str]], object]
"""Answers a photograph and names of lesions."""

_until_the_end = ExitStack()
"""Of a worker's process."""


def load_plain(setting: Setting) -> PlainTPDRSeg:
    """Return the plain reference, in float32 whatever the setting's dtype."""
    set_threads(setting.threads)
    return PlainTPDRSeg.from_folder(setting.checkpoint, setting.device)


def plain(setting: Setting, kept: bool = False) -> Way:
    """Return the plain way; with `kept` freed memory is kept until the process ends."""
    if kept:
        _until_the_end.enter_context(freed_memory_kept())
    return partial(segment_plain, load_plain(setting))


def ours(setting: Setting) -> Way:
    """Return the package's way, all lesions in one call."""
    return load_ours(setting).segment_many


def one_by_one(setting: Setting) -> Way:
    """Return the package's way with a call for each lesion."""
    model = load_ours(setting)
    return lambda photograph, lesions: [model.segment(photograph, name) for name in lesions]


def peak_memory(
    load: Callable[[Setting], Way], setting: Setting, photograph: Path, lesions: Sequence[str]
) -> dict[str, float | None]:
    """Return the peaks of this process, which should be a fresh one, and of the card, in MiB."""
    with PeakMemory() as peak:
        load(setting)(photograph, lesions)
    on_card = torch.cuda.max_memory_allocated() / 2**20 if setting.device == "cuda" else None
    return {"process": peak.mebibytes, "card": on_card}
