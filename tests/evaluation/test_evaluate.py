from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn import metrics
from torch import Tensor, nn

from tp_drseg.config import OperatingPoint
from tp_drseg.data.drawn import draw_lesions
from tp_drseg.data.masks import MaskFile
from tp_drseg.data.samples import Sample
from tp_drseg.errors import DataError
from tp_drseg.evaluation.bootstrap import draw_weights, percentile_interval
from tp_drseg.evaluation.convention import Pixels
from tp_drseg.evaluation.evaluate import Fold, evaluate, evaluate_folds
from tp_drseg.evaluation.predictions import Descriptions, Prediction, predictions
from tp_drseg.evaluation.regions import TrueRegions
from tp_drseg.evaluation.scores import FIGURES, Evaluation, LesionScore
from tp_drseg.evaluation.tables import as_table, operating_points_text, tables
from tp_drseg.inference.request import Prompt
from tp_drseg.lesions import LesionCatalog
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
        paths: dict[str, MaskFile | None] = {}
        for name in COUNTS:
            paths[name] = MaskFile(tmp_path / f"{seed}-{name}.png")
            Image.fromarray(masks[name]).save(tmp_path / f"{seed}-{name}.png")
        Image.fromarray(image).save(tmp_path / f"{seed}.png")
        result.append(Sample(f"eye {seed}", tmp_path / f"{seed}.png", paths))
    first = {**result[0].masks, "microaneurysm": None, "soft exudate": None}
    return [Sample("eye 0", result[0].image, first), result[1]]


@pytest.fixture
def model(make_model: Callable[..., TPDRSeg], stir: Callable[[nn.Module], nn.Module]) -> TPDRSeg:
    model = make_model(
        operating_points={"hard exudate": OperatingPoint(threshold=0.4375, chosen_on="two")}
    )
    stir(model.network)
    original = model.network.decode

    def spread(*arguments: object) -> Tensor:  # logits that differ, as a trained model's do
        logits = original(*arguments)  # type: ignore[arg-type]
        return (logits - logits.mean()) / logits.std() * 2

    model.network.decode = spread  # type: ignore[assignment,method-assign]
    return model


def test_what_the_tests_below_score_is_spread(model: TPDRSeg, samples: list[Sample]) -> None:
    """Were the fixture's logits not those that are scored, all figures would be chance's."""
    (prediction,) = (p for p in predictions(model, samples[1:]) if p.lesion == "hard exudate")
    inside = prediction.probability[prediction.scored]
    logits = np.log(inside / (1 - inside))
    assert logits.std() > 1 and 0.2 < (inside > 0.5).mean() < 0.8


def haemorrhage(result: Evaluation) -> LesionScore:
    return result["haemorrhage"]


def pooled(
    model: TPDRSeg, samples: Sequence[Sample], name: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[int]]:
    """Probabilities and truths of all pixels in the fields of view, and where photographs end."""
    found, truths = [], []
    lesion = model.catalog[name]
    for sample in samples:
        if name not in sample.masks:
            continue
        session = model.open_quietly(sample.image)
        probability = session.probabilities([Prompt(lesion.name)])
        mask = sample.masks[name]
        truth = np.zeros((SIDE, SIDE), bool)
        if mask is not None:
            truth = np.asarray(Image.open(mask.path)) > 0
        field = session.field_of_view.mask
        found.append(probability[0][field])
        truths.append(truth[field])
    return np.concatenate(found), np.concatenate(truths), [len(f) for f in found]


