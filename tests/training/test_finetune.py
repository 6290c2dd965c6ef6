from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from tp_drseg.cli import app
from tp_drseg.config import OperatingPoint
from tp_drseg.data.files import file_sha256
from tp_drseg.errors import ConfigError, TrainingError
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.engine.parameter_groups import CLASS_GROUPS, parameter_groups
from tp_drseg.training.engine.records import read_table
from tp_drseg.training.finetune import PARTS, finetune_config
from tp_drseg.training.pipeline import run
from tp_drseg.training.run_config import DataConfig, RunConfig
from tp_drseg.training.starting import open_start

SPOT = Lesion("green spot", "GS", (), (Description("a square spot of bright green colour"),))
SPOTS = LesionCatalog((SPOT,))
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def parent(small_model: TPDRSeg, stir: Callable[..., Any], tmp_path: Path) -> TPDRSeg:
    """A saved model whose parts all have a say."""
    stir(small_model.network)
    points = {name: OperatingPoint(threshold=0.3) for name in small_model.catalog.names}
    small_model.config = small_model.config.replace(inference={"operating_points": points})
    small_model.save_pretrained(tmp_path / "parent")
    return load(tmp_path / "parent")


@pytest.fixture
def data(tmp_path: Path, retina: NDArray[np.uint8]) -> Path:
    """Four photographs of a plain folder, each with one green spot."""
    small = np.asarray(Image.fromarray(retina).resize((160, 160)))
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "masks" / "green_spot").mkdir(parents=True)
    for number, (top, left) in enumerate([(50, 60), (70, 90), (90, 50), (60, 100)]):
        image, mask = small.copy(), np.zeros((160, 160), np.uint8)
        image[top : top + 24, left : left + 24] = (20, 250, 40)
        mask[top : top + 24, left : left + 24] = 255
        Image.fromarray(image).save(root / "images" / f"eye{number}.png")
        Image.fromarray(mask).save(root / "masks" / "green_spot" / f"eye{number}.png")
    return root


def load(folder: Path) -> TPDRSeg:
    return TPDRSeg.from_pretrained(folder, device="cpu", dtype="float32")


def config(parent: TPDRSeg, data: Path, folds: int = 4, **fields: Any) -> RunConfig:
    given = DataConfig(root=str(data), format="folder", folds=folds)
    return finetune_config(SPOTS, given, model=parent.model_id, **fields)


