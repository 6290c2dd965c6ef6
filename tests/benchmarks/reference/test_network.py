from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.reference.network import PlainTPDRSeg
from tp_drseg.config import TPDRSegConfig
from tp_drseg.model import TPDRSeg

Make = Callable[..., TPDRSeg]


@pytest.mark.parametrize("kind", ["tiny_vit", "vit"])
def test_plain_reference_gives_the_models_logits(
    tmp_path: Path, checkpoint: Make, kind: str
) -> None:
    model = checkpoint(tmp_path, kind)
    plain = PlainTPDRSeg.from_folder(tmp_path)
    generator = torch.Generator().manual_seed(3)
    side = model.config.architecture.clip.image_size
    picture = torch.rand(1, 3, side, side, generator=generator)
    where = torch.rand(1, 1, side // 16, side // 16, generator=generator) > 0.3
    image = torch.rand(1, 3, 64, 64, generator=generator) * 255
    lesions = list(model.catalog)
    with torch.inference_mode():
        texts = [lesion.texts for lesion in lesions]
        names = [lesion.name for lesion in lesions]
        priors = model.network.explicit_prior(picture, texts, where, names)
        given = torch.nn.functional.adaptive_avg_pool2d(priors, model.config.architecture.grid)
        logits = model.network(image, given, torch.arange(len(lesions)))
        for place, lesion in enumerate(lesions):
            prior = plain.prior(picture, lesion.texts, where, lesion.name)
            torch.testing.assert_close(prior[:, 0], priors[:, place], atol=1e-4, rtol=0)
            found = plain.logits(image, given[:, place : place + 1], place)
            torch.testing.assert_close(found[:, 0], logits[:, place], atol=1e-4, rtol=0)
    assert logits.std() > 0.1
    assert (logits[:, 0] - logits[:, 1]).abs().max() > 0.1


def test_plain_reference_refuses_another_method(
    make_config: Callable[..., TPDRSegConfig],
) -> None:
    with pytest.raises(ValueError, match="injectors"):
        PlainTPDRSeg(make_config(tuning="adapter"))
    with pytest.raises(ValueError, match="detail head"):
        PlainTPDRSeg(make_config(injector_blocks=(0,)))
