"""What a user's words lead to, with the weights that the package ships."""

from __future__ import annotations

import pytest

from tp_drseg.errors import LesionError, PromptError
from tp_drseg.inference.request import Prompt, as_prompt
from tp_drseg.inference.words import match, matcher
from tp_drseg.lesions import Description, Lesion, LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.clip.texts import (
    catalog_texts,
    composed_texts,
    development_texts,
    held_out_others,
    held_out_paraphrases,
    written_texts,
)


@pytest.fixture(scope="module")
def embedded() -> TPDRSeg:
    return TPDRSeg.from_pretrained(device="cpu", dtype="float32")


def share_of_lesions(model: TPDRSeg, texts: tuple[str, ...]) -> list[float]:
    return [model.match(text).share for text in texts]


def test_held_out_paraphrases_lead_to_their_lesion(embedded: TPDRSeg) -> None:
    right = {
        lesion: [embedded.match(text).lesion == lesion for text, _ in rows]
        for lesion, rows in held_out_paraphrases().items()
    }
    shares = {lesion: sum(hits) / len(hits) for lesion, hits in right.items()}
    assert all(len(hits) == 50 for hits in right.values())
    assert min(shares.values()) >= 0.93, shares
    assert sum(shares.values()) / 4 >= 0.97, shares


@pytest.mark.parametrize("kind", ["everyday thing", "no words", "another language", "retina"])
def test_what_describes_no_lesion_is_told_apart(embedded: TPDRSeg, kind: str) -> None:
    lesions = [
        share
        for rows in held_out_paraphrases().values()
        for share in share_of_lesions(embedded, tuple(text for text, _ in rows))
    ]
    others = share_of_lesions(embedded, held_out_others()[kind])
    wins = sum((a > b) + (a == b) / 2 for a in lesions for b in others)
    assert wins / len(lesions) / len(others) >= 0.98


def test_held_out_texts_teach_nothing() -> None:
    taught = [written_texts(), catalog_texts(LesionCatalog.default()), composed_texts(900)]
    known = {text.casefold() for texts in taught for own in texts.values() for text in own}
    held = [text for rows in held_out_paraphrases().values() for text, _ in rows]
    held += [text for texts in held_out_others().values() for text in texts]
    developed = {text for texts in development_texts().values() for text in texts}
    assert not known & {text.casefold() for text in held}
    assert not developed & set(held)


def test_a_hundred_paraphrases_have_key_words_that_teach_nothing() -> None:
    of_lesions = LesionCatalog.default().names
    taught = [written_texts(), catalog_texts(LesionCatalog.default()), composed_texts(900)]
    known = {
        word.strip(".,:;'()").casefold()
        for texts in taught
        for name in of_lesions
        for text in texts[name]
        for word in text.replace("-", " ").split()
    }
    new = [
        text
        for rows in held_out_paraphrases().values()
        for text, keys in rows
        if not any(key in known or key.removesuffix("s") in known for key in keys)
    ]
    assert len(new) >= 100


def test_words_become_the_prompt(embedded: TPDRSeg) -> None:
    find = matcher(embedded.network.explicit_prior, embedded.catalog)
    words = "bright yellow spots with sharp edges"
    prompt = as_prompt(words, embedded.catalog, find)
    assert prompt.lesion == "hard exudate" and prompt.descriptions == (words,)
    assert prompt.match is not None and prompt.match.margin > 0.5
    named = as_prompt("EX", embedded.catalog, find)
    assert named.descriptions == () and named.match is None
    described = Prompt(words, "waxy yellow deposits", threshold=0.3)
    found = as_prompt(described, embedded.catalog, find)
    assert found.descriptions == ("waxy yellow deposits",) and found.threshold == 0.3


def test_a_description_of_no_lesion_is_said(
    embedded: TPDRSeg, caplog: pytest.LogCaptureFixture
) -> None:
    find = matcher(embedded.network.explicit_prior, embedded.catalog)
    texts = ("waxy yellow deposits", "monthly parking permit", "punti rossi e piccoli")
    prompt = as_prompt(Prompt("EX", texts), embedded.catalog, find)
    assert prompt.descriptions == texts
    assert prompt.match is not None and prompt.match.text == texts[1]
    first, second = caplog.messages
    assert "'monthly parking permit' is given as a description of hard exudate." in first
    assert "reads as something else (everyday thing)" in first
    assert "reads as another language" in second
    assert as_prompt(prompt, embedded.catalog, find) == prompt and len(caplog.messages) == 2


def test_an_odd_wording_of_a_named_lesion_does_no_harm(embedded: TPDRSeg) -> None:
    prior = embedded.network.explicit_prior
    for name, texts in development_texts().items():
        if name not in embedded.catalog.names:
            continue
        own = prior.text_features(embedded.catalog.resolve(name).texts, name)
        named = [float(prior.text_features(text, name) @ own) for text in texts]
        assert min(named) > 0.99
    assert float(prior.text_features("monthly parking permit", name) @ own) < 0.9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("monthly parking permit", "something else"),
        ("kleine rote Punkte", "another language"),
        ("qwrtz hjkl", "no words"),
        ("the optic disc", r"something else \(optic disc\)"),
        ("hard exudat3", "Did you mean 'hard exudate'"),
    ],
)
def test_what_leads_nowhere_is_an_error_that_helps(
    embedded: TPDRSeg, text: str, message: str
) -> None:
    find = matcher(embedded.network.explicit_prior, embedded.catalog)
    try:
        found = as_prompt(text, embedded.catalog, find)
    except LesionError as error:
        assert message in str(error).replace("(optic disc)", r"\(optic disc\)")
        assert "Known lesions: microaneurysm (MA)" in str(error)
    else:
        assert text == "hard exudat3" and found.lesion == "hard exudate"


def test_an_own_lesion_is_learned_from_its_texts(embedded: TPDRSeg) -> None:
    ring = Lesion(
        "ring",
        "RG",
        (),
        tuple(
            Description(text)
            for text in (
                "a green ring",
                "small green rings",
                "turquoise circle with a hole in the middle",
                "emerald hoops on the retina",
                "round green outlines, empty inside",
            )
        ),
    )
    catalog = embedded.catalog.add(ring)
    prior = embedded.network.explicit_prior
    found = match(prior, catalog, "ring-shaped green marks")
    assert found.lesion == "ring" and found.verdict != "nothing"
    assert match(prior, catalog, "small green rings").verdict == "lesion"
    assert match(prior, catalog, "tiny red dots").lesion == "microaneurysm"


def test_empty_and_long_texts(embedded: TPDRSeg) -> None:
    with pytest.raises(PromptError, match="empty"):
        embedded.match("  ")
    with pytest.raises(PromptError, match="tokens"):
        embedded.match("red " * 200)
