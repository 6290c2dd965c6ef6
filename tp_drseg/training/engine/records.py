"""What a run writes down: losses, metrics, TensorBoard events and plots."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tp_drseg._runtime.confined import read_regular
from tp_drseg._runtime.extras import require
from tp_drseg._runtime.files import atomic_write, output_error, write_text

logger = logging.getLogger(__name__)

_TEXT = "names"  # the one column that holds no numbers


class Records:
    """The tables of a run, `loss.csv` with a row a step and `metrics.csv` with one a validation.

    A run that was killed may have written rows after its last checkpoint; resuming drops them.

    Args:
        folder: The run's folder.
        step: How many steps the run has done.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # Not Fabric's loggers: its CSVLogger deletes the table that a resumed run goes on with,
        # and its TensorBoardLogger is this same writer, but takes `$` in a path for a variable.
        require("train", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.folder = folder
        for name in ("loss.csv", "metrics.csv"):
            _drop_after(folder / name, step)
        self._events = SummaryWriter(folder / "tensorboard", purge_step=step + 1)

    def loss(self, step: int, loss: float, rate: float, names: Sequence[str]) -> None:
        """Write down a step: its mean loss, the learning rate's factor, and its photographs."""
        row = {"step": step, "loss": f"{loss:.6g}", "rate": f"{rate:.6g}", _TEXT: " ".join(names)}
        _append(self.folder / "loss.csv", row)
        self._events.add_scalar("loss", loss, step)

    def metrics(self, step: int, figures: Mapping[str, float]) -> None:
        """Write down a validation: its figures by name."""
        row = {"step": step, **{name: f"{value:.6g}" for name, value in figures.items()}}
        _append(self.folder / "metrics.csv", row)
        for name, value in figures.items():
            self._events.add_scalar(f"validation/{name}", value, step)

    def close(self) -> None:
        """Write what TensorBoard's events still hold back."""
        self._events.close()


_LARGEST: Final = 256 << 20  # bytes of a table; a row is some 100


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that `Records` wrote; none when it is not there.

    Rows that a kill or a power cut has torn are left out.

    Raises:
        OutputError: It is there and cannot be read: it is no regular file, a link, or too large.
    """
    try:
        text = read_regular(path, _LARGEST).decode("utf-8", errors="replace")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (FileNotFoundError, csv.Error):
        return []
    except OSError as error:
        raise output_error(path, error) from error
    return [row for row in rows if _is_whole(row)]


def _is_whole(row: Mapping[Any, Any]) -> bool:
    if None in row or None in row.values() or "step" not in row:
        return False
    try:
        int(row["step"])
        for value in (value for name, value in row.items() if name != _TEXT):
            float(value)
    except ValueError:
        return False
    return True


def plot_loss(folder: Path) -> None:
    """Draw `loss.csv`, each step and a moving mean, into `loss.png`."""
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
    """Leave the whole rows up to a step."""
    rows = read_table(path)
    if not rows and path.exists():
        logger.warning("no row of %s can be read: it begins anew", path)
    kept = [row for row in rows if int(row["step"]) <= step]
    if not kept:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, kept[0].keys())
    writer.writeheader()
    writer.writerows(kept)
    write_text(path, text.getvalue())
