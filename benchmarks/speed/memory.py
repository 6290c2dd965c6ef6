"""Peak memory of either way, for all lesions of one photograph; to be run in a fresh process."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.processes import peak_memory
from benchmarks.harness.ways import Setting, load_ours, load_plain


def memory_of(way: str, setting: Setting, photograph: Path) -> dict[str, float | None]:
    """Peak of this process, and of the graphics card if there is one, in MiB.

    Args:
        way: `plain` or `ours`.
        setting: how to run it.
        photograph: what to segment.
    """
    import torch

    if way == "plain":
        from benchmarks.reference.photograph import segment_plain

        plain = load_plain(setting)
        segment_plain(plain, photograph, plain.config.lesions.names)
    else:
        load_ours(setting).segment(photograph)
    on_card = torch.cuda.max_memory_allocated() / 2**20 if setting.device == "cuda" else None
    return {"process": peak_memory(), "card": on_card}