def test_figures_agree_with_scikit_learn(model: TPDRSeg, samples: list[Sample]) -> None:
    result = evaluate(model, samples, bootstrap=0)
    scores = list(result)
    assert [score.lesion for score in scores] == list(model.catalog.names)
    absent = scores[0]
    assert absent.lesion == "microaneurysm"
    assert (absent.photographs, absent.with_lesion, absent.prevalence) == (1, 0, 0)
    assert math.isnan(absent.average_precision) and math.isnan(absent.dice_per_image)
    assert absent.precision == 0 and math.isnan(absent.sensitivity)
    for score in scores[1:]:
        probability, truth, ends = pooled(model, samples, score.lesion)
        threshold = 0.4375 if score.lesion == "hard exudate" else 0.5
        assert score.thresholds == (threshold,)
        assert score.chosen_on == ("two" if score.lesion == "hard exudate" else "",)
        assert score.photographs == 2
        assert score.with_lesion == (1 if score.lesion == "soft exudate" else 2)
        assert score.prevalence == pytest.approx(truth.mean())
        expected = metrics.average_precision_score(truth, probability)
        assert score.average_precision == pytest.approx(expected, abs=2e-4)
        assert score.roc_auc == pytest.approx(metrics.roc_auc_score(truth, probability), abs=2e-4)
        mask = probability >= threshold
        assert score.pooled_dice == pytest.approx(metrics.f1_score(truth, mask))
        assert score.pooled_iou == pytest.approx(metrics.jaccard_score(truth, mask))
        assert score.precision == pytest.approx(metrics.precision_score(truth, mask))
        assert score.sensitivity == pytest.approx(metrics.recall_score(truth, mask))
        cuts = np.cumsum(ends)[:-1]
        parts = [np.split(whole, cuts) for whole in (truth, mask, probability)]
        images = [(t, m, p) for t, m, p in zip(*parts, strict=True) if t.any()]
        assert len(images) == score.with_lesion
        for name, figure in (
            ("dice", metrics.f1_score),
            ("iou", metrics.jaccard_score),
            ("sensitivity", metrics.recall_score),
            ("precision", metrics.precision_score),
        ):
            mean = np.mean([figure(t, m) for t, m, _ in images])
            assert getattr(score, f"{name}_per_image") == pytest.approx(mean), name
        mean = np.mean([metrics.average_precision_score(t, p) for t, _, p in images])
        assert score.average_precision_per_image == pytest.approx(mean, abs=2e-4)
        mean = np.mean([metrics.roc_auc_score(t, p) for t, _, p in images])
        assert score.roc_auc_per_image == pytest.approx(mean, abs=2e-4)
        assert score.oracle_dice >= score.pooled_dice - 1e-6
        best = metrics.f1_score(truth, probability >= score.oracle_threshold)
        assert score.oracle_dice == pytest.approx(best, abs=2e-4)
    mean = np.mean([score.pooled_iou for score in scores[1:]])  # nobody has microaneurysms
    assert result.mean.pooled_iou == pytest.approx(mean)
    assert result.photographs == ("eye 0", "eye 1")


def test_a_photograph_without_annotation_does_not_count(
    model: TPDRSeg, samples: list[Sample]
) -> None:
    extra = Sample("extra", samples[0].image, {"something else": None})
    one = evaluate(model, samples[:1], bootstrap=0)
    other = evaluate(model, [samples[0], extra], bootstrap=0)
    assert str(one) == str(other)
    with pytest.raises(DataError, match=r"nothing to score.*hard exudate"):
        evaluate(model, [extra])


