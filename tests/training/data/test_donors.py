from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from tp_drseg.errors import TrainingError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.config import TrainingConfig
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.donors import DonorSampler, mean_lab
from tp_drseg.training.data.sampling import CropSampler

HE, EX, SE = 0, 1, 2
Photograph = Callable[..., AnnotatedImage]


def coloured(photograph: AnnotatedImage, colour: tuple[int, int, int]) -> AnnotatedImage:
    pixels = torch.tensor(colour, dtype=torch.uint8).expand(*photograph.clip_pixels.shape)
    return replace(photograph, clip_pixels=pixels)


@pytest.mark.parametrize("colour", [(160, 90, 50), (12, 3, 1), (255, 255, 255), (30, 200, 90)])
def test_lab_against_littlecms(photograph: Photograph, colour: tuple[int, int, int]) -> None:
    found = mean_lab(coloured(photograph("one", 1), colour))
    way = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB", 5000), "RGB", "LAB"
    )
    applied = ImageCms.applyTransform(Image.new("RGB", (1, 1), colour), way)
    assert applied is not None
    light, a, b = np.asarray(applied)[0, 0].astype(int)
    signed = [light / 2.55, *((x + 128) % 256 - 128 for x in (a, b))]
    # it adapts the white to D50, and gives whole numbers
    assert found.tolist() == pytest.approx(signed, abs=6.0)


def sampler(images: list[AnnotatedImage], catalog: LesionCatalog, **fields: object) -> DonorSampler:
    config = TrainingConfig.model_validate({"steps": 1, **fields})
    return DonorSampler(images, CropSampler(images, config, catalog))


def test_donors_are_near_in_colour(photograph: Photograph, catalog: LesionCatalog) -> None:
    donors = [coloured(photograph(f"d{n}", n), (100 + 10 * n, 80, 40)) for n in range(8)]
    hosts = [
        coloured(photograph("dark", 9, lesions=False), (95, 80, 40)),
        coloured(photograph("bright", 9, lesions=False, annotated=(False,) * 3), (190, 80, 40)),
    ]
    made = sampler([*donors, *hosts], catalog)
    assert made.hosts == [8, 9]
    generator = torch.Generator().manual_seed(0)
    pairs = [made.draw(generator) for _ in range(400)]
    by_host = {h: Counter(pair.donor for pair in pairs if pair.host == h) for h in made.hosts}
    assert by_host[8].keys() == {0, 1, 2, 3, 4} and by_host[9].keys() == {3, 4, 5, 6, 7}
    assert sum(by_host[8].values()) == pytest.approx(200, abs=40)
    assert {pair.lesion for pair in pairs} == {HE, EX, SE}


def test_a_lesion_that_no_near_one_has(photograph: Photograph, catalog: LesionCatalog) -> None:
    """The donor stays near, and shows another lesion."""
    near = photograph("near", 1)
    masks = near.masks.clone()
    masks[SE] = 0
    far = coloured(photograph("far", 2), (0, 0, 255))
    images = [replace(near, name=f"near{n}", masks=masks) for n in range(5)]
    host = photograph("host", 3, lesions=False)
    made = sampler([*images, far, host], catalog)
    generator = torch.Generator().manual_seed(0)
    pairs = [made.draw(generator) for _ in range(60)]
    assert {pair.donor for pair in pairs} == set(range(5))
    assert {pair.lesion for pair in pairs} == {HE, EX}


def test_share_of_pasting(photograph: Photograph, catalog: LesionCatalog) -> None:
    images = [photograph("one", 1), photograph("host", 2, lesions=False)]
    made = sampler(images, catalog, paste_share=0.25)
    generator = torch.Generator().manual_seed(0)
    pairs = [made.draw(generator) for _ in range(400)]
    assert sum(pair.donor is not None for pair in pairs) == pytest.approx(100, abs=30)
    with pytest.raises(TrainingError, match="no photograph without masks"):
        sampler(images[:1], catalog)
