"""The package's trainer and a plain training loop, on the same crops."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness.processes import in_fresh_process
from benchmarks.harness.setting import Setting, load_ours
from benchmarks.speed.plain_training import train_plainly
from tp_drseg.data import read_dataset
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import FrameSizes, load_cached
from tp_drseg.training.data.batch import Batch
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.engine.launch import launch
from tp_drseg.training.engine.records import read_table
from tp_drseg.training.engine.trainer import Trainer
from tp_drseg.training.run_config import read_run, recipe


def training_speed(setting: Setting, data: Path, format: str, steps: int) -> dict[str, Any]:
    """Return the seconds a step of both, and how far their losses differ.

    Args:
        setting: how to run it; its dtype is the trainer's, the plain loop has float32.
        data: folder of annotated photographs.
        format: how it is laid out, see `tp_drseg.data`.
        steps: of each; the first one is not timed.
    """
    config = _config(setting, steps)
    model = load_ours(replace(setting, dtype="float32"))
    samples = read_dataset(data, format, None, model.catalog)
    sizes = FrameSizes.of(model.config)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        names = model.catalog.names
        photographs = load_cached(samples, names, sizes, Path(folder) / "cache")
        crops = StampedCrops(model, photographs, config)
        prepared = time.perf_counter() - begun
        ours = _train(model, crops, setting, Path(folder) / "run")
    plain = in_fresh_process(train_plainly, setting, config, samples, sizes)
    losses = list(zip(ours["losses"], plain["losses"], strict=True))
    return {
        "photographs": [sample.name for sample in samples],
        "steps": steps,
        "prepared": prepared,
        "ours": ours,
        "plain": plain,
        "ratio": plain["seconds"] / ours["seconds"],
        "first_loss_difference": abs(losses[0][0] - losses[0][1]) / losses[0][1],
        "loss_difference": max(abs(a - b) / b for a, b in losses),
    }


def _config(setting: Setting, steps: int) -> TrainingConfig:
    """The recipe of the embedded model, with few steps, without points and mosaics."""
    tiny = read_run(recipe("tiny")).training
    changes = {"steps": steps, "save_every": steps, "precision": setting.dtype}
    return tiny.replace(points=0.0, mosaic=0.0, **changes)


class StampedCrops(Crops):
    """Crops that note when each was asked for: the beginning of a step."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.stamps: list[float] = []

    def __getitem__(self, number: int) -> Batch:
        self.stamps.append(time.perf_counter())
        return super().__getitem__(number)


def _train(model: TPDRSeg, crops: StampedCrops, setting: Setting, folder: Path) -> dict[str, Any]:
    accelerator = "cuda" if setting.device.startswith("cuda") else setting.device
    fabric = launch(crops.config, accelerator)
    model.to(fabric.device)
    Trainer(model, crops, crops.config, folder, fabric=fabric).run()
    losses = [float(row["loss"]) for row in read_table(folder / "loss.csv")]
    starts = crops.stamps[:: crops.config.batch_size]
    pace = [after - before for before, after in itertools.pairwise(starts[1:])]
    return {"seconds": statistics.median(pace), "losses": losses}