def test_what_was_known_stays_to_the_bit(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    image = data / "images" / "eye0.png"
    before = parent.segment_many(image)
    child = run(config(parent, data, steps=6), tmp_path / "run", device="cpu")
    loaded = load(tmp_path / "run" / "model")
    after = loaded.segment_many(image)
    for name in parent.catalog.names:
        np.testing.assert_array_equal(after[name].probability, before[name].probability)
        np.testing.assert_array_equal(after[name].mask, before[name].mask)
    assert loaded.catalog.names == (*parent.catalog.names, "green spot")
    points = loaded.config.inference.operating_points
    assert points["green spot"].chosen_on == "1 validation photographs (eye0)"
    assert points["haemorrhage"] == OperatingPoint(threshold=0.3)
    own, given = child.network.state_dict(), parent.network.state_dict()
    assert all(torch.equal(own[name][: len(value)] if value.ndim else own[name], value)
               for name, value in given.items())  # fmt: skip
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    for words in ("green spot", str(tmp_path / "parent"), "to the bit: microaneurysm"):
        assert words in card, words


def test_what_it_learned_from_travels_with_it(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    """A child of a child keeps its parents' photographs, each content once."""
    run(config(parent, data, steps=1, folds=2), tmp_path / "first", device="cpu")
    first = load(tmp_path / "first" / "model")
    hashes = {f"eye{i}": file_sha256(data / "images" / f"eye{i}.png") for i in range(4)}
    learned = {p.name: p.sha256 for p in first.config.provenance.photographs}
    assert learned == {name: hashes[name] for name in ("eye1", "eye3")}
    selected = {p.name: p.sha256 for p in first.config.provenance.selected_on}
    assert selected == {name: hashes[name] for name in ("eye0", "eye2")}
    lesion = Lesion("speck", "SP", (), (Description("a green speck"),))
    (data / "masks" / "green_spot").rename(data / "masks" / "speck")
    again = finetune_config(
        LesionCatalog((lesion,)), DataConfig(root=str(data), format="folder", folds=4),
        model=str(tmp_path / "first" / "model"), steps=1,
    )  # fmt: skip
    second = run(again, tmp_path / "second", device="cpu")
    assert {p.name: p.sha256 for p in second.config.provenance.photographs} == learned | {
        name: hashes[name] for name in ("eye1", "eye2", "eye3")
    }
    assert [p.name for p in second.config.provenance.selected_on] == ["eye0"]


def test_the_new_groups_learn(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    asked = config(parent, data, folds=0, steps=30)
    fresh = open_start(asked.start).build(None, asked.training.seed).network.state_dict()
    child = run(asked, tmp_path / "run", device="cpu")
    for name in CLASS_GROUPS:
        assert not torch.equal(child.network.state_dict()[name][-1], fresh[name][-1])
    losses = [float(row["loss"]) for row in read_table(tmp_path / "run" / "loss.csv")]
    assert np.mean(losses[-8:]) < np.mean(losses[:8])
    # without photographs for validation the card says on what the threshold was chosen
    point = child.config.inference.operating_points["green spot"]
    assert point.chosen_on.startswith("4 training photographs")


def test_more_may_be_opened(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    asked = config(parent, data, train=["decoder"], steps=3)
    child = run(asked, tmp_path / "run", device="cpu")
    name = "mask_decoder.mask_tokens.weight"
    assert not torch.equal(child.network.state_dict()[name], parent.network.state_dict()[name])
    point = child.config.inference.operating_points["haemorrhage"]
    assert point.threshold == 0.3 and "before more was learned" in point.chosen_on
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "to the bit" not in card


def test_each_part_names_parameters_that_can_learn(parent: TPDRSeg, data: Path) -> None:
    """And opens no other; class groups learn fastest."""
    for part, settings in PARTS.items():
        training = config(parent, data, train=[part]).training
        model = open_start(config(parent, data).start).build(None, 0)
        groups = parameter_groups(model.network, training.lr_factors)
        names = {name for own in groups.values() for name in own} - {*CLASS_GROUPS}
        assert names and all(name.startswith(settings.prefixes) for name in names)
        assert set(groups[1.0]) == {*CLASS_GROUPS}
        assert max(groups) == 1.0 and training.lesions == ()


def test_defaults_suit_what_is_opened(parent: TPDRSeg, data: Path) -> None:
    """The more has to be computed anew in each step, the fewer there are."""
    alone = config(parent, data).training
    assert (alone.steps, alone.fixed_crops, alone.lesions) == (1500, 64, ("green spot",))
    for part, settings in PARTS.items():
        training = config(parent, data, train=[part]).training
        assert training.steps == settings.steps < 1500
        assert training.fixed_crops == settings.fixed_crops
    both = config(parent, data, train=["decoder", "encoder"]).training
    assert (both.steps, both.fixed_crops) == (PARTS["encoder"].steps, 0)
    assert config(parent, data, train=["decoder"], steps=7).training.steps == 7


def test_an_unknown_part_is_refused(parent: TPDRSeg, data: Path) -> None:
    with pytest.raises(ConfigError, match=r"brain.*injectors"):
        config(parent, data, train=["brain"])


def test_photographs_without_the_new_lesion_are_refused(
    parent: TPDRSeg, data: Path, tmp_path: Path
) -> None:
    for mask in (data / "masks" / "green_spot").iterdir():
        Image.new("L", (160, 160)).save(mask)
    with pytest.raises(TrainingError, match="No training photograph shows"):
        run(config(parent, data, steps=2), tmp_path / "run", device="cpu")


def test_the_command(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(
        "lesions: [{name: green spot, abbreviation: GS, descriptions: a bright green square}]",
        encoding="utf-8",
    )
    line = [
        "finetune", "--lesions", tmp_path / "my.yaml", "--data", data, "--out", tmp_path / "run",
        "--model", parent.model_id, "--steps", 2, "--folds", 2, "--device", "cpu",
    ]  # fmt: skip
    result = CliRunner().invoke(app, list(map(str, line)))
    assert result.exit_code == 0, result.output
    assert "green spot" in load(tmp_path / "run" / "model").catalog
