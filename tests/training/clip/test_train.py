from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from tests.support.annotated import annotated
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.modules.clip import build_clip, dense_image_features, tokenize
from tp_drseg.modules.constants import CLIP_PIXEL_MEAN, CLIP_PIXEL_STD
from tp_drseg.training.clip import train as training
from tp_drseg.training.clip.train import (
    PATCH_COVERAGE,
    background_descriptions,
    balanced_bce,
    patch_labels,
    sample_texts,
    save_clip,
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


def is_part_of(words: list[str], text: str) -> bool:
    """Whether words are the text's, in its order, some of them left out."""
    rest = iter(text.split())
    return all(word in rest for word in words)


def test_sampled_texts_are_the_catalog_s_and_never_held_out() -> None:
    catalog = LesionCatalog.default()
    groups = [*(lesion.texts for lesion in catalog), background_descriptions()]
    held_out = {text for lesion in catalog for text in lesion.held_out_texts}
    assert held_out and not held_out & {text for group in groups for text in group}
    generator = torch.Generator().manual_seed(0)
    seen: list[set[str]] = [set() for _ in groups]
    kept = total = 0
    for _ in range(60):
        texts, group_of = sample_texts(groups, 4, generator)
        assert len(texts) == len(group_of)
        assert group_of.bincount().tolist() == [min(4, len(group)) for group in groups]
        for text, index in zip(texts, group_of.tolist(), strict=True):
            words = text.split()
            sources = [source for source in groups[index] if is_part_of(words, source)]
            assert words and sources, text
            assert text not in held_out
            if len(sources) == 1:
                seen[index].add(sources[0])
                kept, total = kept + len(words), total + len(sources[0].split())
    assert [len(found) for found in seen] == [len(group) for group in groups]
    assert kept / total == pytest.approx(0.9, abs=0.02)


def test_a_text_of_one_word_stays() -> None:
    texts, group_of = sample_texts([["word"]], 4, torch.Generator().manual_seed(0))
    for _ in range(30):
        again, _ = sample_texts([["word"]], 4, torch.Generator())
        texts += again
    assert set(texts) == {"word"} and group_of.tolist() == [0]


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


def test_it_tells_two_colours_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The trunk is left random here: it tells colours apart as it is."""
    architecture = {
        "embed_dim": 32,
        "quick_gelu": False,
        "vision_cfg": {"tower": "tiny_vit", "width": 32},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    }
    monkeypatch.setattr(training, "SMALL_CLIP", architecture)
    monkeypatch.setattr(training, "read_sam", lambda path: {})
    monkeypatch.setattr(training, "load_trunk", lambda tower, weights: None)
    photographs, catalog = two_colours()
    clip = train_clip(
        photographs,
        catalog,
        tmp_path / "no.pt",
        views=2,
        steps=40,
        image_size=SIDE,
        learning_rate=1e-2,
    )
    assert not clip.training
    assert not any(p.requires_grad for p in clip.parameters())

    with torch.inference_mode():
        texts = ["bright red spot", "lemon yellow spot"]
        text = F.normalize(clip.encode_text(tokenize(texts, 77)), dim=-1)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_PIXEL_MEAN, CLIP_PIXEL_STD))
        image = (photographs[0].levels[0] / 255 - mean) / std
        features = F.normalize(dense_image_features(clip.visual, image[None], "value"), dim=1)[0]
        cosine = torch.einsum("dhw,td->thw", features, text)
    assert cosine.shape == (2, 4, 4)
    red, yellow = cosine[:, :2, :2].mean(dim=(1, 2)), cosine[:, 2:, 2:].mean(dim=(1, 2))
    assert red[0] > red[1] + 0.3 and yellow[1] > yellow[0] + 0.3

    # words that no description uses keep no embedding
    used = {int(t) for texts in (*(x.texts for x in catalog), background_descriptions())
            for row in tokenize(texts, 77) for t in row}  # fmt: skip
    strange = [int(t) for t in tokenize(["zebra"], 77)[0] if int(t) not in used]
    assert strange and not clip.token_embedding.weight[strange].any()

    save_clip(clip, tmp_path / "clip")
    assert json.loads((tmp_path / "clip" / "clip_config.json").read_text()) == architecture
    again = build_clip(architecture)
    again.load_state_dict(load_file(tmp_path / "clip" / "clip.safetensors"), strict=True)
    for name, value in again.state_dict().items():
        assert torch.equal(value, clip.state_dict()[name])
