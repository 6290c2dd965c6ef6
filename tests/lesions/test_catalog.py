from __future__ import annotations

import copy
import json
import pickle
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from importlib import resources
from typing import Any

import pytest

from tp_drseg.errors import ConfigError, LesionError
from tp_drseg.lesions import Description, Lesion, LesionCatalog

# Words of aliases that tell of a look or a place, and so may occur in a description.
PLAIN_WORDS = {"and", "dot", "blot", "flame", "shaped", "patch", "deposit", "body", "capillary"}
PLAIN_WORDS |= {"retinal", "intraretinal", "nerve", "fibre", "fiber", "layer"}
FUNCTION_WORDS = {"a", "and", "the", "of", "with", "in", "on", "that"}


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


@pytest.fixture(scope="module")
def catalog() -> LesionCatalog:
    return LesionCatalog.default()


@pytest.fixture
def raw() -> dict[str, Any]:
    """The packaged JSON, free to be changed by a test."""
    text = (resources.files("tp_drseg.lesions") / "lesions.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


@pytest.fixture
def drusen() -> Lesion:
    return Lesion("drusen", "DR", ("druse",), (Description("round pale yellow deposits"),))


def test_default_lesions_and_order(catalog: LesionCatalog) -> None:
    assert catalog.names == ("microaneurysm", "haemorrhage", "hard exudate", "soft exudate")
    assert [lesion.abbreviation for lesion in catalog] == ["MA", "HE", "EX", "SE"]
    assert len(catalog) == 4


def test_enough_descriptions_and_five_held_out(catalog: LesionCatalog) -> None:
    for lesion in catalog:
        assert len(lesion.texts) >= 20
        assert len(lesion.held_out_texts) == 5


def test_no_text_is_used_twice(catalog: LesionCatalog) -> None:
    texts = [text for lesion in catalog for text in lesion.texts + lesion.held_out_texts]
    assert len(set(texts)) == len(texts)


def test_form_of_the_texts(catalog: LesionCatalog) -> None:
    for lesion in catalog:
        for text in lesion.texts + lesion.held_out_texts:
            assert 4 <= len(text.split()) <= 20, text
            assert text == text.strip().lower() and not text.endswith("."), text


def test_texts_describe_and_do_not_name(catalog: LesionCatalog) -> None:
    naming = {
        word
        for lesion in catalog
        for spelling in (lesion.name, lesion.abbreviation, *lesion.aliases)
        for word in words(spelling)
    } - PLAIN_WORDS
    assert {"microaneurysm", "hemorrhage", "exudate", "cotton", "soft", "hard"} <= naming
    naming |= {word + "s" for word in naming}
    for lesion in catalog:
        for text in lesion.texts + lesion.held_out_texts:
            assert not words(text) & naming, text


def test_held_out_words_are_known_from_training(catalog: LesionCatalog) -> None:
    for lesion in catalog:
        seen = [words(text) for text in lesion.texts]
        for text in lesion.held_out_texts:
            for word in words(text) - FUNCTION_WORDS:
                assert sum(word in s for s in seen) >= 2, (lesion.name, text, word)


def test_every_source_is_a_citation(catalog: LesionCatalog, raw: dict[str, Any]) -> None:
    cited = {d.source for lesion in catalog for d in lesion.descriptions + lesion.held_out}
    assert cited == set(raw["sources"].values())
    assert all(re.search(r"\b(19|20)\d\d\b", source) for source in cited)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("microaneurysm", "microaneurysm"),
        ("Micro-Aneurysms", "microaneurysm"),
        ("MAs", "microaneurysm"),
        ("ma", "microaneurysm"),
        ("haemorrhages", "haemorrhage"),
        ("HEMORRHAGE", "haemorrhage"),
        ("H", "haemorrhage"),
        ("retinal_haemorrhages", "haemorrhage"),
        ("dot-and-blot hemorrhages", "haemorrhage"),
        ("flame\u2010shaped haemorrhage", "haemorrhage"),
        ("bleeding", "haemorrhage"),
        ("hard exudate", "hard exudate"),
        ("Hard_Exudates", "hard exudate"),
        ("HardExudate", "hard exudate"),
        ("exudate", "hard exudate"),
        ("Exudates", "hard exudate"),
        (" ex ", "hard exudate"),
        ("HX", "hard exudate"),
        ("soft-exudates", "soft exudate"),
        ("SE", "soft exudate"),
        ("cotton wool spots", "soft exudate"),
        ("Cotton-Wool Spot", "soft exudate"),
        ("CWS", "soft exudate"),
        ("CWSs", "soft exudate"),
        ("nerve fiber layer infarct", "soft exudate"),
        ("nerve fibre layer infarcts", "soft exudate"),
    ],
)
def test_resolve(catalog: LesionCatalog, spelling: str, name: str) -> None:
    assert catalog.resolve(spelling).name == name
    assert catalog[spelling] is catalog.resolve(spelling)
    assert catalog.index(spelling) == catalog.names.index(name)
    assert spelling in catalog


