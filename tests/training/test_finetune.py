from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from tp_drseg.cli import app
from tp_drseg.config import OperatingPoint
from tp_drseg.data import Sample, read_dataset
from tp_drseg.errors import ConfigError, TrainingError
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.finetune import CLASS_GROUPS, default_config, finetune, only_new_groups
from tp_drseg.training.start import with_lesions

SPOT = Lesion("green spot", "GS", (), (Description("a square spot of bright green colour"),))
YAML = """
lesions:
  - {name: green spot, abbreviation: GS, descriptions: a square spot of bright green colour}
"""


@pytest.fixture
def parent(small_model: TPDRSeg, stir: Callable[[TPDRSeg], TPDRSeg], tmp_path: Path) -> TPDRSeg:
    """A saved model whose parts all have a say."""
    model = stir(small_model.network)
    points = {name: OperatingPoint(threshold=0.3) for name in model.catalog.names}
    model.config = model.config.replace(inference={"operating_points": points})
    model.save_pretrained(tmp_path / "parent")
    return TPDRSeg.from_pretrained(tmp_path / "parent", device="cpu", dtype="float32")


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


def samples(parent: TPDRSeg, data: Path) -> list[Sample]:
    return read_dataset(data, "folder", None, LesionCatalog((*parent.catalog, SPOT)))


def test_what_was_known_stays_to_the_bit(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    image = data / "images" / "eye0.png"
    before = parent.segment(image)
    found = samples(parent, data)
    child = finetune(
        parent, [SPOT], found[1:], tmp_path / "run", validation=found[:1],
        config=default_config([SPOT], steps=6),
    )  # fmt: skip
    loaded = TPDRSeg.from_pretrained(tmp_path / "run" / "model", device="cpu", dtype="float32")
    after = loaded.segment(image)
    assert isinstance(before, dict) and isinstance(after, dict)
    for name in parent.catalog.names:
        np.testing.assert_array_equal(after[name].probability, before[name].probability)
        np.testing.assert_array_equal(after[name].mask, before[name].mask)
    assert loaded.catalog.names == (*parent.catalog.names, "green spot")
    assert loaded.config.provenance.parent == str(tmp_path / "parent")
    assert loaded.config.inference.operating_points["green spot"].chosen_on.startswith(
        "1 validation"
    )
    assert loaded.config.inference.operating_points["haemorrhage"] == OperatingPoint(threshold=0.3)
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "green spot" in card and str(tmp_path / "parent") in card
    changed = {
        name
        for name, value in child.network.state_dict().items()
        if not torch.equal(value[: len(parent.network.state_dict()[name])] if value.ndim else value,
                           parent.network.state_dict()[name])
    }  # fmt: skip
    assert not changed


def test_the_new_groups_learn(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    config = default_config([SPOT], steps=30)
    torch.manual_seed(config.seed)
    fresh = with_lesions(parent, [SPOT])
    child = finetune(parent, [SPOT], samples(parent, data), tmp_path / "run", config=config)
    for name in CLASS_GROUPS:
        assert not torch.equal(
            child.network.state_dict()[name][-1], fresh.network.state_dict()[name][-1]
        )
    rows = (tmp_path / "run" / "loss.csv").read_text(encoding="utf-8").splitlines()[1:]
    losses = [float(row.split(",")[1]) for row in rows]
    assert np.mean(losses[-8:]) < np.mean(losses[:8])


def test_more_may_be_opened(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    config = default_config([SPOT], ["decoder"], steps=3)
    child = finetune(
        parent, [SPOT], samples(parent, data), tmp_path / "run", train=["decoder"], config=config
    )
    name = "mask_decoder.mask_tokens.weight"
    assert not torch.equal(child.network.state_dict()[name], parent.network.state_dict()[name])


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"brain.*injectors"):
        default_config([SPOT], ["brain"])


def test_default_steps() -> None:
    """What learns on cached_features features has short steps, and many of them."""
    alone, more = default_config([SPOT]), default_config([SPOT], ["decoder"])
    assert alone.fixed_crops and not more.fixed_crops
    assert (alone.steps, more.steps) == (1500, 200)
    assert default_config([SPOT], ["decoder"], steps=7).steps == 7


def test_hooks_and_flags_are_put_back(parent: TPDRSeg) -> None:
    model = with_lesions(parent, [SPOT])
    before = [p.requires_grad for p in model.network.parameters()]
    with only_new_groups(model, 4):
        model.network.prompt_generator.class_bias.sum().backward()
        gradient = model.network.prompt_generator.class_bias.grad
        assert gradient is not None
        assert not gradient[:4].any() and gradient[4:].all()
    model.zero_grad()
    model.network.prompt_generator.class_bias.sum().backward()
    gradient = model.network.prompt_generator.class_bias.grad
    assert gradient is not None and gradient.all()
    assert [p.requires_grad for p in model.network.parameters()] == before


def test_photographs_without_the_new_lesion_are_refused(
    parent: TPDRSeg, data: Path, tmp_path: Path
) -> None:
    empty = [Sample(s.name, s.image, {"green spot": None}) for s in samples(parent, data)]
    with pytest.raises(TrainingError, match="No training photograph shows"):
        finetune(parent, [SPOT], empty, tmp_path / "run", config=default_config([SPOT], steps=2))


def test_the_command(parent: TPDRSeg, data: Path, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(YAML, encoding="utf-8")
    result = CliRunner().invoke(
        app,
        ["finetune", "--lesions", str(tmp_path / "my.yaml"), "--data", str(data), "--out",
         str(tmp_path / "run"), "--model", str(tmp_path / "parent"), "--steps", "2",
         "--folds", "2"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    child = TPDRSeg.from_pretrained(tmp_path / "run" / "model", device="cpu", dtype="float32")
    assert "green spot" in child.catalog