def test_held_out_descriptions_are_really_used(
    model: TPDRSeg, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    original = model.network.explicit_prior.text_features

    def text_features(texts: str | Sequence[str], named: str | None = None) -> Tensor:
        asked.append((texts,) if isinstance(texts, str) else tuple(texts))
        return original(texts, named)

    monkeypatch.setattr(model.network.explicit_prior, "text_features", text_features)
    held_out = evaluate(model, samples[:1], descriptions=Descriptions.HELD_OUT, bootstrap=0)
    assert asked == [lesion.held_out_texts for lesion in model.catalog]
    asked.clear()
    both = evaluate_folds([Fold(model, samples[:1])], descriptions=tuple(Descriptions), bootstrap=0)
    assert asked == [
        *(lesion.texts for lesion in model.catalog),
        *(lesion.held_out_texts for lesion in model.catalog),
    ]
    # more prompts at once round otherwise in the last bits
    assert [s.average_precision for s in both[Descriptions.HELD_OUT]] == pytest.approx(
        [s.average_precision for s in held_out], rel=1e-3, nan_ok=True
    )
    for name in ("haemorrhage", "hard exudate"):
        own, other = (
            next(s.average_precision for s in both[kind] if s.lesion == name) for kind in both
        )
        assert own != other


def test_a_photograph_is_encoded_once(model: TPDRSeg, samples: list[Sample]) -> None:
    """Both kinds of descriptions, and the region counts at any threshold, share its features."""
    passes: list[int] = []
    stem = model.network.image_encoder.backbone.patch_embed
    hook = stem.register_forward_hook(lambda module, inputs, output: passes.append(len(inputs[0])))
    evaluate(model, samples[:1], bootstrap=0)
    once = sum(passes)
    passes.clear()
    kinds = tuple(Descriptions)
    evaluate_folds([Fold(model, samples[:1])], descriptions=kinds, bootstrap=0, froc=(0.2, 0.6))
    assert sum(passes) == once >= 1
    hook.remove()


def test_a_lesion_without_held_out_descriptions(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]
) -> None:
    """Asked with its own in their place, the figures would not be what they are called."""
    first, *others = fake_model.catalog
    fake_model.catalog = LesionCatalog((replace(first, held_out=()), *others))
    samples = given(make_prediction("a", 1))
    with pytest.raises(DataError, match=rf"{first.name} has no held-out descriptions"):
        evaluate(fake_model, samples, descriptions=Descriptions.HELD_OUT, bootstrap=0)


def test_undecided_pixels_are_not_scored(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]
) -> None:
    prediction = make_prediction("a", 1, ignored=True)
    one = haemorrhage(evaluate(fake_model, given(prediction), bootstrap=0))
    assert one.per_photograph[0].pixels == prediction.scored.sum()
    probability, truth = (x[prediction.scored] for x in (prediction.probability, prediction.truth))
    assert one.precision == pytest.approx(metrics.precision_score(truth, probability >= 0.5))
    assert one.average_precision == pytest.approx(
        metrics.average_precision_score(truth, probability), abs=2e-4
    )


def test_readers_say_what_is_undecided(model: TPDRSeg, samples: list[Sample]) -> None:
    drawn = samples[1].masks["hard exudate"]
    assert drawn is not None
    path = drawn.path
    labels = np.asarray(Image.open(path)).astype(np.uint8) * 255
    middle = int(np.median(np.nonzero(labels)[0]))
    labels[:middle] = 127
    Image.fromarray(labels).save(path)
    mask = MaskFile(path, values=(255,), ignored=(127,))
    sample = Sample("eye 1", samples[1].image, {"hard exudate": mask})
    (prediction,) = predictions(model, [sample])
    field = model.open_quietly(sample.image).field_of_view.mask
    assert prediction.ignored[:middle].any() and not prediction.ignored[middle:].any()
    assert (prediction.ignored | prediction.scored == field).all()
    assert not (prediction.ignored & prediction.scored).any()
    assert not prediction.truth[:middle].any() and prediction.truth.any()


def test_all_pixels_or_the_field_of_view(model: TPDRSeg, samples: list[Sample]) -> None:
    """What is drawn beside the field of view counts as missed where all pixels are scored."""
    drawn = samples[1].masks["hard exudate"]
    assert drawn is not None
    labels = np.asarray(Image.open(drawn.path)).copy()
    labels[:3, :3] = labels.max()
    Image.fromarray(labels).save(drawn.path)
    sample = Sample("eye 1", samples[1].image, {"hard exudate": drawn})
    field = model.open_quietly(sample.image).field_of_view.mask
    assert not field[:3, :3].any()
    (inside,) = predictions(model, [sample])
    (everywhere,) = predictions(model, [sample], pixels=Pixels.ALL)
    assert (inside.scored == field).all() and everywhere.scored.all()
    assert everywhere.truth.sum() == inside.truth.sum() + 9
    whole, part = (
        evaluate(model, [sample], pixels=pixels, bootstrap=0)["hard exudate"]
        for pixels in (Pixels.ALL, Pixels.FIELD_OF_VIEW)
    )
    assert (whole.per_photograph[0].pixels, part.per_photograph[0].pixels) == (SIDE**2, field.sum())
    expected = metrics.average_precision_score(
        everywhere.truth.ravel(), everywhere.probability.ravel()
    )
    assert whole.average_precision == pytest.approx(expected, abs=2e-4)
    assert whole.average_precision != part.average_precision
    assert whole.lesions == part.lesions + 1


