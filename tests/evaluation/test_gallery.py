from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tp_drseg.evaluation import gallery as module
from tp_drseg.evaluation.evaluate import Fold, evaluate, evaluate_folds
from tp_drseg.evaluation.gallery import (
    MARKED,
    TRUTH,
    Exhibit,
    Gallery,
    busiest_window,
    draw_exhibit,
    outlined,
)
from tp_drseg.evaluation.predictions import Descriptions, Prediction


def test_best_and_worst(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]
) -> None:
    seen = [make_prediction(f"eye {seed}", seed) for seed in range(7)]
    clean = [make_prediction(f"clean {seed}", 10 + seed, share=0) for seed in range(3)]
    other = [replace(p, descriptions=Descriptions.HELD_OUT) for p in seen]
    samples, free = given(*seen, *other), given(*clean)
    gallery = Gallery(each=2)
    result = evaluate_folds(
        [Fold(fake_model, samples, free)],
        descriptions=tuple(Descriptions),
        bootstrap=0,
        watch=gallery,
    )
    score = result[Descriptions.OWN]["haemorrhage"]
    ranked = [s.photograph for s in sorted(score.per_photograph, key=lambda s: s.dice)]

    def names(found: list[Exhibit]) -> list[str]:
        return [exhibit.score.photograph for exhibit in found]

    assert names(gallery.worst("haemorrhage")) == ranked[:2]
    assert names(gallery.best("haemorrhage")) == ranked[:-3:-1]
    marked = {p.photograph: p.marked(0.5).sum() for p in clean}
    most = sorted((name for name in marked if marked[name]), key=lambda n: -marked[n])
    assert names(gallery.false_positives("haemorrhage")) == most[:2] and most
    assert gallery.best("soft exudate") == gallery.false_positives("soft exudate") == []


def test_no_photograph_is_best_and_worst(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]
) -> None:
    gallery = Gallery(each=3)
    samples = given(*(make_prediction(f"eye {seed}", seed) for seed in range(4)))
    evaluate(fake_model, samples, bootstrap=0, watch=gallery)
    shown = [*gallery.best("haemorrhage"), *gallery.worst("haemorrhage")]
    assert sorted(exhibit.score.photograph for exhibit in shown) == [f"eye {n}" for n in range(4)]


def test_pictures(
    make_prediction: Callable[..., Prediction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE", 40)
    prediction = make_prediction("a", 1)
    case = draw_exhibit(prediction, prediction.marked(0.5), None)  # type: ignore[arg-type]
    sizes = [Image.open(io.BytesIO(picture)).size for picture in (case.whole, case.detail)]
    assert sizes == [(40, 30), (module.DETAIL, module.DETAIL)]


def test_both_outlines_show_where_they_meet() -> None:
    mask = np.zeros((40, 40), bool)
    mask[15:25, 15:25] = True
    picture = np.asarray(outlined(np.zeros((40, 40, 3), np.uint8), mask, mask)).reshape(-1, 3)
    colours = {tuple(map(int, colour)) for colour in picture}
    assert {TRUTH, MARKED} <= colours


def test_busiest_window() -> None:
    mask = np.zeros((200, 300), bool)
    mask[150:160, 250:260] = True
    mask[20, 20] = True
    rows, columns = busiest_window(mask, 40)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (40, 40)
    assert mask[rows, columns].sum() == 100
    middle = (rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2
    assert middle == pytest.approx((155, 255), abs=5)
    rows, columns = busiest_window(mask[:30], 64)  # no larger than the photograph
    assert (rows.stop - rows.start, columns.stop - columns.start) == (30, 30)
    assert mask[:30][rows, columns].sum() == 1
