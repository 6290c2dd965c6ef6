"""Time, memory and agreement of the package beside a plain reference; one entry point for all.

Run it from the repository's root, with the package installed:

    python -m benchmarks.speed examples/retina_with_lesions.jpg --only whole --size tiny

Results are added to a file (`--out`), from which `speed_report.py` makes `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import machine
from benchmarks.harness.results import add_result

EXAMPLE = Path(__file__).parents[2] / "examples" / "retina_with_lesions.jpg"
SIZES = ("tiny", "vit_b", "vit_b_1024")
"""`vit_b_1024` is `vit_b` whose CLIP sees 1024 pixels, as that of `tiny` does, in place of 448."""
DTYPES = ("auto", "float32", "bfloat16")
LEAST_STARTS = 5
"""Fewer processes than this would say little about start-up."""

Found = Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]
"""What identifies a measurement beside the options, and its values."""


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    options = parser.parse_args(words)
    if options.runs < 1 or options.steps < 3 or options.count < 1:
        parser.error("--runs and --count must be 1 or more, and --steps 3 or more")
    for section, needed in (("folder", "folder"), ("training", "data")):
        if section in options.only and getattr(options, needed) is None:
            parser.error(f"--only {section} needs --{needed}")
    if "card" in options.only and not options.device.startswith("cuda"):
        parser.error("--only card needs --device cuda")
    for path in (*options.photographs, options.folder, options.data):
        if path is not None and not path.exists():
            parser.error(f"there is no {path}")
    return options


def main() -> None:
    """Measures each asked section, prints it, and adds it to the file of results."""
    options = parse()
    facts = machine()
    with tempfile.TemporaryDirectory() as folder:
        for section in options.only:
            for identity, values in SECTIONS[section](options, Path(folder)):
                record = {
                    "section": section,
                    "device": options.device,
                    "threads": _threads(options),
                    **identity,
                    "date": date.today().isoformat(),
                    "command": command(options, section, identity),
                    "machine": facts,
                    "values": values,
                }
                _show(record)
                if options.out is not None:
                    add_result(options.out, record)


def command(options: argparse.Namespace, section: str, identity: Mapping[str, Any]) -> str:
    """What repeats one measurement, with names in the place of paths."""
    words = ["python", "-m", "benchmarks.speed", "--only", section]
    for name in ("size", "dtype"):
        if name in identity:
            words += [f"--{name}", str(identity[name])]
    if section == "folder":
        words += ["--folder", options.folder.resolve().name, "--count", str(options.count)]
    elif section == "training":
        words += ["--data", options.data.resolve().name, "--data-format", options.data_format]
        words += ["--steps", str(options.steps)]
    elif section == "card":
        words += ["--peak-tflops", f"{options.peak_tflops:g}"]
    elif section != "startup":
        words += [path.name for path in options.photographs]
    if section not in ("training",):
        words += ["--runs", str(options.runs)]
    if options.device != "cpu":
        words += ["--device", options.device]
    if options.threads:
        words += ["--threads", str(options.threads)]
    return shlex.join(words)


def _against_plain(
    frame: str, *, kept: bool = False
) -> Callable[[argparse.Namespace, Path], Found]:
    def measure(options: argparse.Namespace, folder: Path) -> Found:
        from benchmarks.speed.against_plain import against_plain

        for size in options.size:
            setting = _setting(options, folder, size, frame, options.dtype[0])
            found = against_plain(setting, options.dtype, options.photographs, kept=kept)
            for dtype, values in zip(options.dtype, found, strict=True):
                yield {"size": size, "frame": frame, "dtype": dtype}, values

    return measure


def _view(options: argparse.Namespace, folder: Path) -> Found:
    from benchmarks.speed.session import view_speed

    for size, dtype in _each(options):
        setting = _setting(options, folder, size, "own", dtype)
        yield {"size": size, "dtype": dtype}, view_speed(setting, options.photographs)


def _folder(options: argparse.Namespace, folder: Path) -> Found:
    from benchmarks.speed.folder import folder_speed
    from tp_drseg.folder.photographs import find_images

    found = find_images(options.folder, folder / "out", recursive=False)
    photographs = [photograph.path for photograph in found]
    for size, dtype in _each(options):
        setting = _setting(options, folder, size, "own", dtype)
        values = folder_speed(setting, photographs, options.count)
        yield {"size": size, "dtype": dtype}, values


def _startup(options: argparse.Namespace, folder: Path) -> Found:
    from benchmarks.speed.startup import startup

    yield {}, startup(max(LEAST_STARTS, options.runs))


def _training(options: argparse.Namespace, folder: Path) -> Found:
    from benchmarks.speed.training import training_speed

    for dtype in options.dtype:
        setting = _setting(options, folder, "tiny", "own", dtype)
        values = training_speed(setting, options.data, options.data_format, options.steps)
        yield {"size": "tiny", "dtype": dtype}, values


def _compile(options: argparse.Namespace, folder: Path) -> Found:
    from benchmarks.speed.compiled import compile_speed

    for size, dtype in _each(options):
        setting = _setting(options, folder, size, "whole", dtype)
        values = compile_speed(setting, options.photographs[0])
        yield {"size": size, "frame": "whole", "dtype": dtype}, values


def _card(options: argparse.Namespace, folder: Path) -> Found:
    from benchmarks.harness.processes import in_fresh_process
    from benchmarks.speed.card import card_speed

    for size, dtype in _each(options):
        setting = _setting(options, folder, size, "whole", dtype)
        for compiled in (False, True):
            values = in_fresh_process(card_speed, setting, options.peak_tflops, compiled)
            frame = "compiled" if compiled else "whole"
            yield {"size": size, "frame": frame, "dtype": dtype}, values


def _profile(options: argparse.Namespace, folder: Path) -> Found:
    from benchmarks.harness.processes import in_fresh_process
    from benchmarks.speed.profiled import profile_speed

    for size, dtype in _each(options):
        setting = _setting(options, folder, size, "whole", dtype)
        values = in_fresh_process(profile_speed, setting, options.photographs[0])
        yield {"size": size, "frame": "whole", "dtype": dtype}, values


SECTIONS: Mapping[str, Callable[[argparse.Namespace, Path], Found]] = {
    "whole": _against_plain("whole"),
    "kept": _against_plain("whole", kept=True),
    "tiled": _against_plain("tiled"),
    "view": _view,
    "folder": _folder,
    "startup": _startup,
    "training": _training,
    "compile": _compile,
    "card": _card,
    "profile": _profile,
}


def _each(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    for size in options.size:
        for dtype in options.dtype:
            yield size, dtype


def _setting(options: argparse.Namespace, folder: Path, size: str, frame: str, dtype: str) -> Any:
    from benchmarks.harness.checkpoints import make_checkpoint
    from benchmarks.harness.ways import Setting, set_threads

    set_threads(options.threads)
    checkpoint = make_checkpoint(size, frame, folder)
    return Setting(checkpoint, options.device, dtype, options.threads, options.runs)


def _threads(options: argparse.Namespace) -> int:
    import torch

    return options.threads or torch.get_num_threads()


def _show(record: Mapping[str, Any]) -> None:
    print(f"\n{record['command']}")
    _show_values(record["values"], "  ")


def _show_values(values: Mapping[str, Any], indent: str) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            print(f"{indent}{name}:")
            _show_values(value, indent + "  ")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else f"{value}"
            print(f"{indent}{name}: {text}")


def _some(allowed: Mapping[str, Any] | tuple[str, ...]) -> Callable[[str], list[str]]:
    """An option's type: some of these names, with commas between."""

    def split(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(allowed)}")
        return names

    return split


if __name__ == "__main__":
    main()
