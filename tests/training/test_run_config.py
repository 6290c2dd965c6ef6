from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tp_drseg._runtime import extras
from tp_drseg.errors import ConfigError, MissingExtraError
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.run_config import (
    RECIPES,
    DataConfig,
    ModelChanges,
    RunConfig,
    StartConfig,
    read_run,
    recipe,
    write_run,
)

RUN: dict[str, Any] = {
    "data": {"root": "IDRiD"},
    "start": {"sam": "mobile_sam.pt"},
    "training": {"steps": 5},
}
CHANGES = ModelChanges(architecture={"injector_blocks": (1, 2)}, inference={"text": "name"})


def write(path: Path, **sections: Any) -> Path:
    """A run with some fields of its sections changed."""
    data = {k: {**v, **sections.pop(k, {})} for k, v in RUN.items()}
    path.write_text(yaml.safe_dump({**data, **sections}))
    return path


def test_defaults(tmp_path: Path) -> None:
    found = read_run(write(tmp_path / "run.yaml"))
    assert found == RunConfig(
        data=DataConfig(root="IDRiD"),
        start=StartConfig(sam="mobile_sam.pt"),
        training=TrainingConfig(steps=5),
    )


def test_round_trip(tmp_path: Path) -> None:
    config = RunConfig(
        data=DataConfig(
            root="a folder/Größe", format="ddr", split="valid", folds=0, lesion_free="healthy",
            diameter=900, unlabelled=("more", "and more"), grades="grades.csv",
        ),
        start=StartConfig(checkpoint="embedded", changes=CHANGES),
        training=TrainingConfig(
            epochs=0.5, learning_rate=1e-5, lr_factors={"": 0.0, "detail_head.": 3.0},
            lesions=("EX", "MA"), scales=(1.0, 1.0), bce_weights={"EX": 2.5}, precision="bfloat16",
        ),
        most_marked=None,
    )  # fmt: skip
    write_run(config, tmp_path / "run.yaml")
    found = read_run(tmp_path / "run.yaml")
    assert found == config
    assert found.start.changes.architecture == {"injector_blocks": (1, 2)}
    write_run(found, tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_text() == (tmp_path / "run.yaml").read_text()
    # every field is there
    assert (
        yaml.safe_load((tmp_path / "run.yaml").read_text())["training"].keys()
        == TrainingConfig.model_fields.keys()
    )


def test_changes_from_outside(tmp_path: Path) -> None:
    path = write(tmp_path / "run.yaml", training={"steps": None, "epochs": 3})
    found = read_run(
        path, {"data.root": "else", "training.steps": 9, "training.epochs": None, "start.clip": "c"}
    )
    assert found.data.root == "else" and found.start.clip == "c"
    assert found.training.steps == 9 and found.training.epochs is None


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"training": {"stepz": 3}}, ["training.stepz"]),
        ({"data": {"rot": "x"}}, ["data.rot"]),
        ({"start": {"weights": "x"}}, ["start.weights"]),
        ({"trainin": {}}, ["trainin"]),
        ({"training": {"learning_rate": "fast"}}, ["training.learning_rate"]),
        ({"training": {"steps": 1.5}}, ["training.steps"]),
        ({"training": {"scales": [1.0]}}, ["training.scales"]),
        ({"training": {"scales": [1, "x"]}}, ["training.scales.1"]),
        ({"training": {"lr_factors": {"a": "b"}}}, ["training.lr_factors.a"]),
        ({"training": {"lr_factors": ["a"]}}, ["training.lr_factors"]),
        ({"training": {"precision": "fp8"}}, ["training.precision"]),
        ({"training": {"schedule": "linear"}}, ["training.schedule"]),
        ({"training": {"epochs": 2}}, ["training.steps or epochs must be given"]),
        ({"training": {"steps": None}}, ["training.steps or epochs must be given"]),
        ({"training": {"batch_size": 0}}, ["training.batch_size"]),
        ({"training": {"lesions": "EX"}}, ["training.lesions"]),
        ({"data": {"root": None}}, ["data.root"]),
        ({"data": {"folds": 1}}, ["data.folds"]),
        ({"data": {"lesion_free_held_out": -1}}, ["data.lesion_free_held_out"]),
        ({"data": {"diameter": 5}}, ["data.diameter"]),
        (
            {"start": {"checkpoint": "embedded"}},
            ["start.sam (with clip) or checkpoint must be given"],
        ),
        ({"start": {"sam": None}}, ["start.sam (with clip) or checkpoint must be given"]),
        ({"start": {"sam": None, "checkpoint": "x", "clip": "y"}}, ["start.clip"]),
        ({"start": {"changes": {"colour": {}}}}, ["start.changes.colour is not", "inference"]),
        (
            {"start": {"changes": {"inference": {"colour": 1}}}},
            ["start.changes.inference.colour", "working_diameter"],
        ),
        (
            {"start": {"changes": {"architecture": {"clip": {}}}}},
            ["start.changes.architecture.clip"],
        ),
        ({"start": {"changes": {"architecture": 3}}}, ["start.changes.architecture must be a map"]),
        (
            {"start": {"changes": {"architecture": {"sparse_tokens": 0}}}},
            ["start.changes.architecture.sparse_tokens must be 1 or more"],
        ),
        ({"most_marked": 2}, ["most_marked"]),
        ({"data": {"rot": "x"}, "training": {"seed": "y"}}, ["data.rot", "training.seed"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, sections: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_run(write(tmp_path / "run.yaml", **sections))
    assert "run.yaml" in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("missing", ["data", "start", "training"])
def test_missing_sections(tmp_path: Path, missing: str) -> None:
    text = yaml.safe_dump({name: value for name, value in RUN.items() if name != missing})
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"{missing} is missing"):
        read_run(tmp_path / "run.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: [", "cannot be read as YAML"),
        ("- a list", "must have named fields"),
        ("", "must have named fields"),
        ("data: IDRiD\nstart: {sam: x}\ntraining: {steps: 1}", "data must be"),
        ("!!python/object/apply:os.getcwd []", "a tag .* is not allowed"),
    ],
)
def test_no_run_at_all(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_run(tmp_path / "run.yaml", {"data.root": "else"} if "IDRiD" in text else None)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "no.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_run(path)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name: str) -> None:
    found = read_run(recipe(name))
    assert found.start.sam and found.data.folds
    if name.startswith("vit_b"):  # what the paper says
        training = found.training
        assert training.learning_rate == 1e-4 and training.bce_weight == 1
        assert training.epochs == (500 if name.endswith("idrid") else 200)
        assert training.scales == (1, 1) and training.lesions_per_crop == 0


def test_every_recipe_has_its_file() -> None:
    assert {path.stem for path in recipe("tiny").parent.glob("*.yaml")} == set(RECIPES)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        extras, "find_spec", lambda name: None if name == "yaml" else find_spec(name)
    )
    with pytest.raises(MissingExtraError, match=r"yaml .*tp-drseg\[train\]"):
        read_run(write(tmp_path / "run.yaml"))
