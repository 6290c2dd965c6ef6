"""What a run's folder says about the run, and whether it is the same run that goes on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tp_drseg import __version__
from tp_drseg._runtime.files import write_json
from tp_drseg._runtime.json_text import read_json
from tp_drseg.errors import TrainingError
from tp_drseg.training.engine.trainer import NOT_COMPARED
from tp_drseg.training.run_config import RunConfig, read_run, write_run
from tp_drseg.training.split import DataSplit

_VERSIONS = (
    "torchvision",
    "timm",
    "open_clip_torch",
    "segment-anything-py",
    "lightning-fabric",
    "numpy",
)
# the photographs have hashes
_MAY_MOVE = ("data.root", "data.lesion_free", "data.unlabelled", "data.grades")


def write_down(config: RunConfig, split: DataSplit, out: Path) -> None:
    """Write settings, versions and photographs of a run; another run's folder is refused.

    Raises:
        TrainingError: The folder holds another run, or its files are damaged.
        OutputError: The folder cannot be written.
    """
    photographs = split.to_dict()
    refuse_another_run(config, photographs, out)
    write_run(config, out / "run.yaml")
    write_json(out / "versions.json", _versions())
    write_json(out / "data.json", photographs)


def refuse_another_run(config: RunConfig, photographs: dict[str, Any], out: Path) -> None:
    """Raise where a folder holds a run with other settings or photographs.

    Raises:
        TrainingError: It does, or its files are damaged.
    """
    if not (out / "run.yaml").exists():
        return
    before, now = _compared(read_run(out / "run.yaml")), _compared(config)
    changed = [
        f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if not changed and (known := _known(out / "data.json")):
        changed = [
            f"the {part} photographs"
            for part in sorted({*known, *photographs})
            if known.get(part) != photographs.get(part)
        ]
    if changed:
        raise TrainingError(
            f"{out} holds another run: {'; '.join(changed)} changed. Choose another output "
            f"folder, or go back to the settings and photographs of that run."
        )


def _known(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        known = read_json(path, error=TrainingError)
    except TrainingError as error:
        raise TrainingError(f"{error} Delete that file to go on.") from error
    if not isinstance(known, dict):
        raise TrainingError(f"{path} holds no JSON object. Delete that file to go on.")
    return known


def _compared(config: RunConfig) -> dict[str, Any]:
    """By dotted name what must stay the same when a run is resumed."""
    free = {*_MAY_MOVE, *(f"training.{name}" for name in NOT_COMPARED)}
    return {
        f"{section}.{name}": value
        for section, fields in config.model_dump(mode="json").items()
        if isinstance(fields, dict)
        for name, value in fields.items()
        if f"{section}.{name}" not in free
    }


def _versions() -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "tp-drseg": __version__,
        "torch": torch.__version__,  # names the build too
    }
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