def test_single_lesions_and_the_free_response_curve(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]
) -> None:
    seen = [make_prediction("a", 1), make_prediction("b", 2), make_prediction("c", 3, share=0)]
    score = haemorrhage(evaluate(fake_model, given(*seen), bootstrap=0, froc=(0.7, 0.1)))

    def at(threshold: float) -> tuple[int, int, int]:
        counts = [TrueRegions(p.truth).match(p.marked(threshold)) for p in seen]
        return tuple(
            sum(getattr(c, name) for c in counts)
            for name in ("lesions", "detected", "false_positives")
        )

    assert (score.lesions, score.detected, score.false_positives) == at(0.5)
    assert score.missed == score.lesions - score.detected
    assert score.lesion_sensitivity == score.detected / score.lesions
    assert score.false_positives_per_image == pytest.approx(score.false_positives / 3)
    assert [point.threshold for point in score.froc] == [0.1, 0.7]
    for point in score.froc:
        lesions, found, false = at(point.threshold)
        assert point.lesion_sensitivity == found / lesions
        assert point.false_positives_per_image == pytest.approx(false / 3)


def test_lesion_free_photographs_count_apart(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]
) -> None:
    samples = given(make_prediction("a", 1), make_prediction("b", 2))
    clean = [make_prediction(f"clean {n}", n, share=0) for n in range(3, 6)]
    clean[0].probability[:] = 0
    free = given(*clean)
    alone = haemorrhage(evaluate(fake_model, samples))
    score = haemorrhage(evaluate(fake_model, samples, lesion_free=free))
    assert alone.lesion_free is None
    assert replace(score, lesion_free=None) == alone
    shares = [p.marked(0.5).sum() / p.scored.sum() for p in clean]
    found = score.lesion_free
    assert found is not None and found.interval is not None
    assert (found.photographs, found.with_mark) == (3, 2)
    assert found.marked_mean == pytest.approx(np.mean(shares)) and found.marked_max == max(shares)
    assert found.interval.low == 0 and found.interval.high == max(shares)
    assert found.detections_per_image == pytest.approx(
        np.mean([TrueRegions(p.truth).match(p.marked(0.5)).detections for p in clean])
    )


def test_intervals_are_those_of_photographs_drawn_again(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]
) -> None:
    """Each draw is put together and evaluated as if its photographs had been given."""
    seen = [
        make_prediction(f"{n} {lesion}" if n == 4 else f"{n}", n, lesion=lesion, share=share)
        for n, share in enumerate((0.05, 0.1, 0.02, 0, 0.03))
        for lesion in ("haemorrhage", "hard exudate")
    ]
    by_name: dict[str, list[Prediction]] = {}
    for prediction in seen:
        by_name.setdefault(prediction.photograph, []).append(prediction)
    samples = given(*seen)
    draws = 12
    found = evaluate(fake_model, samples, bootstrap=draws, seed=5)
    assert (found.bootstrap, found.seed) == (draws, 5)
    weights = draw_weights(len(samples), draws, 5)
    again = []
    for number, row in enumerate(weights):
        copies = [
            replace(prediction, photograph=f"draw {number}: {name}, {copy}")
            for name, times in zip(found.photographs, row, strict=True)
            for copy in range(int(times))
            for prediction in by_name[name]
        ]
        again.append(evaluate(fake_model, given(*copies), bootstrap=0))
    for name in FIGURES:
        for score in (s for s in found if s.with_lesion):
            values = [getattr(s, name) for e in again for s in e if s.lesion == score.lesion]
            expected = percentile_interval(np.array(values))
            assert score.intervals[name] == pytest.approx(expected, abs=1e-9), name
            assert expected.low < expected.high
        values = [
            np.mean([getattr(s, name) for s in e if s.lesion in ("haemorrhage", "hard exudate")])
            for e in again
        ]
        expected = percentile_interval(np.array(values))
        assert found.mean.intervals[name] == pytest.approx(expected, abs=1e-9), name


