from __future__ import annotations

from pathlib import Path

import psutil

from benchmarks.harness.machine import machine
from tp_drseg import __version__


def test_the_machine_is_told_without_a_path_or_name_of_its_own() -> None:
    facts = machine()
    assert f"tp-drseg {__version__}" in facts["Packages"] and "torch " in facts["Packages"]
    assert facts["Memory"] == f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    assert facts["Processor"].endswith(" cores")
    assert not any(str(Path.home()) in fact or str(Path.cwd()) in fact for fact in facts.values())
