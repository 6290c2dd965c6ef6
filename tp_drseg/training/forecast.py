"""A dry run: everything is checked, a few steps are made and thrown away, nothing is written."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch

from tp_drseg._runtime.extras import require
from tp_drseg.data import Sample
from tp_drseg.errors import TrainingError
from tp_drseg.training.data.annotated import AnnotatedImage, FrameSizes, load_cached
from tp_drseg.training.data.made_crops import crops_of
from tp_drseg.training.data.sampling import check_lesions, trained_lesions
from tp_drseg.training.engine.launch import launch
from tp_drseg.training.engine.trainer import Trainer
from tp_drseg.training.pipeline import NEEDED
from tp_drseg.training.run_config import RunConfig
from tp_drseg.training.run_files import refuse_another_run
from tp_drseg.training.split import split_data
from tp_drseg.training.starting import open_start

if sys.platform != "win32":
    import resource

_STEPS = 3  # the first one warms up
_MADE_STEPS = 7  # where some crops take longer than others
_GIB = 1 << 30


@dataclass(frozen=True)
class Forecast:
    """What a run will take.

    Attributes:
        training: Photographs to learn from.
        validation: Annotated photographs for validation.
        lesion_free: Lesion-free photographs for validation.
        parameters: Numbers that learn.
        steps: Steps of the optimiser.
        seconds: Of all steps together, on this machine as busy as it was.
        memory: Bytes of memory, of a graphics card where one is used; None where the system does
            not tell.
        disk: Bytes of the run's folder, but for models.
    """

    training: int
    validation: int
    lesion_free: int
    parameters: int
    steps: int
    seconds: float
    memory: int | None
    disk: int

    def text(self) -> str:
        """Return the forecast as a few lines."""
        return "\n".join(
            [
                f"Photographs: {self.training} to learn from, {self.validation} for validation, "
                f"{self.lesion_free} lesion-free for validation.",
                f"{self.parameters:,} parameters learn, in {self.steps} steps.",
                f"Time: about {timedelta(seconds=round(self.seconds))} for the steps, on this "
                f"machine as busy as it is now.",
                *([] if self.memory is None else [f"Memory: about {_gib(self.memory)}."]),
                f"Disk: about {_gib(self.disk)}.",
            ]
        )


def forecast(config: RunConfig, out: Path, *, device: str = "auto") -> Forecast:
    """Check all that a run needs, make a few of its steps, and throw them away.

    Args:
        config: The run.
        out: Its folder, which is looked at and not changed.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        TPDRSegError: What `run` would raise before its first step.
    """
    require("train", *NEEDED)
    fabric = launch(config.training, device)
    start = open_start(config.start)
    check_lesions(config.training, start.catalog)
    lesions = trained_lesions(config.training, start.catalog)
    split = split_data(config.data, start.catalog, lesions)
    refuse_another_run(config, split.to_dict(), out)
    training = config.training
    again = min(1, training.fixed_crops)
    made = training.unlabelled_share > 0
    steps = _MADE_STEPS if made else _STEPS
    few = training.replace(steps=steps, epochs=None, fixed_crops=again, save_every=steps)
    with tempfile.TemporaryDirectory(prefix="tp-drseg-") as name:
        folder = Path(name)
        sizes = FrameSizes.of(start.config, config.data.diameter)
        image = _first_marked(split.training, start.catalog.names, sizes, folder / "photographs")
        (kept, *_) = (folder / "photographs").iterdir()
        photograph = kept.stat().st_size
        model = start.build(None, training.seed).to(fabric.device)
        images = [image]
        if made and (hosts := [*split.unlabelled, *split.training[-1:]]):
            images += load_cached(hosts[:1], start.catalog.names, sizes, folder / "photographs")
        crops = crops_of(model, images, few)
        trainer = Trainer(model, crops, few, folder / "run", fabric=fabric)
        trainer.run()
        state = trainer.state_file.stat().st_size
    steps = training.total_steps(len(split.training))
    new = min(steps, training.fixed_crops) if again else steps
    fresh, usual = trainer.durations[0 if again else -1], trainer.durations[-1]
    if made:
        fresh = usual = statistics.mean(trainer.durations[1:])
    memory = _peak_memory(fabric.device)
    if memory is not None:
        memory += max(0, training.fixed_crops - 1) * trainer.kept_bytes
    return Forecast(
        training=len(split.training),
        validation=len(split.validation),
        lesion_free=len(split.lesion_free),
        parameters=sum(p.numel() for p in trainer.parameters.values()),
        steps=steps,
        seconds=new * fresh + (steps - new) * usual,
        memory=memory,
        disk=state + photograph * len(split.learned),
    )


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte


def _first_marked(
    samples: Sequence[Sample], lesions: Sequence[str], sizes: FrameSizes, cache: Path
) -> AnnotatedImage:
    for sample in samples:
        (image,) = load_cached([sample], lesions, sizes, cache)
        if image.masks.any():
            return image
    raise TrainingError(
        "No training photograph shows a lesion that is to be trained. Check the masks with "
        "`tp-drseg check`."
    )


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
