"""What a run writes down: losses, metrics, TensorBoard events and plots."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import atomic_write, output_error, write_text


class Records:
    """The tables of a run, `loss.csv` with a row a step and `metrics.csv` with one a validation.

    A run that was killed may have written rows after its last checkpoint; resuming drops them.

    Args:
        folder: the run's folder.
        step: how many steps the run has done.
    """

    def __init__(self, folder: Path, step: int) -> None:
        require("train", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.folder = folder
        for name in ("loss.csv", "metrics.csv"):
            _drop_after(folder / name, step)
        self._events = SummaryWriter(folder / "tensorboard", purge_step=step + 1)

    def loss(self, step: int, loss: float, rate: float, names: Sequence[str]) -> None:
        """One step: its mean loss, the learning rate's factor, and its photographs."""
        row = {"step": step, "loss": f"{loss:.6g}", "rate": f"{rate:.6g}", "names": " ".join(names)}
        _append(self.folder / "loss.csv", row)
        self._events.add_scalar("loss", loss, step)

    def metrics(self, step: int, figures: Mapping[str, float]) -> None:
        """One validation: its figures by name."""
        row = {"step": step, **{name: f"{value:.6g}" for name, value in figures.items()}}
        _append(self.folder / "metrics.csv", row)
        for name, value in figures.items():
            self._events.add_scalar(f"validation/{name}", value, step)

    def best(self) -> float:
        """The highest mean AUC-PR of the validations so far; 0 without any."""
        means = [float(row["mean"]) for row in read_table(self.folder / "metrics.csv")]
        return max((mean for mean in means if not math.isnan(mean)), default=0.0)

    def close(self) -> None:
        """Writes what TensorBoard's events still hold back."""
        self._events.close()


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table that `Records` wrote; none when it is not there."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def plot_loss(folder: Path) -> None:
    """Draws `loss.csv`, each step and a moving mean, into `loss.png`."""
    rows = read_table(folder / "loss.csv")
    steps, losses = [int(r["step"]) for r in rows], [float(r["loss"]) for r in rows]
    width = max(1, len(losses) // 20)
    smooth = [
        sum(losses[max(0, i - width) : i + 1]) / min(i + 1, width + 1) for i in range(len(losses))
    ]
    figure, axes = _axes("step", "loss")
    axes.plot(steps, losses, ".", markersize=2, color="0.7", label="each step")
    axes.plot(steps, smooth, label=f"mean of {width + 1} steps")
    axes.set_yscale("log")
    _save(figure, axes, folder / "loss.png")


def _axes(x: str, y: str) -> tuple[Any, Any]:
    require("train", "matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Any, axes: Any, path: Path) -> None:
    axes.legend()
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _append(path: Path, row: Mapping[str, Any]) -> None:
    new = not path.exists()
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, row.keys())
            if new:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise output_error(path, error) from error


def _drop_after(path: Path, step: int) -> None:
    """Leaves the rows up to a step; the last one may be cut off in the middle."""
    rows = [row for row in read_table(path) if None not in row.values()]
    kept = [row for row in rows if int(row["step"]) <= step]
    if not kept:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, kept[0].keys())
    writer.writeheader()
    writer.writerows(kept)
    write_text(path, text.getvalue())
