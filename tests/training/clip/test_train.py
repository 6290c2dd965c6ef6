from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from tests.support.annotated import annotated
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.modules.clip import build_clip, dense_image_features, encode_text, tokenize
from tp_drseg.modules.constants import CLIP_PIXEL_MEAN, CLIP_PIXEL_STD
from tp_drseg.training.clip import train as training
from tp_drseg.training.clip.concepts import fit_concepts
from tp_drseg.training.clip.texts import held_out_paraphrases
from tp_drseg.training.clip.train import (
    PATCH_COVERAGE,
    balanced_bce,
    patch_labels,
    sample_texts,
    save_clip,
    teaching_groups,
    text_alignment,
    train_clip,
)
from tp_drseg.training.data.annotated import AnnotatedImage

SIDE = 64


def test_patch_labels() -> None:
    much, little = PATCH_COVERAGE, PATCH_COVERAGE / 2
    # two lesions on five patches
    covered = torch.tensor([[1.0, much, little, 0, 0], [0, 0, 0, 0.5, 0]]).view(1, 2, 1, 5)
    shows, without = patch_labels(covered)
    assert shows.dtype == without.dtype == torch.bool and shows.shape == (1, 3, 1, 5)
    assert shows[0, :, 0].int().tolist() == [
        [1, 1, 0, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],  # the background
    ]
    assert without[0, :, 0].int().tolist() == [
        [0, 0, 0, 1, 1],
        [1, 1, 1, 0, 1],
        [1, 1, 0, 1, 0],  # where some lesion is; the third patch is left open
    ]
    assert not (shows & without).any()


def test_balanced_bce() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 4, generator=generator) * 3
    positive = torch.rand(3, 2, 4, generator=generator) < 0.3
    negative = ~positive & (torch.rand(3, 2, 4, generator=generator) < 0.8)
    positive[2] = False  # nothing shows what the last text says
    expected = 0.0
    for t in range(3):
        x = logits[t].double().numpy()
        gain = [-math.log(1 / (1 + math.exp(-v))) for v in x[positive[t].numpy()]]
        cost = [-math.log(1 - 1 / (1 + math.exp(-v))) for v in x[negative[t].numpy()]]
        expected += float((np.mean(gain) if gain else 0.0) + np.mean(cost))
    assert positive[:2].any() and negative.any()
    found = float(balanced_bce(logits, positive, negative))
    assert found == pytest.approx(expected / 3 / 2, rel=1e-5)


def test_text_alignment() -> None:
    features = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    group_of = torch.tensor([0, 0, 0, 1, 1])
    x = features.double().numpy()
    losses = []
    for i in range(5):
        others = [j for j in range(5) if j != i]
        similarity = {j: math.exp(10 * float(x[i] @ x[j])) for j in others}
        total = sum(similarity.values())
        same = [j for j in others if group_of[j] == group_of[i]]
        losses.append(np.mean([-math.log(similarity[j] / total) for j in same]))
    assert float(text_alignment(features, group_of)) == pytest.approx(np.mean(losses), rel=1e-4)
    apart = torch.eye(8)[[0, 0, 0, 1, 1]]
    mixed = torch.eye(8)[[0, 1, 0, 1, 0]]
    assert text_alignment(apart, group_of) < text_alignment(mixed, group_of)


def test_groups_hold_the_texts_of_their_lesion_and_none_held_out() -> None:
    catalog = LesionCatalog.default()
    groups = teaching_groups(catalog)
    assert len(groups) == len(catalog) + 1
    held_out = {text for lesion in catalog for text in lesion.held_out_texts}
    held_out |= {text for rows in held_out_paraphrases().values() for text, _ in rows}
    for lesion, group in zip(catalog, groups, strict=False):
        assert {*lesion.texts, lesion.name, *lesion.aliases} < set(group)
        assert not held_out & set(group)
        assert not set(group) & set(groups[-1])
    assert "the papilla with its cup" in groups[-1]


def test_sampled_texts_are_of_their_group() -> None:
    groups = [torch.zeros(9, 2), torch.ones(3, 2)]
    groups[0][:, 0] = torch.arange(9)
    rows, group_of = sample_texts(groups, 4, torch.Generator().manual_seed(0))
    assert group_of.tolist() == [0] * 4 + [1] * 3
    assert len({float(row[0]) for row in rows[:4]}) == 4
    assert torch.equal(rows[4:], groups[1])


