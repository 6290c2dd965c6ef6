from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tp_drseg.errors import ConfigError, TrainingError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.run_config import DataConfig, ModelChanges, RunConfig, StartConfig
from tp_drseg.training.run_files import write_down
from tp_drseg.training.split import DataSplit, split_data

CONFIG = RunConfig(
    data=DataConfig(root="eyes", format="folder"),
    start=StartConfig(
        checkpoint="embedded", changes=ModelChanges(inference={"tile_overlap": 0.25})
    ),
    training=TrainingConfig(steps=3),
)


@pytest.fixture
def split(data_set: Path, catalog: LesionCatalog) -> DataSplit:
    data = DataConfig(root=str(data_set / "photographs"), format="folder")
    return split_data(data, catalog, catalog.names)


def test_the_same_run_goes_on(split: DataSplit, tmp_path: Path) -> None:
    write_down(CONFIG, split, tmp_path)
    write_down(CONFIG, split, tmp_path)
    moved = CONFIG.replace(
        data={"root": "elsewhere"},
        training={"save_every": 7, "validate_every": 1, "workers": 2},
        most_marked=None,
    )
    write_down(moved, split, tmp_path)  # which may change
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert {"python", "torch", "timm", "lightning-fabric"} <= versions.keys()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"steps": 4}}, "training.steps was 3, is 4"),
        ({"data": {"fold": 1}}, "data.fold was 0, is 1"),
        ({"data": {"limit": 1}}, "data.limit was None, is 1"),
        ({"start": {"changes": ModelChanges()}}, "start.changes was"),
        ({"start": {"revision": "abc"}}, "start.revision was None, is 'abc'"),
    ],
)
def test_another_run_is_refused(
    split: DataSplit, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    write_down(CONFIG, split, tmp_path)
    before = (tmp_path / "run.yaml").read_text()
    with pytest.raises(TrainingError, match=words):
        write_down(CONFIG.replace(**changes), split, tmp_path)
    assert (tmp_path / "run.yaml").read_text() == before


def test_other_photographs_are_refused(split: DataSplit, tmp_path: Path) -> None:
    write_down(CONFIG, split, tmp_path)
    fewer = DataSplit(split.training[1:], split.validation, split.lesion_free)
    with pytest.raises(TrainingError, match="the training photographs changed"):
        write_down(CONFIG, fewer, tmp_path)
    with split.validation[0].image.open("ab") as file:
        file.write(b"more")
    found_again = tuple(map(replace, split.validation))  # a sample hashes its file once
    changed = DataSplit(split.training, found_again, split.lesion_free)
    with pytest.raises(TrainingError, match="the validation photographs changed"):
        write_down(CONFIG, changed, tmp_path)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_damaged_files(split: DataSplit, tmp_path: Path, content: bytes) -> None:
    write_down(CONFIG, split, tmp_path)
    (tmp_path / "data.json").write_bytes(content)
    with pytest.raises(TrainingError, match=r"(?s)data\.json.*Delete that file"):
        write_down(CONFIG, split, tmp_path)


def test_a_damaged_configuration(split: DataSplit, tmp_path: Path) -> None:
    write_down(CONFIG, split, tmp_path)
    text = (tmp_path / "run.yaml").read_text()
    (tmp_path / "run.yaml").write_text(text.replace("steps: 3", "steps: ["))
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        write_down(CONFIG, split, tmp_path)
