from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tp_drseg.errors import CheckpointError
from tp_drseg.lesions import LesionCatalog
from tp_drseg.modules.text_tower import TextTower
from tp_drseg.training.clip.concepts import encode, fit_concepts, load_minilm, teaching_texts
from tp_drseg.training.clip.texts import (
    catalog_texts,
    composed_texts,
    written_sources,
    written_texts,
)

CONCEPTS = [*LesionCatalog.default().names, "everyday thing"]


@pytest.fixture
def tower() -> TextTower:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"vocab_size": 30522, "width": 16, "heads": 2, "layers": 1}
    return TextTower(
        8, concepts=CONCEPTS, examples=1800, context_length=40, pooled_layers=[1], **shape
    ).requires_grad_(False)


def test_what_was_taught_is_known(tower: TextTower) -> None:
    catalog = LesionCatalog.default()
    anchors = tower.anchors.clone()
    fit_concepts(tower, catalog)
    assert torch.equal(tower.anchors, anchors)
    rows = teaching_texts(tower.concepts, catalog, 1800)
    found = tower.probabilities(encode(tower, [text for text, _, _ in rows])).argmax(dim=1)
    kinds = torch.tensor([kind for _, kind, _ in rows])
    assert torch.equal(tower.kinds, kinds)
    assert (found == kinds).float().mean() > 0.9  # random vectors of words tell most apart


def test_examples_are_written_then_composed() -> None:
    catalog = LesionCatalog.default()
    rows = teaching_texts(CONCEPTS, catalog, 1800)
    assert len(rows) == 1800 and len({text for text, _, _ in rows}) > 1700
    weights = [weight for _, _, weight in rows]
    assert weights == sorted(weights, reverse=True) and min(weights) < 1
    composed = [CONCEPTS[kind] for _, kind, weight in rows if weight < 1]
    assert max(map(composed.count, CONCEPTS)) - min(map(composed.count, CONCEPTS)) <= 1
    with pytest.raises(ValueError, match="no text teaches the concepts unheard of"):
        teaching_texts(["unheard of"], catalog, 10)
    with pytest.raises(ValueError, match="has 10 examples"):
        teaching_texts(CONCEPTS, catalog, 10)


def test_names_can_be_left_out() -> None:
    catalog = LesionCatalog.default()
    with_names, without = catalog_texts(catalog), catalog_texts(catalog, names=False)
    lesion = catalog["EX"]
    assert {"hard exudate", "lipid deposit"} <= set(with_names[lesion.name])
    assert without[lesion.name] == lesion.texts


def test_texts_are_many_different_and_have_sources() -> None:
    texts = written_texts()
    flat = [text.casefold() for own in texts.values() for text in own]
    assert len(set(flat)) == len(flat)
    assert all(len(texts[name]) >= 100 for name in LesionCatalog.default().names)
    sources = written_sources()
    assert len(sources) >= 30
    assert all("http" in source for source in sources.values())


def test_composed_texts_depend_on_the_seed_alone() -> None:
    assert composed_texts(20) == composed_texts(20)
    assert composed_texts(20) != composed_texts(20, seed=1)
    assert not any("{" in text for own in composed_texts(300).values() for text in own)


def test_a_file_that_is_not_minilm_is_refused(tower: TextTower, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a readable"):
        load_minilm(tower.encoder, tmp_path / "none.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not all-MiniLM-L6-v2"):
        load_minilm(tower.encoder, tmp_path / "other.safetensors")
