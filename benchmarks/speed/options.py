"""The command line of `python -m benchmarks.speed`, and the line that repeats a measurement."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "retina_with_lesions.jpg"
SIZES = ("tiny", "vit_b", "vit_b_1024")
"""`vit_b_1024` is `vit_b` whose CLIP sees 1024 pixels, as that of `tiny` does, in place of 448."""
DTYPES = ("auto", "float32", "bfloat16")
SECTIONS = (
    "whole", "kept", "tiled", "together", "session", "folder", "startup", "training", "compile",
    "card", "profile",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What is to be measured, and how; `parse` explains each."""

    photographs: list[Path]
    only: list[str]
    size: list[str]
    dtype: list[str]
    device: str
    threads: int
    runs: int
    folder: Path | None
    count: int
    data: Path | None
    data_format: str
    steps: int
    peak_tflops: float
    out: Path | None

    def sizes_and_dtypes(self) -> Iterator[tuple[str, str]]:
        """Each size with each type of numbers."""
        return ((size, dtype) for size in self.size for dtype in self.dtype)


def parse(words: list[str] | None = None) -> Options:
    """Read the command line; end the process with a sentence where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description="Time, memory and agreement of the package beside a plain reference.",
    )
    add = parser.add_argument
    add("photographs", nargs="*", type=Path, default=[EXAMPLE], help="default: the example")
    add("--only", type=_some(SECTIONS), default=["whole"], help=f"of {','.join(SECTIONS)}")
    add("--size", type=_some(SIZES), default=["tiny"], help=f"of {','.join(SIZES)}")
    add("--dtype", type=_some(DTYPES), default=["auto", "float32"], help=f"of {','.join(DTYPES)}")
    add("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    add("--threads", type=int, default=0, help="PyTorch's threads (default: its own choice)")
    add("--runs", type=int, default=3, help="timed runs of each way (default: 3)")
    add("--folder", type=Path, help="folder: where the photographs of the folder run lie")
    add("--count", type=int, default=40, help="folder: how many it has (default: 40)")
    add("--data", type=Path, help="training: folder of annotated photographs")
    add("--data-format", default="idrid", help="training: how it is laid out (default: idrid)")
    add("--steps", type=int, default=6, help="training: steps of each loop (default: 6)")
    add("--peak-tflops", type=float, default=989.0, help="card: its highest rate (default: H100)")
    add("--out", type=Path, help="file to which results are added")
    options = Options(**vars(parser.parse_args(words)))
    if options.runs < 1 or options.steps < 3 or options.count < 1:
        parser.error("--runs and --count must be 1 or more, and --steps 3 or more")
    needed = {"folder": ("--folder", options.folder), "training": ("--data", options.data)}
    for section, (name, path) in needed.items():
        if section in options.only and path is None:
            parser.error(f"--only {section} needs {name}")
    if "card" in options.only and not options.device.startswith("cuda"):
        parser.error("--only card needs --device cuda")
    for path in (*options.photographs, options.folder, options.data):
        if path is not None and not path.exists():
            parser.error(f"there is no {path}")
    return options


def command(options: Options, section: str, identity: Mapping[str, str]) -> str:
    """Return what repeats one measurement, with names in the place of paths."""
    words = ["python", "-m", "benchmarks.speed", "--only", section]
    for name in ("size", "dtype"):
        if name in identity:
            words += [f"--{name}", identity[name]]
    if section == "folder" and options.folder is not None:
        words += ["--folder", options.folder.resolve().name, "--count", str(options.count)]
    elif section == "training" and options.data is not None:
        words += ["--data", options.data.resolve().name, "--data-format", options.data_format]
        words += ["--steps", str(options.steps)]
    elif section == "card":
        words += ["--peak-tflops", f"{options.peak_tflops:g}"]
    elif section != "startup":
        words += [path.name for path in options.photographs]
    if section != "training":
        words += ["--runs", str(options.runs)]
    if options.device != "cpu":
        words += ["--device", options.device]
    if options.threads:
        words += ["--threads", str(options.threads)]
    return shlex.join(words)


def _some(allowed: Collection[str]) -> Callable[[str], list[str]]:
    """An option's type: some of these names, with commas between."""

    def split(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(allowed)}")
        return names

    return split
