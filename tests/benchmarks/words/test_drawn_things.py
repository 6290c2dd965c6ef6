from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.words.drawn_things import THINGS, draw_thing, write_photographs
from tp_drseg.data import read_dataset
from tp_drseg.images import read_image
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.clip.texts import catalog_texts, composed_texts, written_texts


@pytest.mark.parametrize("name", list(THINGS))
def test_a_thing_is_drawn_where_its_mask_says(name: str, example: Path) -> None:
    thing, image = THINGS[name], read_image(example)
    drawn, mask = draw_thing(thing, image, np.random.default_rng(0))
    assert 0.001 < mask.mean() < 0.1
    on, before = drawn[mask].mean(axis=0), image[mask].mean(axis=0)
    assert np.abs(on - thing.colour).sum() < np.abs(before - thing.colour).sum() / 2
    assert np.abs(drawn.astype(int) - image)[~mask].mean() < 1
    again, _ = draw_thing(thing, image, np.random.default_rng(0))
    assert np.array_equal(drawn, again)


def test_their_words_teach_no_tower() -> None:
    taught = written_texts(), catalog_texts(LesionCatalog.default()), composed_texts(500)
    texts = [text for group in taught for own in group.values() for text in own]
    known = {word.strip(".,:;'()") for t in texts for word in t.lower().replace("-", " ").split()}
    for thing in THINGS.values():
        assert not known & {word for text in thing.lesion.texts for word in text.split()}


def test_they_become_a_data_set(example: Path, tmp_path: Path) -> None:
    write_photographs(THINGS["hoop"], [example], tmp_path, seed=0)
    catalog = LesionCatalog((THINGS["hoop"].lesion,))
    (sample,) = read_dataset(tmp_path, "folder", None, catalog)
    assert sample.name == example.stem and sample.masks["hoop"] is not None
