"""Texts that teach the text tower what words mean, and texts that measure it.

All stand in JSON files beside this module. `concepts.json` was written by hand, in different
voices: a textbook's, a leaflet's, a grader's, a layman's; where a text follows a work, it names
it. `phrases.json` holds word lists and templates from which more are composed. What is in
`held_out.json` takes no part in any training or choice; `development.json` is for choices.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from importlib import resources
from typing import Any

from tp_drseg.lesions import LesionCatalog

_COMPARED = 0.25
"""Share of composed phrases that compare the lesion with a thing."""

_UNSIZED = 0.4
"""Share of the phrases without a size that are kept where size tells a lesion from another."""

Texts = Mapping[str, tuple[str, ...]]
"""Texts by the concept that they stand for."""


def written_texts() -> Texts:
    """Return the texts of each concept that were written by hand."""
    concepts = _read("concepts.json")["concepts"]
    return {
        concept: tuple(row if isinstance(row, str) else row["text"] for row in rows)
        for concept, rows in concepts.items()
    }


def written_sources() -> Mapping[str, str]:
    """Return the citation of each written text that follows a work, by the text."""
    data = _read("concepts.json")
    return {
        row["text"]: data["sources"][row["source"]]
        for rows in data["concepts"].values()
        for row in rows
        if isinstance(row, dict)
    }


def catalog_texts(catalog: LesionCatalog, *, names: bool = True) -> Texts:
    """Return each lesion's descriptions, and its names as a text of their own; none held out.

    Args:
        catalog: The lesions.
        names: Whether names and aliases teach too. Without them the tower does not know what a
            lesion is called, as CLIP does not (the paper's Fig. 1b).
    """
    return {
        lesion.name: (*lesion.texts, *((lesion.name, *lesion.aliases) if names else ()))
        for lesion in catalog
    }


def composed_texts(count: int, *, seed: int = 0) -> Texts:
    """Return phrases composed from word lists: colours, shapes, sizes, borders, places, things.

    Args:
        count: Phrases drawn for each concept; those that come twice are given once.
        seed: Of the draws.
    """
    data, draw = _read("phrases.json"), random.Random(seed)
    found = {
        concept: _unique(
            _phrase(data, words, sized=concept in data["sized"], draw=draw) for _ in range(count)
        )
        for concept, words in data["words"].items()
    }
    plain = data["everyday"]
    found["everyday thing"] = _unique(
        _fill(draw.choice(plain["templates"]), plain["words"], draw) for _ in range(count)
    )
    return found


def held_out_paraphrases() -> Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """Return 50 paraphrases of each lesion, each with the words that carry its meaning."""
    rows = _read("held_out.json")["paraphrases"]
    return {
        lesion: tuple((row["text"], tuple(row["key_words"])) for row in own)
        for lesion, own in rows.items()
    }


def held_out_others() -> Texts:
    """Return held-out texts that describe no lesion of the catalog, by their kind."""
    return {kind: tuple(texts) for kind, texts in _read("held_out.json")["others"].items()}


def development_texts() -> Texts:
    """Return texts on which settings may be chosen; not for learning."""
    return {kind: tuple(texts) for kind, texts in _read("development.json").items()}


def _read(name: str) -> Any:
    file = resources.files("tp_drseg.training.clip") / "texts" / name
    return json.loads(file.read_text(encoding="utf-8"))


def _phrase(data: Any, words: Any, *, sized: bool, draw: random.Random) -> str:
    if draw.random() < _COMPARED:
        return _fill(draw.choice(data["comparisons"]), words, draw)
    template = draw.choice(data["templates"])
    while sized and "{size}" not in template and draw.random() > _UNSIZED:
        template = draw.choice(data["templates"])
    return _fill(template, words, draw)


def _fill(template: str, words: Any, draw: random.Random) -> str:
    return template.format_map({key: draw.choice(choices) for key, choices in words.items()})


def _unique(texts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
