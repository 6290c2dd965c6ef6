from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tp_drseg.cli import app
from tp_drseg.errors import TrainingError
from tp_drseg.training import run as runs
from tp_drseg.training.run_config import RunConfig, read_run, recipe


class Run:
    """Stands where runs are made."""

    def __init__(self) -> None:
        self.asked: list[tuple[RunConfig, Path]] = []
        self.error: Exception | None = None

    def __call__(self, config: RunConfig, out: Path) -> None:
        self.asked.append((config, out))
        logging.getLogger("tp_drseg.training").info("under way")
        if self.error:
            raise self.error


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Run:
    made = Run()
    monkeypatch.setattr(runs, "run", made)
    return made


def train(*line: object) -> Any:
    return CliRunner().invoke(app, ["train", *map(str, line)])


def test_a_recipe_and_options(made: Run, tmp_path: Path) -> None:
    result = train(
        "tiny", "--data", "my data", "--lesion-free", "healthy", "--sam", "x/sam.pt",
        "--clip", "folder", "--steps", 9, "--seed", 3, "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    ((config, out),) = made.asked
    assert out == tmp_path / "out"
    assert (config.data.root, config.data.lesion_free) == ("my data", "healthy")
    assert (config.start.sam, config.start.clip) == ("x/sam.pt", "folder")
    assert (config.training.steps, config.training.seed) == (9, 3)
    assert config.training.lesion_weights == read_run(recipe("tiny")).training.lesion_weights
    assert f"Wrote {out / 'model'}" in result.stdout
    assert "under way" in result.stderr


def test_steps_take_the_place_of_epochs(made: Run, tmp_path: Path) -> None:
    assert train("vit_b_ddr", "--steps", 5, "--out", tmp_path).exit_code == 0
    training = made.asked[0][0].training
    assert training.steps == 5 and training.epochs is None


def test_a_file(made: Run, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(recipe("vit_b_idrid").read_text())
    assert train(path, "--out", tmp_path / "out").exit_code == 0
    assert made.asked[0][0] == read_run(recipe("vit_b_idrid"))


def test_only_the_first_process_talks(
    made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    result = train("tiny", "--out", tmp_path)
    assert result.exit_code == 0 and result.output == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([], "Missing argument"),
        (["tiny"], "--out"),
        (["no.yaml", "--out", "out"], "no.yaml cannot be read"),
        (["BAD", "--out", "out"], "training.stepz"),
        (["tiny", "--steps", 0, "--out", "out"], "--steps"),
        (["tiny", "--negatives", "x", "--out", "out"], "--negatives"),
    ],
)
def test_wrong_use(made: Run, tmp_path: Path, line: list[Any], words: str) -> None:
    (tmp_path / "bad.yaml").write_text("data: {root: x}\ntraining: {stepz: 1}\n")
    result = train(*[tmp_path / "bad.yaml" if word == "BAD" else word for word in line])
    assert result.exit_code == 2
    assert words in result.stderr and "Traceback" not in result.stderr
    assert not made.asked


def test_a_run_that_cannot_go_on(made: Run, tmp_path: Path) -> None:
    made.error = TrainingError("The loss is nan at step 3 on eye 1.")
    result = train("tiny", "--out", tmp_path)
    assert result.exit_code == 2
    assert "Error: The loss is nan at step 3 on eye 1." in result.stderr
