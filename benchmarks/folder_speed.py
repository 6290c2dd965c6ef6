"""A folder of photographs: wall time beside the model's own time, and memory as it goes on."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fresh import forget_peak, in_fresh_process, peak_memory
from ways import Setting, load_ours, timed

PAUSE = 0.05
"""Seconds between two looks at the output folder."""


def folder_speed(setting: Setting, photographs: Sequence[Path], count: int) -> dict[str, Any]:
    """Runs the folder, and, by themselves, each photograph of it.

    Args:
        setting: how to run it.
        photographs: are repeated until there are `count`.
        count: how many photographs the folder shall have.
    """
    alone = in_fresh_process(model_seconds, setting, list(photographs))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "in"
        folder.mkdir()
        for number in range(count):
            source = photographs[number % len(photographs)]
            # a folder run takes two links to one file for one photograph
            shutil.copyfile(source, folder / f"{number:04}_{source.name}")
        found = in_fresh_process(run_folder, setting, folder, Path(temporary) / "out")
    model_alone = sum(alone[number % len(photographs)] for number in range(count))
    return {
        "photographs": sorted({path.name for path in photographs}),
        "count": count,
        **found,
        "model_alone": model_alone,
        "ratio": found["seconds"] / found["model_in_run"],
        "ratio_alone": found["seconds"] / model_alone,
    }


def model_seconds(setting: Setting, photographs: Sequence[Path]) -> list[float]:
    """Seconds that the model needs for each photograph once it is read, nothing else going on."""
    model = load_ours(setting)
    model.segment(photographs[0])
    seconds = []
    for path in photographs:
        runs = []
        for _ in range(setting.runs):
            with model.open(path) as view:
                view.prepare()
                runs.append(timed(view.segment)[0])
        seconds.append(statistics.median(runs))
    return seconds


def run_folder(setting: Setting, folder: Path, out: Path) -> dict[str, Any]:
    """One folder run with `segment_folder`, all lesions, with overlays."""
    from tp_drseg.inference.folder import segment_folder

    model = TimedModel(load_ours(setting))
    loaded = peak_memory()
    watch = PeakWatch(out, len(model.catalog)) if loaded is not None else None
    seconds, report = timed(segment_folder, model, folder, out, progress=False)
    return {
        "dtype_chosen": str(model.dtype).removeprefix("torch."),
        "seconds": seconds,
        "done": len(report.done),
        "model_in_run": model.seconds,
        "memory_loaded": loaded,
        "peaks": None if watch is None else watch.stop(),
    }


class TimedModel:
    """A model that adds up the seconds its views take to segment."""

    def __init__(self, model: Any) -> None:
        self.model, self.seconds = model, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def open(self, *given: Any, **options: Any) -> Any:
        """The model's view of a photograph, whose `segment` is timed."""
        view = self.model.open(*given, **options)
        segment = view.segment

        def timed_segment(*given: Any, **options: Any) -> Any:
            taken, results = timed(segment, *given, **options)
            self.seconds += taken
            return results

        view.segment = timed_segment
        return view


class PeakWatch:
    """Peak memory of this process, MiB, while each photograph was the next to be written."""

    def __init__(self, out: Path, masks: int) -> None:
        self.out, self.masks = out, masks
        self.peaks: list[float] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        forget_peak()
        self._thread.start()

    def stop(self) -> list[float]:
        """Ends the watch and gives a peak for each photograph."""
        self._stopped.set()
        self._thread.join()
        return self.peaks

    def _watch(self) -> None:
        while not self._stopped.is_set():
            time.sleep(PAUSE)
            written = sum(1 for _ in self.out.glob("*.mask.png")) // self.masks
            if written > len(self.peaks):
                self.peaks.append(peak_memory() or 0.0)
                forget_peak()
