"""The paper's tables, and what mirroring gives: `python -m benchmarks.ablations`."""
