from __future__ import annotations

import pytest

from tp_drseg.lesions.match import Match, Verdict

LESIONS = ["EX", "SE"]


def match(**probabilities: float) -> Match:
    names = {"other_language": "another language", "no_words": "no words"}
    return Match.of("a text", {names.get(k, k): p for k, p in probabilities.items()}, LESIONS)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (match(EX=0.9, SE=0.05, vessel=0.05), "lesion"),
        (match(EX=0.5, SE=0.4, vessel=0.1), "ambiguous"),
        (match(EX=0.3, SE=0.1, vessel=0.6), "nothing"),
        (match(EX=0.3, SE=0.1, vessel=0.2, no_words=0.4), "nonsense"),
        (match(EX=0.01, SE=0.0, other_language=0.99), "language"),
    ],
)
def test_verdicts(found: Match, verdict: Verdict) -> None:
    assert found.verdict == verdict
    assert bool(found.refusal) == (verdict != "lesion")


def test_ranking_and_margin() -> None:
    found = match(SE=0.6, EX=0.15, vessel=0.2, fovea=0.05)
    assert found.lesions == (("SE", 0.6), ("EX", 0.15))
    assert found.others == (("vessel", 0.2), ("fovea", 0.05))
    assert found.lesion == "SE"
    assert found.margin == pytest.approx((0.6 - 0.15) / 0.75)
    alone = Match.of("a text", {"EX": 0.9, "vessel": 0.1}, ["EX"])
    assert alone.margin == 1 and alone.verdict == "lesion"


def test_a_refusal_says_why_how_well_each_fits_and_what_to_write() -> None:
    close = match(EX=0.5, SE=0.4, vessel=0.1).refusal
    assert "fits EX and SE about equally; fit: EX 0.50, SE 0.40." in close
    assert "colour, size, shape and border in English" in close
    assert "something else (vessel)" in match(EX=0.1, SE=0.1, vessel=0.8).refusal
    assert "no words" in match(EX=0.1, SE=0.1, no_words=0.8).refusal
    assert "another language than English" in match(EX=0.1, SE=0.1, other_language=0.8).refusal