def two_colours() -> tuple[list[AnnotatedImage], LesionCatalog]:
    """Brown photographs with a red and a yellow quarter, and what to call them."""
    photographs = []
    for number in range(2):
        image = np.full((SIDE, SIDE, 3), (130, 80, 50), np.uint8)
        masks = np.zeros((2, SIDE, SIDE), np.uint8)
        half = SIDE // 2
        quarters = [np.s_[:half, :half], np.s_[half:, half:]]
        for mask, place, colour in zip(
            masks, quarters[:: 1 - 2 * number], [(200, 10, 10), (240, 230, 60)], strict=True
        ):
            mask[place], image[place] = 1, colour
        photographs.append(
            annotated(
                str(number),
                torch.from_numpy(image).permute(2, 0, 1),
                torch.from_numpy(masks),
                torch.ones(1, SIDE, SIDE, dtype=torch.uint8),
            )
        )
    lesions = (("rubor", "R", "bright red"), ("flavor", "F", "lemon yellow"))
    catalog = LesionCatalog(
        tuple(
            Lesion(name, short, (), (Description(f"{text} spot"), Description(f"{text} patch")))
            for name, short, text in lesions
        )
    )
    return photographs, catalog


@pytest.fixture
def architecture() -> dict[str, Any]:
    return {
        "embed_dim": 32,
        "quick_gelu": False,
        "vision_cfg": {"tower": "tiny_vit", "width": 32},
        "text_cfg": {
            "tower": "minilm",
            "vocab_size": 30522,
            "width": 64,
            "heads": 2,
            "layers": 1,
            "context_length": 77,
            "pooled_layers": [1],
            "examples": 400,
            "concepts": ["rubor", "flavor", "healthy retina", "fovea", "everyday thing"],
        },
    }


def test_it_tells_two_colours_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, architecture: dict[str, Any]
) -> None:
    """Trunk and sentence encoder are left random here: they tell colours and words apart."""
    monkeypatch.setattr(training, "SMALL_CLIP", architecture)
    monkeypatch.setattr(training, "read_sam", lambda path: {})
    monkeypatch.setattr(training, "load_trunk", lambda tower, weights: None)
    photographs, catalog = two_colours()
    torch.manual_seed(0)
    made: Any = build_clip(architecture)
    fit_concepts(made.text, catalog)
    taught = {name: value.clone() for name, value in made.text.state_dict().items()}
    clip = train_clip(
        photographs,
        catalog,
        tmp_path / "no.pt",
        made.text,
        views=2,
        steps=40,
        image_size=SIDE,
        learning_rate=1e-2,
    )
    assert not clip.training
    assert not any(p.requires_grad for p in clip.parameters())
    changed = {n for n, v in clip.text.state_dict().items() if not torch.equal(v, taught[n])}
    assert changed == {"anchors"}  # what was taught stays

    with torch.inference_mode():
        texts = ["bright red spot", "lemon yellow spot"]
        text = F.normalize(encode_text(clip, tokenize(clip, texts)), dim=-1)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_PIXEL_MEAN, CLIP_PIXEL_STD))
        image = (photographs[0].levels[0] / 255 - mean) / std
        features = F.normalize(dense_image_features(clip.visual, image[None], "value"), dim=1)[0]
        cosine = torch.einsum("dhw,td->thw", features, text)
    assert cosine.shape == (2, 4, 4)
    red, yellow = cosine[:, :2, :2].mean(dim=(1, 2)), cosine[:, 2:, 2:].mean(dim=(1, 2))
    assert red[0] > red[1] + 0.3 and yellow[1] > yellow[0] + 0.3

    save_clip(clip, tmp_path / "clip")
    assert json.loads((tmp_path / "clip" / "clip_config.json").read_text()) == architecture
    again = build_clip(architecture)
    again.load_state_dict(load_file(tmp_path / "clip" / "clip.safetensors"), strict=True)
    for name, value in again.state_dict().items():
        assert torch.equal(value, clip.state_dict()[name])
