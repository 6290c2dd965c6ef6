"""A head learns to find spots, its features are kept, and it goes into a checkpoint."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tp_drseg.errors import CheckpointError, DataError, TrainingError
from tp_drseg.model import TPDRSeg
from tp_drseg.modules.anatomy_head import AnatomyHead
from tp_drseg.training.anatomy.features import (
    cache_features,
    disc_of_mask,
    load_features,
    located_by_masks,
    located_by_table,
)
from tp_drseg.training.anatomy.loss import wanted_heat
from tp_drseg.training.anatomy.merge import with_head
from tp_drseg.training.anatomy.train import Examples, measure_head, train_head


def spots(count: int, seed: int) -> Examples:
    """Features in which disc and fovea are peaks of a channel each; left of each other by eye."""
    random = torch.Generator().manual_seed(seed)
    grid = 16
    places = 0.3 + 0.4 * torch.rand(count, 2, 2, generator=random)
    features = torch.randn(count, 6, grid, grid, generator=random) * 0.1
    for number in (0, 1):
        features[:, number] += 8 * wanted_heat(places[:, number], grid)
    eye = torch.where(places[:, 0, 0] > places[:, 1, 0], 1, -1).to(torch.int8)
    marks = torch.cat([places.flatten(1), torch.full((count, 1), 0.15)], dim=1)
    return Examples(
        features.half(),
        torch.ones(count, 1, grid, grid, dtype=torch.bool),
        marks,
        torch.ones(count, 2, dtype=torch.bool),
        eye,
    )


def test_a_head_learns_where_things_are() -> None:
    head = train_head(spots(64, 0), steps=150, batch_size=8, learning_rate=5e-3)
    found = measure_head(head, spots(32, 1))
    assert found.disc < 0.5 / 16  # half a cell
    assert found.fovea < 0.5 / 16
    assert found.diameter < 0.2
    assert found.eyes > 0.9
    assert found.views == 32


def test_there_must_be_something_to_learn_from() -> None:
    with pytest.raises(TrainingError, match="no features"):
        Examples.load([])


def test_wanted_heat_sums_to_one_about_the_place() -> None:
    heat = wanted_heat(torch.tensor([[0.4, 0.7]]), 20)[0]
    assert heat.sum() == pytest.approx(1)
    centres = (torch.arange(20) + 0.5) / 20
    assert (heat.sum(0) * centres).sum() == pytest.approx(0.4, abs=1e-3)
    assert (heat.sum(1) * centres).sum() == pytest.approx(0.7, abs=1e-3)


def test_centre_and_diameter_of_a_mask() -> None:
    rows, columns = np.mgrid[:100, :120] + 0.5
    centre, diameter = disc_of_mask(np.hypot(columns - 70, rows - 40) <= 20)
    assert centre == pytest.approx((70, 40), abs=0.1)
    assert diameter == pytest.approx(40, abs=0.3)


@pytest.fixture
def table(tmp_path: Path, draw_eye: Callable[[int], Any]) -> Path:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "grades.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "disc_x", "disc_y", "fovea_x", "fovea_y"])
        for number in range(6):
            Image.fromarray(draw_eye(100)).save(tmp_path / f"{number}.png")
            writer.writerow([f"{number}.png", 70, 50, 40, 52])
    return path


def test_every_fifth_by_name_is_held_out(table: Path) -> None:
    found = located_by_table(table)
    assert [one.held_out for one in found] == [True, False, False, False, False, True]
    assert found[0].landmarks.disc == (70.5, 50.5)
    assert found[0].landmarks.eye == "right"
    table.write_text("image,disc_x\na.png,1\n")
    with pytest.raises(DataError, match="must have the columns"):
        located_by_table(table)


def test_photographs_are_paired_with_the_masks_of_their_discs(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (found,) = located_by_masks(tmp_path, tmp_path / "masks")
    assert found.mask == tmp_path / "masks" / "a_OD.tif"
    assert not found.landmarks.fovea_known


def test_features_are_kept_once(
    table: Path, make_model: Callable[..., Any], tmp_path: Path
) -> None:
    encoder = make_model().network.explicit_prior
    photographs = located_by_table(table)[:2]
    kept = tmp_path / "kept"
    files = list(cache_features(encoder, photographs, kept, ["plain", "cut"]))
    assert len(files) == 4
    assert not list(cache_features(encoder, photographs, kept, ["plain", "cut"]))
    one = load_features(kept / "0.plain.safetensors")
    assert one["features"].shape == (160, 8, 8)
    assert one["inside"].dtype == torch.bool
    assert one["eye"].tolist() == [1]
    assert (one["landmarks"][:4] > 0).all()
    assert (one["landmarks"][:4] < 1).all()
    assert len(Examples.load(files)) == 4


def test_a_head_goes_into_a_checkpoint_and_nothing_else_changes(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_model()
    head = AnatomyHead(160)
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    merged = with_head(model, tmp_path / "head.safetensors")
    folder = merged.save_pretrained(tmp_path / "model")
    loaded = TPDRSeg.from_pretrained(folder, device="cpu")
    assert loaded.config.architecture.anatomy
    for name, value in model.network.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], value, rtol=1e-3, atol=1e-3)
    assert loaded.network.anatomy_head is not None
    for name, value in loaded.network.anatomy_head.state_dict().items():
        torch.testing.assert_close(value, head.state_dict()[name], rtol=1e-3, atol=1e-3)
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not fit"):
        with_head(model, tmp_path / "other.safetensors")
