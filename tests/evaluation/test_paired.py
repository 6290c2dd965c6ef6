from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.metrics import average_precision_score

from tp_drseg.errors import DataError
from tp_drseg.evaluation.bootstrap import draw_weights, percentile_interval
from tp_drseg.evaluation.evaluate import evaluate
from tp_drseg.evaluation.paired import MEAN, Drawn, compare
from tp_drseg.evaluation.predictions import Prediction
from tp_drseg.evaluation.scores import FIGURES, Evaluation

LESIONS = ("haemorrhage", "hard exudate")
EYES = 6
DRAWS = 25

Make = Callable[..., Prediction]


@pytest.fixture
def seen(make_prediction: Make) -> list[Prediction]:
    return [
        make_prediction(f"eye {n}", n, lesion=lesion, share=0.03 + 0.01 * n)
        for n in range(EYES)
        for lesion in LESIONS
    ]


def worse(predictions: list[Prediction]) -> list[Prediction]:
    """The same photographs and masks, seen by a model that is less sure."""
    rng = np.random.default_rng(5)
    return [
        replace(
            p,
            probability=(0.6 * p.probability + 0.4 * rng.random(p.truth.shape)).astype(np.float32),
        )
        for p in predictions
    ]


@pytest.fixture
def two(given: Any, fake_model: Any, seen: list[Prediction]) -> tuple[Evaluation, Evaluation]:
    good = evaluate(fake_model, given(*seen), bootstrap=DRAWS, seed=3)
    given.forget()
    bad = evaluate(fake_model, given(*worse(seen)), bootstrap=DRAWS, seed=3)
    return good, bad


def test_differences_are_those_of_photographs_drawn_alike(
    two: tuple[Evaluation, Evaluation], seen: list[Prediction]
) -> None:
    """Against a plain loop: draw, pool the pixels, score both models, subtract."""
    both = {"good": seen, "bad": worse(seen)}

    def area(model: str, lesion: str, eyes: list[int]) -> float:
        of_lesion = [p for p in both[model] if p.lesion == lesion]
        truth = np.concatenate([of_lesion[n].truth[of_lesion[n].scored] for n in eyes])
        probability = np.concatenate([of_lesion[n].probability[of_lesion[n].scored] for n in eyes])
        return float(average_precision_score(truth, probability))

    drawn = []
    for row in draw_weights(EYES, DRAWS, 3).astype(int):
        eyes = [int(n) for n in np.repeat(np.arange(EYES), row)]
        drawn.append([area("good", x, eyes) - area("bad", x, eyes) for x in LESIONS])
    values = np.array(drawn)
    found = compare(*two)
    assert found.figure == "average_precision" and found.photographs == EYES
    for column, lesion in enumerate(LESIONS):
        difference = found[lesion]
        every = list(range(EYES))
        expected = area("good", lesion, every) - area("bad", lesion, every)
        assert difference.value == pytest.approx(expected, abs=2e-4)
        assert difference.interval == pytest.approx(
            percentile_interval(values[:, column]), abs=4e-4
        )
    interval = found[MEAN].interval
    assert interval == pytest.approx(percentile_interval(values.mean(1)), abs=4e-4)
    assert interval is not None and interval.low > 0
    absent = found["soft exudate"]
    assert absent.interval is None and np.isnan(absent.value)


def test_pairing_narrows_the_interval(two: tuple[Evaluation, Evaluation]) -> None:
    paired = compare(*two)[MEAN].interval
    assert paired is not None
    apart = [evaluation.mean.intervals["average_precision"] for evaluation in two]
    assert paired.high - paired.low < max(one.high - one.low for one in apart)


def test_a_model_does_not_differ_from_itself(two: tuple[Evaluation, Evaluation]) -> None:
    for figure in FIGURES:
        assert compare(two[0], two[0], figure)[MEAN].interval == (0, 0), figure


def test_the_order_of_photographs_does_not_matter(
    given: Any, fake_model: Any, seen: list[Prediction], two: tuple[Evaluation, Evaluation]
) -> None:
    given.forget()
    samples = given(*seen)
    turned = evaluate(fake_model, samples[::-1], bootstrap=DRAWS, seed=3)
    given.forget()
    samples = given(*worse(seen))
    found = compare(turned, evaluate(fake_model, samples, bootstrap=DRAWS, seed=3))
    assert found[MEAN].interval == pytest.approx(compare(*two)[MEAN].interval)


def test_kept_on_disk(two: tuple[Evaluation, Evaluation], tmp_path: Path) -> None:
    path = tmp_path / "new" / "draws.safetensors"
    Drawn.of(two[1]).save(path)
    again = Drawn.load(path)
    expected, found = compare(*two), compare(two[0], again)
    assert str(found) == str(expected)  # NaN where a lesion is absent
    assert [p.name for p in path.parent.iterdir()] == ["draws.safetensors"]


def test_what_cannot_be_compared(
    given: Any,
    fake_model: Any,
    seen: list[Prediction],
    two: tuple[Evaluation, Evaluation],
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match=r"no figure 'accuracy'.*average_precision"):
        compare(*two, "accuracy")
    given.forget()
    fewer = evaluate(fake_model, given(*seen[:-2]), bootstrap=DRAWS, seed=3)
    given.forget()
    samples = given(*seen)
    other_seed = evaluate(fake_model, samples, bootstrap=DRAWS, seed=4)
    truth = seen[0].truth.copy()
    truth[30, 40] = ~truth[30, 40]
    given.forget()
    other_mask = given(replace(seen[0], truth=truth), *seen[1:])
    drawn_on = evaluate(fake_model, other_mask, bootstrap=DRAWS, seed=3)
    for other in (fewer, other_seed, drawn_on):
        with pytest.raises(DataError, match="cannot be compared"):
            compare(two[0], other)
    (tmp_path / "text").write_text("no draws")
    save_file({"x": np.zeros(2)}, tmp_path / "others.safetensors")
    for name in ("text", "others.safetensors", "missing"):
        with pytest.raises(DataError, match=rf"{name}.*--draws"):
            Drawn.load(tmp_path / name)
