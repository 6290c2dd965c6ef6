"""All lesions of a photograph in one call against one call for each lesion: time and memory.

Run it from the repository's root: `python -m benchmarks.speed.together`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tp_drseg import TPDRSeg

EXAMPLE = Path(__file__).parents[2] / "examples" / "retina_with_lesions.jpg"
WAYS = ("together", "one by one")


def segment(model: TPDRSeg, image: str, way: str) -> None:
    """Segment every lesion of the model, in one of the two ways."""
    if way == "together":
        model.segment(image)
    else:
        for name in model.catalog.names:
            model.segment(image, lesion=name)


def timed(model: TPDRSeg, image: str, way: str) -> float:
    """Seconds of one run; results are arrays in main memory, so no device work is left out."""
    start = time.perf_counter()
    segment(model, image, way)
    return time.perf_counter() - start


def load(options: argparse.Namespace) -> TPDRSeg:
    """The model, on the asked device and number of threads."""
    import torch

    from tp_drseg import TPDRSeg

    if options.threads:
        torch.set_num_threads(options.threads)
    return TPDRSeg.from_pretrained(options.model, device=options.device)


def peak_memory(options: argparse.Namespace, way: str) -> tuple[float, float | None]:
    """Peak memory of this process after one run, and of the GPU if there is one, in MiB."""
    import resource

    import torch

    model = load(options)
    segment(model, options.image, way)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10
    on_gpu = torch.cuda.max_memory_allocated() / 2**20 if model.device.type == "cuda" else None
    return peak / unit, on_gpu


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each way (default: 5)")
    parser.add_argument(
        "--threads", type=int, default=0, help="PyTorch's threads (default: its own)"
    )
    parser.add_argument("--image", default=str(EXAMPLE), help="photograph (default: the example)")
    parser.add_argument("--model", help="model folder or Hub id (default: the embedded model)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be 1 or more")
    return options


def main() -> None:
    """Measure memory, then time, and print both."""
    options = parse()
    # Memory first: on Linux a child process starts with its parent's peak, which is small so far.
    context = multiprocessing.get_context("spawn")
    for way in WAYS if sys.platform != "win32" else ():
        with context.Pool(1) as pool:
            memory, on_gpu = pool.apply(peak_memory, (options, way))
        gpu = "" if on_gpu is None else f", {on_gpu:.0f} MiB on the GPU"
        print(f"{way}: peak memory {memory:.0f} MiB{gpu}")

    model = load(options)
    segment(model, options.image, WAYS[0])  # warm-up
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for run in range(options.runs):
        for way in WAYS if run % 2 == 0 else WAYS[::-1]:
            seconds[way].append(timed(model, options.image, way))
    median = {way: statistics.median(seconds[way]) for way in WAYS}
    for way in WAYS:
        low, high = min(seconds[way]), max(seconds[way])
        print(f"{way}: median {median[way]:.2f} s of {options.runs} ({low:.2f} to {high:.2f} s)")
    print(f"ratio of the medians, {WAYS[1]} / {WAYS[0]}: {median[WAYS[1]] / median[WAYS[0]]:.2f}")


if __name__ == "__main__":
    main()