def test_unknown_name_says_what_to_do(catalog: LesionCatalog) -> None:
    with pytest.raises(LesionError) as caught:
        catalog.resolve("hard exsudat")
    message = str(caught.value)
    assert "'hard exsudat'" in message
    assert "Did you mean 'hard exudate'" in message
    for lesion in catalog:
        assert f"{lesion.name} ({lesion.abbreviation})" in message
    assert "tp-drseg finetune --lesions" in message and "model.prior_map(image, text)" in message


@pytest.mark.parametrize("name", ["", "  ", "neovascularisation", "s"])
def test_unknown_without_a_close_match(catalog: LesionCatalog, name: str) -> None:
    with pytest.raises(LesionError, match="Unknown lesion") as caught:
        catalog.index(name)
    assert "Did you mean" not in str(caught.value)
    assert name not in catalog


@pytest.mark.parametrize("name", [None, 0, ("MA",)])
def test_name_of_the_wrong_type(catalog: LesionCatalog, name: Any) -> None:
    with pytest.raises(LesionError, match="must be a text"):
        catalog.resolve(name)
    assert name not in catalog


def test_contains_its_lesions(catalog: LesionCatalog, drusen: Lesion) -> None:
    assert all(lesion in catalog for lesion in catalog)
    assert drusen not in catalog


def test_round_trip_through_json(catalog: LesionCatalog, drusen: Lesion) -> None:
    larger = catalog.add(drusen)  # its description has no source
    back = LesionCatalog.from_dict(json.loads(json.dumps(larger.to_dict())))
    assert back == larger and hash(back) == hash(larger)
    assert back.index("druse") == 4
    assert back["drusen"].descriptions[0].source == ""
    assert back != catalog


def test_pickles(catalog: LesionCatalog) -> None:
    back = pickle.loads(pickle.dumps(catalog))
    assert back == catalog and back.index("CWS") == 3


def test_add_returns_a_new_catalog(catalog: LesionCatalog, drusen: Lesion) -> None:
    larger = catalog.add(drusen)
    assert larger.names == (*catalog.names, "drusen")
    assert len(catalog) == 4 and "drusen" not in catalog


@pytest.mark.parametrize(
    ("name", "abbreviation", "aliases", "spelling", "other"),
    [
        ("Hemorrhages", "XX", (), "Hemorrhages", "haemorrhage"),
        ("drusen", "ex", (), "ex", "hard exudate"),
        ("drusen", "DR", ("Cotton_Wool Spots",), "Cotton_Wool Spots", "soft exudate"),
    ],
)
def test_clash_names_both(
    catalog: LesionCatalog,
    name: str,
    abbreviation: str,
    aliases: tuple[str, ...],
    spelling: str,
    other: str,
) -> None:
    lesion = Lesion(name, abbreviation, aliases, (Description("pale round deposits"),))
    with pytest.raises(LesionError) as caught:
        catalog.add(lesion)
    for part in (spelling, name, other):
        assert repr(part) in str(caught.value)


def test_immutable(catalog: LesionCatalog) -> None:
    with pytest.raises(FrozenInstanceError):
        catalog.lesions = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        catalog["MA"].name = "x"  # type: ignore[misc]


def test_held_out_is_not_in_texts() -> None:
    lesion = Lesion("a", "A", (), (Description("seen"),), (Description("unseen", "Book 2000"),))
    assert lesion.texts == ("seen",)
    assert lesion.held_out_texts == ("unseen",)


