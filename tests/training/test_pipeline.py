from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tp_drseg.errors import CheckpointError, DataError, LesionError, TrainingError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.engine.records import read_table
from tp_drseg.training.pipeline import run
from tp_drseg.training.run_config import (
    DataConfig,
    ModelChanges,
    RunConfig,
    StartConfig,
    read_run,
    write_run,
)

CHANGES = ModelChanges(inference={"tile_overlap": 0.25})
pytestmark = pytest.mark.usefixtures("one_thread")
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tests of this file make once."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def config(
    shared: Path, make_model: Callable[..., TPDRSeg], catalog: LesionCatalog, data_set: Path
) -> RunConfig:
    """Eight steps from a small saved model on a small data set."""
    if not (shared / "parent").exists():
        make_model(lesions=catalog).save_pretrained(shared / "parent")
        data_set.rename(shared / "data")
    return RunConfig(
        data=DataConfig(
            root=str(shared / "data" / "photographs"), format="folder", folds=3,
            lesion_free=str(shared / "data" / "healthy"), lesion_free_held_out=1,
        ),
        start=StartConfig(
            checkpoint=str(shared / "parent"), changes=CHANGES
        ),
        training=TrainingConfig(
            steps=8, batch_size=2, learning_rate=1e-3, warmup=2, points=0.3, precision="float32",
            save_every=2, validate_every=5, ema_decay=0.5, seed=7,
            lr_factors={"": 0.0, "prompt_generator.": 1.0, "detail_head.": 1.0},
        ),
        most_marked=None,
    )  # fmt: skip


@pytest.fixture
def done(shared: Path, config: RunConfig) -> Path:
    """The folder of a run that was never stopped."""
    if not (shared / "done" / "model").exists():
        run(config, shared / "done")
    return shared / "done"


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def steps_done(folder: Path) -> int:
    path = folder / "state.safetensors"
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        return int(file.metadata()["step"])


def test_what_a_run_leaves(done: Path, config: RunConfig, catalog: LesionCatalog) -> None:
    assert {path.name for path in done.iterdir()} == {
        "run.yaml", "versions.json", "data.json", "photographs", "features", "state.safetensors",
        "loss.csv", "metrics.csv", "tensorboard", "loss.png", "precision_recall.svg", "best",
        "model", ".lock",
    }  # fmt: skip
    assert read_run(done / "run.yaml") == config
    versions = json.loads((done / "versions.json").read_text())
    assert versions["torch"] == torch.__version__ and versions["tp-drseg"]
    data = json.loads((done / "data.json").read_text())
    assert data["validation"]["photographs"] == ["eye0", "eye3"]
    learned = data["training"]["photographs"]
    assert learned == ["eye1", "eye2", "eye4", "eye5", "healthy6", "healthy7"]
    assert data["lesion_free"]["photographs"] == ["healthy8"]
    assert len({part["fingerprint"] for part in data.values()}) == 3
    assert len(list((done / "photographs").iterdir())) == 6
    rows = read_table(done / "loss.csv")
    assert [int(row["step"]) for row in rows] == list(range(1, 9))
    assert all(set(row["names"].split()) <= set(learned) for row in rows)
    metrics = read_table(done / "metrics.csv")
    assert [row["step"] for row in metrics] == ["5", "8"]
    assert metrics[0].keys() == {"step", "mean", *catalog.names}
    assert (done / "precision_recall.svg").read_text().rstrip().endswith("</svg>")
    assert steps_done(done) == 8


def test_the_model_of_a_run(done: Path, shared: Path, config: RunConfig) -> None:
    model = TPDRSeg.from_pretrained(done / "model", device="cpu", dtype="float32")
    assert model.config.provenance.parent == str(shared / "parent")
    assert model.config.inference.tile_overlap == 0.25
    assert model.config.inference.operating_points.keys() == set(model.catalog.names)
    for point in model.config.inference.operating_points.values():
        assert "eye0, eye3" in point.chosen_on
        assert point.sensitivity is not None
    card = (done / "model" / "README.md").read_text()
    for words in (
        "4 photographs with lesions (folder) and 2 without", "8 steps of 2 crop(s)", "seed 7",
        "eye0, eye3", "AUC-PR", "held-out descriptions", "1 lesion-free photographs",
    ):  # fmt: skip
        assert words in card, words
    best = TPDRSeg.from_pretrained(done / "best", device="cpu", dtype="float32")
    assert best.config.inference.working_diameter == model.config.inference.working_diameter


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while not happened() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


