"""What can be measured: by the name of a section, a function that measures it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.checkpoints import make_checkpoint
from benchmarks.harness.processes import in_fresh_process
from benchmarks.harness.setting import Setting, set_threads
from benchmarks.speed.against_plain import against_plain
from benchmarks.speed.card import card_speed
from benchmarks.speed.compiled import compile_speed
from benchmarks.speed.folder import folder_speed
from benchmarks.speed.options import Options
from benchmarks.speed.profiled import profile_speed
from benchmarks.speed.session import session_speed
from benchmarks.speed.startup import startup
from benchmarks.speed.together import together_speed
from benchmarks.speed.training import training_speed
from tp_drseg.folder.photographs import find_photographs

Found = Iterator[tuple[Mapping[str, str], Mapping[str, Any]]]
"""What identifies a measurement beside the options, and its values."""
Measure = Callable[[Options, Path], Found]
"""Of the options and a folder for this run's checkpoints."""

LEAST_STARTS = 5
"""Fewer processes than this would say little about start-up."""


def _against_plain(frame: str, *, kept: bool = False) -> Measure:
    def measure(options: Options, folder: Path) -> Found:
        for size in options.size:
            setting = _setting(options, folder, size, frame, options.dtype[0])
            found = against_plain(setting, options.dtype, options.photographs, kept=kept)
            for dtype, values in zip(options.dtype, found, strict=True):
                yield {"size": size, "frame": frame, "dtype": dtype}, values

    return measure


def _together(options: Options, folder: Path) -> Found:
    for size, dtype in options.sizes_and_dtypes():
        setting = _setting(options, folder, size, "own", dtype)
        yield {"size": size, "dtype": dtype}, together_speed(setting, options.photographs)


def _session(options: Options, folder: Path) -> Found:
    for size, dtype in options.sizes_and_dtypes():
        setting = _setting(options, folder, size, "own", dtype)
        yield {"size": size, "dtype": dtype}, session_speed(setting, options.photographs)


def _folder(options: Options, folder: Path) -> Found:
    assert options.folder is not None  # `parse` has seen to it
    found = find_photographs(options.folder, folder / "out").photographs
    photographs = [photograph.path for photograph in found]
    for size, dtype in options.sizes_and_dtypes():
        setting = _setting(options, folder, size, "own", dtype)
        yield {"size": size, "dtype": dtype}, folder_speed(setting, photographs, options.count)


def _startup(options: Options, folder: Path) -> Found:
    yield {}, startup(max(LEAST_STARTS, options.runs))


def _training(options: Options, folder: Path) -> Found:
    assert options.data is not None  # `parse` has seen to it
    for dtype in options.dtype:
        setting = _setting(options, folder, "tiny", "own", dtype)
        values = training_speed(setting, options.data, options.data_format, options.steps)
        yield {"size": "tiny", "dtype": dtype}, values


def _compile(options: Options, folder: Path) -> Found:
    for size, dtype in options.sizes_and_dtypes():
        setting = _setting(options, folder, size, "whole", dtype)
        values = compile_speed(setting, options.photographs[0])
        yield {"size": size, "frame": "whole", "dtype": dtype}, values


def _card(options: Options, folder: Path) -> Found:
    for size, dtype in options.sizes_and_dtypes():
        setting = _setting(options, folder, size, "whole", dtype)
        for compiled in (False, True):
            values = in_fresh_process(card_speed, setting, options.peak_tflops, compiled)
            frame = "compiled" if compiled else "whole"
            yield {"size": size, "frame": frame, "dtype": dtype}, values


def _profile(options: Options, folder: Path) -> Found:
    for size, dtype in options.sizes_and_dtypes():
        setting = _setting(options, folder, size, "whole", dtype)
        values = in_fresh_process(profile_speed, setting, options.photographs[0])
        yield {"size": size, "frame": "whole", "dtype": dtype}, values


MEASURES: Mapping[str, Measure] = {
    "whole": _against_plain("whole"),
    "kept": _against_plain("whole", kept=True),
    "tiled": _against_plain("tiled"),
    "together": _together,
    "session": _session,
    "folder": _folder,
    "startup": _startup,
    "training": _training,
    "compile": _compile,
    "card": _card,
    "profile": _profile,
}
"""By the names in `options.SECTIONS`."""


def _setting(options: Options, folder: Path, size: str, frame: str, dtype: str) -> Setting:
    set_threads(options.threads)
    checkpoint = make_checkpoint(size, frame, folder)
    return Setting(checkpoint, options.device, dtype, options.threads, options.runs)