SOME = (Description("pale round deposits"),)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", "X", (), SOME), "name of a lesion is empty"),
        ((" -", "X", (), SOME), "name of a lesion is empty"),
        ((None, "X", (), SOME), "name of a lesion must be a text, got a NoneType"),
        (("x" * 101, "X", (), SOME), "name of a lesion has 101 characters, and may have 100"),
        (("x\x1b[31m", "X", (), SOME), r"not seen: 'x\\x1b\[31m'"),
        (("x\ny", "X", (), SOME), "not seen"),
        (("x", "\u202eX", (), SOME), "abbreviation of the lesion 'x' holds .* not seen"),
        (("x", "", (), SOME), "abbreviation of the lesion 'x' is empty"),
        (("x", "X", ("",), SOME), "An alias of the lesion 'x' is empty"),
        (("x", "X", "alias", SOME), "aliases of the lesion 'x' must be a tuple"),
        (("x", "X", ["alias"], SOME), "aliases of the lesion 'x' must be a tuple"),
        (("x", "X", (3,), SOME), "An alias of the lesion 'x' must be a text, got a int"),
        (("x", "X", ("y",) * 101, SOME), "more than 100 aliases"),
        (("x", "X", (), ()), "has no descriptions"),
        (("x", "X", (), ("text",)), "needs a tuple of Description as descriptions"),
        (("x", "X", (), SOME, ["text"]), "needs a tuple of Description as held_out"),
        (("x", "X", (), SOME * 1001), "more than 1000 descriptions"),
        (("x", "X", (), (*SOME, Description("Pale round  deposits"))), "twice"),
        (("x", "X", (), SOME, SOME), "twice"),
    ],
)
def test_invalid_lesion(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(LesionError, match=message):
        Lesion(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "is empty"),
        (("  ",), "is empty"),
        ((None,), "must be a text, got a NoneType"),
        (("text", None), "source of a description must be a text"),
        (("x" * 2001,), "2,001 characters"),
        (("two\nlines",), "not seen"),
        (("text", "a\x07"), "not seen"),
    ],
)
def test_invalid_description(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(LesionError, match=message):
        Description(*arguments)


@pytest.mark.parametrize("lesions", [(), [], "MA", ("MA",), None])
def test_what_is_no_catalog(lesions: Any) -> None:
    with pytest.raises(LesionError, match="A lesion catalog needs"):
        LesionCatalog(lesions)


def test_a_catalog_has_an_end(drusen: Lesion) -> None:
    many = tuple(Lesion(f"kind {i} x", f"K{i}x", (), SOME) for i in range(257))
    assert len(LesionCatalog(many[:256])) == 256
    with pytest.raises(LesionError, match="at most 256, got 257"):
        LesionCatalog(many)


def test_a_very_long_name_is_not_compared_and_not_shown(catalog: LesionCatalog) -> None:
    with pytest.raises(LesionError) as caught:
        catalog.index("exudate" * 100_000)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("path", "value", "error", "message"),
    [
        (("lesions",), {}, ConfigError, "lesions must be a list"),
        (("lesions",), [], LesionError, "at least one"),
        (("sources",), [], ConfigError, "sources must be a mapping of names"),
        (("sources", "kanski2016"), 3, ConfigError, r"sources\.kanski2016 must be a text"),
        (("extra",), 1, ConfigError, "unknown fields: 'extra'"),
        (("lesions", 1), "MA", ConfigError, r"lesions\[1\] must be a mapping"),
        (
            ("lesions", 1, "colour"),
            "red",
            ConfigError,
            r"lesions\[1\] has unknown fields: 'colour'",
        ),
        (
            ("lesions", 1, "name"),
            5,
            ConfigError,
            r"lesions\[1\]\.name must be a text, got 5. Put it in quotes",
        ),
        (("lesions", 1, "aliases"), "H", ConfigError, r"lesions\[1\]\.aliases must be a list"),
        (("lesions", 1, "aliases", 0), 1, ConfigError, r"lesions\[1\]\.aliases\[0\]"),
        (("lesions", 1, "descriptions"), [], LesionError, "'haemorrhage' has no descriptions"),
        (("lesions", 1, "descriptions", 2), "a", ConfigError, r"\.descriptions\[2\] must be a map"),
        (
            ("lesions", 1, "descriptions", 2, "text"),
            " ",
            LesionError,
            "text of a description is empty",
        ),
        (
            ("lesions", 1, "descriptions", 2, "source"),
            "no",
            ConfigError,
            r"\[2\]\.source: 'no' is not",
        ),
        (("lesions", 1, "abbreviation"), "MA", LesionError, "already stands for 'microaneurysm'"),
    ],
)
def test_from_dict_names_the_bad_field(
    raw: dict[str, Any],
    path: tuple[str | int, ...],
    value: object,
    error: type[Exception],
    message: str,
) -> None:
    target: Any = raw
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(error, match=message):
        LesionCatalog.from_dict(raw)


@pytest.mark.parametrize("key", ["name", "abbreviation", "descriptions"])
def test_from_dict_missing_field(raw: dict[str, Any], key: str) -> None:
    del raw["lesions"][0][key]
    with pytest.raises(ConfigError, match=rf"lesions\[0\] lacks {key}"):
        LesionCatalog.from_dict(raw)
    with pytest.raises(ConfigError, match="The catalog must be a mapping"):
        LesionCatalog.from_dict([])  # type: ignore[arg-type]


def test_from_dict_leaves_its_input_alone(raw: dict[str, Any], catalog: LesionCatalog) -> None:
    before = copy.deepcopy(raw)
    assert LesionCatalog.from_dict(raw) == catalog
    assert raw == before


def test_import_needs_no_torch() -> None:
    code = (
        "import sys, tp_drseg.lesions; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