@pytest.fixture
def start(config: RunConfig, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start(launcher, out, run=config, **changes)`: `tp-drseg train` in its own process."""
    started: list[subprocess.Popen[str]] = []

    def begin(
        launcher: list[str], out: Path, run: RunConfig = config, **changes: Any
    ) -> subprocess.Popen[str]:
        path = tmp_path / "run.yaml"
        write_run(run.replace(training=changes), path)
        line = [sys.executable, *launcher, "-m", "tp_drseg", "train", str(path), "--out", str(out)]
        process = subprocess.Popen(
            line, env=ENVIRONMENT, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_kill_9_and_going_on(
    done: Path, config: RunConfig, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Killed at a random moment after the first checkpoint, it ends with the same bits."""
    out = tmp_path / "out"
    process = start([], out)
    wait_for(lambda: steps_done(out) > 0, process)
    time.sleep(random.uniform(0, 1))
    process.kill()
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    assert steps_done(out) >= 2
    run(config, out)
    found, expected = weights(out), weights(done)
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert read_table(out / "loss.csv") == read_table(done / "loss.csv")
    assert read_table(out / "metrics.csv") == read_table(done / "metrics.csv")
    assert (out / "run.yaml").read_text() == (done / "run.yaml").read_text()


@pytest.fixture
def without_masks(shared: Path, config: RunConfig, tmp_path: Path) -> RunConfig:
    """The same on photographs without masks too, with all that may be made of them."""
    grades = tmp_path / "grades.csv"
    grades.write_text("image,retinopathy_grade\nhealthy6.png,2\nhealthy7.png,0\nhealthy8.png,3")
    return config.replace(
        data={
            "lesion_free": None, "unlabelled": (str(shared / "data" / "healthy"),),
            "grades": str(grades), "marked_by": str(shared / "parent"), "unlabelled_held_out": 3,
        },
        training={
            "unlabelled_share": 0.6, "hard_negatives": 0.5, "lesion_free_share": 0.4,
            "camera": 1.0, "ema_schedule": "cosine", "teacher_weight": 1.0, "paste_weight": 1.0,
        },
    )  # fmt: skip


def test_photographs_without_masks(
    without_masks: RunConfig, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """What was learned from and what was kept out is on record; killed, it ends as it would."""
    model = run(without_masks, tmp_path / "straight")
    learned = {p.name for p in model.config.provenance.photographs}
    assert {"healthy7", "healthy8"} <= learned and "healthy6" not in learned
    assert "healthy6" in str(model.config.provenance.facts["Kept out"])
    assert "1 without masks" in (tmp_path / "straight" / "model" / "README.md").read_text()
    assert len(list((tmp_path / "straight" / "marks").iterdir())) == 1
    rows = read_table(tmp_path / "straight" / "loss.csv")
    assert any("healthy8+eye" in row["names"] for row in rows)
    assert not any("healthy6" in row["names"] for row in rows)

    out = tmp_path / "out"
    process = start([], out, run=without_masks)
    wait_for(lambda: steps_done(out) > 0, process)
    process.kill()
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    run(without_masks, out)
    found, expected = weights(out), weights(tmp_path / "straight")
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert read_table(out / "loss.csv") == rows


TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def test_two_processes_do_what_one_does(
    done: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    out = tmp_path / "out"
    process = start(TWO, out)
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    assert output.count("Wrote") == 1
    assert output.count("step 8/8") == 1
    two, one = read_table(out / "loss.csv"), read_table(done / "loss.csv")
    assert [(row["step"], row["names"]) for row in two] == [(r["step"], r["names"]) for r in one]
    losses = [[float(row["loss"]) for row in rows] for rows in (two, one)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert {path.name for path in out.iterdir()} == {path.name for path in done.iterdir()}
    assert len(list((out / "tensorboard").iterdir())) == 1
    found, expected = weights(out), weights(done)
    before = load_file(Path(yaml.safe_load((done / "run.yaml").read_text())["start"]["checkpoint"])
                       / "model.safetensors")  # fmt: skip
    moved = sum(float((expected[n] - before[n]).abs().sum()) for n in expected)
    apart = sum(float((expected[n] - found[n]).abs().sum()) for n in expected)
    assert moved > 0 and apart < 0.01 * moved


def test_two_processes_stop_when_the_first_fails(
    shared: Path, done: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """What only the first process does must not leave the other waiting."""
    out = tmp_path / "out"
    (out / "precision_recall.svg").mkdir(parents=True)  # in the way of the first validation
    process = start(TWO, out, validate_every=1)
    output, _ = process.communicate(timeout=500)
    assert process.returncode != 0
    assert "cannot be written" in output and "precision_recall.svg" in output


def test_another_run_in_the_folder_is_refused(
    done: Path, shared: Path, config: RunConfig, tmp_path: Path
) -> None:
    before = (done / "run.yaml").read_text()
    for section, fields, words in (
        ("training", {"steps": 9}, "training.steps was 8, is 9"),
        ("data", {"diameter": 60}, "data.diameter was None, is 60"),
        ("data", {"fold": 1}, "data.fold was 0, is 1"),
        ("start", {"changes": ModelChanges()}, "start.changes was"),
    ):
        changed = config.replace(**{section: fields})
        with pytest.raises(TrainingError, match=words):
            run(changed, done)
    fewer = config.replace(data={"lesion_free": None})
    with pytest.raises(TrainingError, match="training photographs"):
        run(fewer, done)
    assert (done / "run.yaml").read_text() == before


def test_without_validation(config: RunConfig, tmp_path: Path) -> None:
    """Operating points are then chosen on what was learned from, and the card says so."""
    changed = config.replace(
        data={"folds": 0, "lesion_free": None}, training={"steps": 1, "validate_every": 1}
    )
    model = run(changed, tmp_path)
    points = model.config.inference.operating_points
    assert points and all(p.chosen_on.startswith("6 training") for p in points.values())
    assert not model.config.provenance.selected_on and not model.config.provenance.scores
    assert not (tmp_path / "best").exists() and (tmp_path / "model").is_dir()
    assert "Validation" not in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("section", "fields", "error", "words"),
    [
        ("data", {"root": "/no/such/folder"}, DataError, "/no/such/folder"),
        ("data", {"format": "coco"}, DataError, "coco"),
        ("data", {"split": "test"}, DataError, "test"),
        ("data", {"fold": 3}, DataError, "no fold 3"),
        ("data", {"folds": 7}, DataError, "7 folds"),
        ("data", {"lesion_free": "/no/such/folder"}, DataError, "/no/such/folder"),
        ("start", {"checkpoint": "/no/such/model"}, CheckpointError, "/no/such/model"),
        ("start", {"checkpoint": None, "sam": "/no/sam.pt"}, CheckpointError, "/no/sam.pt"),
        ("training", {"lesions": ("drusen",)}, LesionError, "drusen"),
        ("training", {"lesion_weights": {"drusen": 1.0}}, LesionError, "drusen"),
        ("training", {"lr_factors": {"decoder.": 1.0}}, TrainingError, "decoder."),
    ],
)
def test_what_is_wrong_is_said_before_any_step(
    config: RunConfig, tmp_path: Path, section: str, fields: dict[str, Any], error: Any, words: str
) -> None:
    changed = config.replace(**{section: fields})
    with pytest.raises(error) as caught:
        run(changed, tmp_path / "out")
    assert words in str(caught.value)
    assert not (tmp_path / "out" / "loss.csv").exists()
