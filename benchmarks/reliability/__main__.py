"""Run one measurement: one JSON line of figures, and on stderr all that was wrong."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Protocol

from benchmarks.reliability.findings import Findings
from tp_drseg import __version__


class _Measure(Protocol):
    def __call__(self, work: Path, count: int, seed: int) -> Findings: ...


COUNTS = {
    "kill": 200,
    "kill_real": 5,
    "kill_training": 100,
    "kill_review": 50,
    "fuzz_images": 10_000,
    "fuzz_masks": 10_000,
    "fuzz_config": 10_000,
    "tamper": 1,
    "faults": 1,
    "soak": 200,
}
"""Measurements, and how often each tries by default; the last module of that name holds it."""


def main() -> int:
    """Measure; 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("name", choices=COUNTS)
    parser.add_argument("--count", type=int, help="how many are tried; by default enough")
    parser.add_argument("--seed", type=int, default=0, help="what is drawn by chance")
    parser.add_argument(
        "--work", type=Path, help="a new folder to work in, kept; else one that goes"
    )
    options = parser.parse_args()
    # read by libraries when they are imported, so before that
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    warnings.simplefilter("ignore")
    logging.getLogger("tp_drseg").setLevel(logging.CRITICAL)
    measure: _Measure = getattr(
        importlib.import_module(f"benchmarks.reliability.{options.name}"), options.name
    )
    count = COUNTS[options.name] if options.count is None else options.count
    work = options.work or Path(tempfile.mkdtemp(prefix="reliability-"))
    work.mkdir(parents=True, exist_ok=options.work is None)
    work.chmod(0o755)  # a process without rights must get in
    started = time.monotonic()
    try:
        found = measure(work, count, options.seed)
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    line = {
        "measured": options.name,
        "version": __version__,
        "count": count,
        "seed": options.seed,
        "minutes": round((time.monotonic() - started) / 60, 2),
        **found.summary(),
    }
    for sentence in found.wrong:
        print(sentence.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
    print(json.dumps(line, ensure_ascii=True))
    return int(bool(found.wrong))


if __name__ == "__main__":
    sys.exit(main())