def test_one_photograph_with_the_lesion_gives_no_interval(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]
) -> None:
    samples = given(make_prediction("a", 1), make_prediction("b", 2, share=0))
    found = evaluate(fake_model, samples)
    assert haemorrhage(found).intervals == {} == found.mean.intervals
    assert as_table(found)["haemorrhage"]["AUC-PR"] == f"{found.mean.average_precision:.3f}"


@pytest.mark.parametrize("wrong", [{"bootstrap": -1}, {"froc": (0.5, 1.5)}])
def test_numbers_out_of_range(wrong: dict[str, Any], fake_model: Any) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        evaluate(fake_model, [], **wrong)


def test_tables(given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]) -> None:
    samples = given(make_prediction("a", 1), make_prediction("b", 2))
    free = given(make_prediction("clean", 3, share=0))
    found = evaluate(fake_model, samples, lesion_free=free, bootstrap=30)
    score, mean = haemorrhage(found), found.mean
    shown = tables(found)
    assert len(shown) == 6 and "1 lesion-free" in shown[-1].title
    assert all(len(row) == len(table.head) for table in shown for row in table.rows)
    pooled = {row[0].figure: dict(zip(shown[1].head, row, strict=True)) for row in shown[1].rows}
    assert list(pooled) == [*fake_model.catalog.names, "mean"]
    low, high = score.intervals["pooled_iou"]
    assert pooled["haemorrhage"]["IoU"] == (f"{score.pooled_iou:.3f}", f"{low:.2f}-{high:.2f}")
    assert pooled["mean"]["IoU"].figure == f"{mean.pooled_iou:.3f}"
    assert pooled["hard exudate"]["IoU"] == ("-", "")
    card = as_table(found)
    assert list(card) == [*fake_model.catalog.names, "mean"]
    low, high = score.intervals["roc_auc"]
    assert card["haemorrhage"]["AUC-ROC"] == f"{score.roc_auc:.3f} ({low:.2f}-{high:.2f})"
    assert card["mean"]["threshold"] == "" and card["haemorrhage"]["threshold"] == "0.500"
    assert card["haemorrhage"]["share of pixels"] == f"{score.prevalence:.3%}"


def test_operating_points_are_told(model: TPDRSeg, samples: list[Sample]) -> None:
    text = operating_points_text(evaluate(model, samples[:1], bootstrap=0))
    assert "hard exudate 0.438; chosen on two." in text
    assert "haemorrhage 0.500, soft exudate 0.500; the model does not say" in text


def test_json(given: Any, fake_model: Any, make_prediction: Callable[..., Prediction]) -> None:
    samples = given(make_prediction("a", 1), make_prediction("b", 2))
    found = evaluate(fake_model, samples, bootstrap=20, froc=(0.5,))
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    row = data["lesions"][1]
    score = haemorrhage(found)
    assert row["lesion"] == "haemorrhage" and row["pooled_dice"] == score.pooled_dice
    assert row["intervals"]["pooled_dice"] == list(score.intervals["pooled_dice"])
    assert [case["photograph"] for case in row["per_photograph"]] == ["a", "b"]
    assert row["froc"][0]["threshold"] == 0.5 and row["lesion_free"] is None
    assert data["lesions"][0]["average_precision"] is None
    assert data["bootstrap"] == {"draws": 20, "seed": 0}
    assert "curve" not in row
