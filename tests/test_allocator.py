from __future__ import annotations

import subprocess
import sys

import pytest

from tp_drseg import allocator

PAGES = """
import resource, sys
from tp_drseg.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    for _ in range(10):
        bytearray(100_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = faults()
print(faults() - first)
"""


@pytest.mark.skipif(not allocator.keep_freed_memory(), reason="needs Linux with glibc")
def test_freed_pages_are_used_again() -> None:
    """Ten blocks of 100 MB, once that much has been freed before."""
    faults = {
        mode: int(subprocess.check_output([sys.executable, "-c", PAGES, mode]))
        for mode in ("keep", "give back")
    }
    assert faults["keep"] < 100 < 1000 < faults["give back"]


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
