from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tp_drseg._runtime.json_text import DEEPEST, parse_json, read_json
from tp_drseg.errors import ConfigError, TrainingError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
@settings(max_examples=100, deadline=None)
def test_what_json_writes_is_read(data: object) -> None:
    assert parse_json(json.dumps(data), "a text") == data


@given(
    st.text(st.sampled_from('{}[]",:0123456789.eE+-truefalsn\\u\ud800 \n'), max_size=40)
    | st.text(max_size=40)
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_json(text, "a text")
    except ConfigError as error:
        assert str(error).startswith("a text ") and str(error).endswith(".")
    else:
        assert found == json.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON: .* line 1, column 1"),
        ('{\n"a": }', "not valid JSON: .* line 2, column 6"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "names 'c' twice"),
        ("[NaN]", "NaN, which is not JSON"),
        ("-Infinity", "-Infinity, which is not JSON"),
        ("1e400", "too large for a float"),
        ("9" * 5000, "thousands of digits"),
        ('["\\ud800"]', "half of a surrogate pair"),
        ('{"\\udfff": 1}', "half of a surrogate pair"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested deeper than 32"),
        ("[" * 10**6, "nested deeper than 32"),
        ('{"a":' * 10**6, "nested deeper than 32"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_json(text, "a text")
    with pytest.raises(TrainingError):
        parse_json(text, "a text", error=TrainingError)


def test_the_deepest_is_read() -> None:
    assert parse_json("[" * DEEPEST + "]" * DEEPEST, "a text")


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[1, 2]")
    assert read_json(path) == [1, 2]
    with pytest.raises(ConfigError, match=r"a\.json is larger than 5 bytes"):
        read_json(path, 5)
    path.write_text("[1, 2")
    with pytest.raises(ConfigError, match=r"a\.json is not valid JSON"):
        read_json(path)
