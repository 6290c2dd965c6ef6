from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn import metrics
from torch import Tensor, nn

from tp_drseg.data.drawn import draw_lesions
from tp_drseg.data.samples import Sample
from tp_drseg.evaluation.evaluate import as_table, evaluate
from tp_drseg.inference.segment import probabilities
from tp_drseg.inference.view import FundusView
from tp_drseg.model import TPDRSeg

COUNTS = {"haemorrhage": 3, "hard exudate": 12, "soft exudate": 2}
SIDE = 160


@pytest.fixture
def samples(retina: NDArray[np.uint8], tmp_path: Path) -> list[Sample]:
    """Two photographs; microaneurysms are absent on the first and not annotated on the second."""
    small = np.asarray(Image.fromarray(retina).resize((SIDE, SIDE)))
    y, x = np.mgrid[:SIDE, :SIDE]
    field = np.hypot(y - SIDE / 2, x - SIDE / 2) < 0.47 * SIDE
    result = []
    for seed in range(2):
        image, masks = draw_lesions(small, field, seed=seed, counts=COUNTS)
        paths: dict[str, Path | None] = {}
        for name in COUNTS:
            paths[name] = tmp_path / f"{seed}-{name}.png"
            Image.fromarray(masks[name]).save(tmp_path / f"{seed}-{name}.png")
        Image.fromarray(image).save(tmp_path / f"{seed}.png")
        result.append(Sample(f"eye {seed}", tmp_path / f"{seed}.png", paths))
    first = {**result[0].masks, "microaneurysm": None, "soft exudate": None}
    return [Sample("eye 0", result[0].image, first), result[1]]


@pytest.fixture
def model(make_model: Callable[..., TPDRSeg], stir: Callable[[nn.Module], nn.Module]) -> TPDRSeg:
    model = make_model(thresholds={"hard exudate": 0.4375})
    stir(model)
    original = model.decode

    def spread(*arguments: object) -> Tensor:  # logits that differ, as a trained model's do
        logits = original(*arguments)  # type: ignore[arg-type]
        return (logits - logits.mean()) / logits.std() * 2

    model.decode = spread  # type: ignore[assignment,method-assign]
    return model


def pooled(
    model: TPDRSeg, samples: Sequence[Sample], name: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[int]]:
    """Probabilities and truths of all pixels in the fields of view, and where photographs end."""
    found, truths = [], []
    lesion = model.catalog[name]
    for sample in samples:
        if name not in sample.masks:
            continue
        view = FundusView(model, sample.image)
        probability, _ = probabilities(view, [lesion], [lesion.texts])
        path = sample.masks[name]
        truth = np.zeros((SIDE, SIDE), bool)
        if path is not None:
            truth = np.asarray(Image.open(path)) > 0
        field = view.field_of_view.mask
        found.append(probability[0][field])
        truths.append(truth[field])
    return np.concatenate(found), np.concatenate(truths), [len(f) for f in found]


def test_figures_agree_with_scikit_learn(model: TPDRSeg, samples: list[Sample]) -> None:
    scores = evaluate(model, samples)
    assert list(scores) == ["own"]
    assert [score.lesion for score in scores["own"]] == list(model.catalog.names)
    absent = scores["own"][0]
    assert absent.lesion == "microaneurysm"
    assert (absent.photographs, absent.with_lesion, absent.prevalence) == (1, 0, 0)
    assert math.isnan(absent.average_precision) and math.isnan(absent.dice_per_image)
    assert absent.precision == 0 and math.isnan(absent.recall)
    for score in scores["own"][1:]:
        probability, truth, ends = pooled(model, samples, score.lesion)
        threshold = 0.4375 if score.lesion == "hard exudate" else 0.5
        assert score.threshold == threshold
        assert score.photographs == 2
        assert score.with_lesion == (1 if score.lesion == "soft exudate" else 2)
        assert score.prevalence == pytest.approx(truth.mean())
        expected = metrics.average_precision_score(truth, probability)
        assert score.average_precision == pytest.approx(expected, abs=2e-4)
        assert score.roc_auc == pytest.approx(metrics.roc_auc_score(truth, probability), abs=2e-4)
        mask = probability >= threshold
        assert score.pooled_dice == pytest.approx(metrics.f1_score(truth, mask), abs=2e-4)
        assert score.precision == pytest.approx(metrics.precision_score(truth, mask), abs=2e-4)
        assert score.recall == pytest.approx(metrics.recall_score(truth, mask), abs=2e-4)
        cuts = np.cumsum(ends)[:-1]
        dices = [
            metrics.f1_score(t, m)
            for t, m in zip(np.split(truth, cuts), np.split(mask, cuts), strict=True)
            if t.any()
        ]
        assert len(dices) == score.with_lesion
        assert score.dice_per_image == pytest.approx(np.mean(dices), abs=1e-6)
        assert score.best_dice >= score.pooled_dice - 1e-6
        best = metrics.f1_score(truth, probability >= score.best_threshold)
        assert score.best_dice == pytest.approx(best, abs=2e-4)


def test_a_photograph_without_annotation_does_not_count(
    model: TPDRSeg, samples: list[Sample]
) -> None:
    extra = Sample("extra", samples[0].image, {"something else": None})
    one = evaluate(model, samples[:1])["own"]
    other = evaluate(model, [samples[0], extra])["own"]
    assert [str(score) for score in one] == [str(score) for score in other]


def test_held_out_descriptions_are_really_used(
    model: TPDRSeg, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    original = model.explicit_prior.text_features

    def text_features(texts: str | Sequence[str]) -> Tensor:
        asked.append((texts,) if isinstance(texts, str) else tuple(texts))
        return original(texts)

    monkeypatch.setattr(model.explicit_prior, "text_features", text_features)
    held_out = evaluate(model, samples[:1], descriptions=("held_out",))["held_out"]
    assert asked == [lesion.held_out_texts for lesion in model.catalog]
    asked.clear()
    both = evaluate(model, samples[:1], descriptions=("own", "held_out"))
    assert asked == [
        *(lesion.texts for lesion in model.catalog),
        *(lesion.held_out_texts for lesion in model.catalog),
    ]
    assert [str(score) for score in both["held_out"]] == [str(score) for score in held_out]
    for own, other in zip(both["own"][1:3], both["held_out"][1:3], strict=True):
        assert own.lesion == other.lesion and own.average_precision != other.average_precision


def test_table(model: TPDRSeg, samples: list[Sample]) -> None:
    scores = evaluate(model, samples[:1])["own"][1:3]
    table = as_table(scores)
    assert list(table) == ["haemorrhage", "hard exudate", "mean"]
    assert table["hard exudate"]["threshold"] == "0.438"
    assert table["hard exudate"]["AUC-PR"] == f"{scores[1].average_precision:.3f}"
    mean = np.mean([score.roc_auc for score in scores])
    assert table["mean"]["AUC-ROC"] == f"{mean:.3f}" and table["mean"]["threshold"] == ""
    assert table["haemorrhage"]["share of pixels"] == f"{scores[0].prevalence:.3%}"
