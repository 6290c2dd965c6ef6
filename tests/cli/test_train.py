from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tp_drseg.cli import app
from tp_drseg.errors import TrainingError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training import forecast as forecasts
from tp_drseg.training import pipeline
from tp_drseg.training.finetune import finetune_config
from tp_drseg.training.forecast import Forecast
from tp_drseg.training.run_config import DataConfig, RunConfig, read_run, recipe

LESIONS = """
lesions:
  - {name: green spot, abbreviation: GS, descriptions: a square spot of bright green colour}
"""


class Run:
    """Stands where runs are made, and where they are forecast."""

    def __init__(self) -> None:
        self.asked: list[tuple[RunConfig, Path, str]] = []
        self.forecast: list[tuple[RunConfig, Path, str]] = []
        self.error: Exception | None = None

    def make(self, config: RunConfig, out: Path, *, device: str) -> None:
        self.asked.append((config, out, device))
        logging.getLogger("tp_drseg.training").info("under way")
        if self.error:
            raise self.error

    def foresee(self, config: RunConfig, out: Path, *, device: str) -> Forecast:
        self.forecast.append((config, out, device))
        return Forecast(4, 1, 0, 1000, 30, 90.0, 1 << 30, 1 << 30)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Run:
    made = Run()
    monkeypatch.setattr(pipeline, "run", made.make)
    monkeypatch.setattr(forecasts, "forecast", made.foresee)
    return made


@pytest.fixture
def lesions(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    path = tmp_path / "my.yaml"
    path.write_text(LESIONS, encoding="utf-8")
    return path


def train(*line: object) -> Any:
    return CliRunner().invoke(app, ["train", *map(str, line)])


def finetune(lesions: Path, *line: object) -> Any:
    given = ("--lesions", lesions, "--data", lesions.parent / "data", "--out", "out", *line)
    return CliRunner().invoke(app, ["finetune", *map(str, given)])


def test_a_recipe_and_options(made: Run, tmp_path: Path) -> None:
    result = train(
        "tiny", "--data", "my data", "--lesion-free", "healthy", "--sam", "x/sam.pt",
        "--clip", "folder", "--steps", 9, "--seed", 3, "--limit", 2, "--device", "cpu",
        "--dtype", "float32", "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    ((config, out, device),) = made.asked
    assert (out, device) == (tmp_path / "out", "cpu")
    assert (config.data.root, config.data.lesion_free) == ("my data", "healthy")
    assert config.data.limit == 2
    assert (config.start.sam, config.start.clip) == ("x/sam.pt", "folder")
    assert config.start.sam_sha256 == read_run(recipe("tiny")).start.sam_sha256 is not None
    assert (config.training.steps, config.training.seed) == (9, 3)
    assert config.training.precision == "float32"
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


def test_a_dry_run(made: Run, lesions: Path) -> None:
    for result in (
        train("tiny", "--dry-run", "--out", "out"),
        finetune(lesions, "--dry-run", "--device", "cpu"),
    ):
        assert result.exit_code == 0, result.output
        assert "4 to learn from" in result.stdout and "Nothing was written." in result.stdout
    assert not made.asked and len(made.forecast) == 2
    assert made.forecast[1][2] == "cpu"


def test_finetune_is_a_run_with_other_defaults(made: Run, lesions: Path) -> None:
    result = finetune(
        lesions, "--train", "decoder", "--folds", 3, "--steps", 7, "--seed", 5, "--limit", 4,
        "--model", "org/eyes", "--revision", "abc", "--dtype", "bfloat16", "--device", "cpu",
        "--lesion-free", "healthy",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    ((config, out, device),) = made.asked
    assert (out, device) == (Path("out"), "cpu")
    spots = config.start.lesions
    assert isinstance(spots, LesionCatalog) and spots.names == ("green spot",)
    data = DataConfig(
        root=str(lesions.parent / "data"), format="folder", folds=3, limit=4, lesion_free="healthy"
    )
    assert config == finetune_config(
        spots, data, model="org/eyes", revision="abc", train=["decoder"], steps=7,
        precision="bfloat16", seed=5,
    )  # fmt: skip
    assert finetune(lesions).exit_code == 0
    assert made.asked[1][0].start.checkpoint == "embedded"


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
        (["nosuch", "--out", "out"], "There is no recipe and no file nosuch. Recipes are tiny, "),
        (["BAD", "--out", "out"], "training.stepz"),
        (["tiny", "--steps", 0, "--out", "out"], "--steps"),
        (["tiny", "--limit", 0, "--out", "out"], "--limit"),
        (["tiny", "--dtype", "float16", "--out", "out"], "--dtype"),
        (["tiny", "--negatives", "x", "--out", "out"], "--negatives"),
    ],
)
def test_wrong_use(made: Run, tmp_path: Path, line: list[Any], words: str) -> None:
    (tmp_path / "bad.yaml").write_text("data: {root: x}\ntraining: {stepz: 1}\n")
    result = train(*[tmp_path / "bad.yaml" if word == "BAD" else word for word in line])
    assert result.exit_code == 2
    assert words in result.stderr and "Traceback" not in result.stderr
    assert not made.asked


def test_a_part_that_is_not_there(made: Run, lesions: Path) -> None:
    result = finetune(lesions, "--train", "brain")
    assert result.exit_code == 2
    assert "There is no part brain" in result.stderr and "decoder" in result.stderr


def test_a_run_that_cannot_go_on(made: Run, tmp_path: Path) -> None:
    made.error = TrainingError("The loss is nan at step 3 on eye 1.")
    result = train("tiny", "--out", tmp_path)
    assert result.exit_code == 2
    assert "Error: The loss is nan at step 3 on eye 1." in result.stderr
