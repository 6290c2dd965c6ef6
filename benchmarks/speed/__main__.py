"""Time, memory and agreement of the package beside a plain reference; one entry point for all.

Run it from the repository's root:

    python -m benchmarks.speed examples/retina_with_lesions.jpg --only whole --size tiny

Results are added to a file (`--out`), from which `benchmarks.speed.report` makes
`docs/performance.md`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.machine import machine
from benchmarks.harness.results import add_result
from benchmarks.speed.options import command, parse
from benchmarks.speed.sections import MEASURES


def main() -> None:
    """Measure each asked section, print it, and add it to the file of results."""
    options = parse()
    facts = machine()
    with tempfile.TemporaryDirectory() as folder:
        for section in options.only:
            for identity, values in MEASURES[section](options, Path(folder)):
                record = {
                    "section": section,
                    "device": options.device,
                    "threads": options.threads or torch.get_num_threads(),
                    **identity,
                    "date": date.today().isoformat(),
                    "command": command(options, section, identity),
                    "machine": facts,
                    "values": values,
                }
                print(f"\n{record['command']}")
                _show(values, "  ")
                if options.out is not None:
                    add_result(options.out, record)


def _show(values: Mapping[str, Any], indent: str) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            print(f"{indent}{name}:")
            _show(value, indent + "  ")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else f"{value}"
            print(f"{indent}{name}: {text}")


if __name__ == "__main__":
    main()
