"""What training shows the network is what inference shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tp_drseg.data.samples import MaskFile, Sample
from tp_drseg.inference.prior import cell_weights, prior_cells, working_priors
from tp_drseg.lesions import Description, LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data import crops as module
from tp_drseg.training.data.annotated import FrameSizes, load_annotated
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.data.geometric import Crop

TILE = 64
ROUNDING = 0.05  # of 255: a crop is sampled at places that are rounded to float32
UNCHANGED = TrainingConfig.model_validate({
    "steps": 1, "scales": (1.0, 1.0), "geometric": False, "photometric": False, "points": 0.0,
    "lesion_centred": 0.0, "lesion_free_share": 0.0, "lesions_per_crop": 0,
})  # fmt: skip


@pytest.fixture
def sample(tmp_path: Path, retina: NDArray[np.uint8]) -> Sample:
    """A photograph that is wider than its field of view, which is cut at the top."""
    small = np.asarray(Image.fromarray(retina).resize((300, 300)))[40:]
    image = np.pad(small, ((0, 20), (60, 15), (0, 0)))
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[100:140, 200:230] = 255
    Image.fromarray(image).save(tmp_path / "eye.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return Sample("eye", tmp_path / "eye.png", {"hard exudate": MaskFile(tmp_path / "mask.png")})


@pytest.fixture
def plain_catalog(catalog: LesionCatalog) -> LesionCatalog:
    """Lesions of one description each, so that a crop cannot choose among them."""
    texts = ("dark red blot", "yellow deposit", "white cloud")
    return LesionCatalog(
        tuple(
            replace(lesion, descriptions=(Description(text),))
            for lesion, text in zip(catalog, texts, strict=True)
        )
    )


@pytest.mark.parametrize("clip", [64, 96, 128])
@pytest.mark.parametrize("diameter", [48, 64, 112, 150])
def test_a_window_is_what_a_tile_sees(
    make_model: Callable[..., TPDRSeg],
    plain_catalog: LesionCatalog,
    sample: Sample,
    monkeypatch: pytest.MonkeyPatch,
    diameter: int,
    clip: int,
) -> None:
    """Image, CLIP's features and prior: of every tile, as large as the photograph or not."""
    model = make_model(lesions=plain_catalog)
    model.config = model.config.replace(
        inference={"working_diameter": diameter}, architecture={"clip": {"image_size": clip}}
    )
    model.network.explicit_prior.image_size = clip
    image = load_annotated(sample, plain_catalog.names, FrameSizes.of(model.config))
    crops = Crops(model, [image], UNCHANGED)
    session = model.load_image(sample.image)
    geometry = session.geometry
    assert torch.equal(crops.features[0].dense, session._clip.dense)
    assert torch.equal(crops.features[0].inside, session._clip.inside)
    texts = [lesion.texts for lesion in plain_catalog]
    cells = prior_cells(session._working_priors(texts, [lesion.name for lesion in model.catalog]))
    assert cells.max() > 0.5
    for number, (x, y) in enumerate(geometry.tiles.corners):
        middle = ((x + TILE / 2) / diameter, (y + TILE / 2) / diameter)
        window = Crop(middle, TILE / diameter, 0.0, False)
        monkeypatch.setattr(module, "random_crop", lambda *_, window=window: window)
        batch = crops[number]
        tile = geometry.tiles.cut(geometry.padded(), number)
        torch.testing.assert_close(batch.images, tile, rtol=0, atol=ROUNDING)
        prior = geometry.tiles.cut(cells, number, 16)
        torch.testing.assert_close(batch.priors, prior, rtol=0, atol=1e-5)


def test_a_whole_photograph_is_the_only_tile(
    make_model: Callable[..., TPDRSeg], plain_catalog: LesionCatalog, sample: Sample
) -> None:
    """The paper's way, as its recipes set it."""
    model = make_model(lesions=plain_catalog)
    image = load_annotated(sample, plain_catalog.names, FrameSizes.of(model.config))
    batch = Crops(model, [image], UNCHANGED)[0]
    session = model.load_image(sample.image)
    torch.testing.assert_close(batch.images, session.geometry.padded(), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(("diameter", "grid"), [(64, 8), (112, 28), (150, 7), (1792, 64), (30, 3)])
def test_the_way_of_priors_in_one_matrix(diameter: int, grid: int) -> None:
    priors = torch.rand(2, grid, grid, generator=torch.Generator().manual_seed(0))
    weights = cell_weights(diameter, grid)
    padded = len(weights) * 16
    expected = prior_cells(working_priors(priors[None], diameter, (padded, padded)))[0]
    torch.testing.assert_close(weights @ priors @ weights.T, expected, rtol=0, atol=5e-6)


def test_a_crop_that_zooms_in_has_more_detail(
    model: TPDRSeg, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut from the finer frame, not from a magnified working frame."""
    image = load_annotated(sample, model.catalog.names, FrameSizes(64, 200, 128))
    crops = Crops(model, [image], UNCHANGED)
    window = Crop((0.5, 0.5), 0.4, 0.0, False)
    monkeypatch.setattr(module, "random_crop", lambda *_: window)
    fine = window.apply(image.levels[1], TILE, "bicubic").clamp(0, 255)
    assert torch.equal(crops[0].images[0], fine)
    coarse = window.apply(image.levels[0], TILE, "bicubic").clamp(0, 255)

    def detail(x: Any) -> float:
        return float((x[..., 1:] - x[..., :-1]).abs().mean())

    assert detail(fine) > 1.2 * detail(coarse)
