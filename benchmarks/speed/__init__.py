"""Time, memory and agreement beside the plain reference: `python -m benchmarks.speed`."""
