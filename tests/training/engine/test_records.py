from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tp_drseg.errors import OutputError
from tp_drseg.training.engine.records import Records, plot_loss, read_table


def write(folder: Path, steps: range, start: int = 0) -> None:
    records = Records(folder, start)
    for step in steps:
        records.loss(step, 1 / step, 0.5, ["eye one", "two"])
        if step % 2 == 0:
            records.metrics(step, {"mean": step / 10, "hard exudate": 0.25})
    records.close()


def test_tables_and_events(tmp_path: Path) -> None:
    write(tmp_path, range(1, 5))
    rows = read_table(tmp_path / "loss.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[2] == {"step": "3", "loss": "0.333333", "rate": "0.5", "names": "eye one two"}
    assert read_table(tmp_path / "metrics.csv") == [
        {"step": "2", "mean": "0.2", "hard exudate": "0.25"},
        {"step": "4", "mean": "0.4", "hard exudate": "0.25"},
    ]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("loss")] == [1, 2, 3, 4]
    assert events.Scalars("loss")[3].value == 0.25
    assert [e.value for e in events.Scalars("validation/mean")] == pytest.approx([0.2, 0.4])


def test_going_on_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, range(1, 7))
    write(tmp_path, range(4, 6), start=3)
    assert [row["step"] for row in read_table(tmp_path / "loss.csv")] == ["1", "2", "3", "4", "5"]
    assert [row["step"] for row in read_table(tmp_path / "metrics.csv")] == ["2", "4"]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("loss")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("rest", ["4", "4,0.2", "4,0.25,0.5", "4,0.25,0.5,eye", '4,0.25,0.5,"ey'])
def test_a_row_that_was_cut_off(tmp_path: Path, rest: str) -> None:
    write(tmp_path, range(1, 4))
    with (tmp_path / "loss.csv").open("a") as file:
        file.write(rest)
    write(tmp_path, range(4, 5), start=3)
    rows = read_table(tmp_path / "loss.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[-1]["names"] == "eye one two"


def test_starting_anew_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    Records(tmp_path, 0).close()
    assert read_table(tmp_path / "loss.csv") == read_table(tmp_path / "metrics.csv") == []


@pytest.mark.parametrize("name", ["loss.csv", "metrics.csv"])
def test_tables_that_a_power_cut_has_torn(tmp_path: Path, name: str) -> None:
    """Whatever is left of a table, a run goes on, and no torn row stays."""
    write(tmp_path, range(1, 7))
    path = tmp_path / name
    whole, rows = path.read_bytes(), read_table(path)
    for left in (*(whole[:cut] for cut in range(len(whole))), b"\0" * len(whole), b"\0" * 200_000):
        path.write_bytes(left)
        Records(tmp_path, 6).close()
        found = read_table(path)
        assert found == rows[: len(found)] or found[:-1] == rows[: len(found) - 1]
        assert path.exists() == bool(found)


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loss.csv").mkdir()
    with pytest.raises(OutputError, match=r"loss\.csv"):
        Records(tmp_path, 1)


def test_plot(tmp_path: Path) -> None:
    write(tmp_path, range(1, 50))
    plot_loss(tmp_path)
    with Image.open(tmp_path / "loss.png") as image:
        assert image.format == "PNG" and image.size == (720, 540)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10  # something is drawn


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes, and links need rights there")
@pytest.mark.parametrize("name", ["loss.csv", "metrics.csv"])
def test_a_run_folder_from_a_stranger(tmp_path: Path, name: str) -> None:
    """A table that is a link is not written through, and a pipe is not waited for."""
    precious, run = tmp_path / "precious.txt", tmp_path / "run"
    precious.write_text("precious")
    run.mkdir()
    (run / name).symlink_to(precious)
    with pytest.raises(OutputError, match=name):
        Records(run, 3)
    assert precious.read_text() == "precious"
    (run / name).unlink()
    os.mkfifo(run / name)
    with pytest.raises(OutputError, match=name):
        Records(run, 3)
