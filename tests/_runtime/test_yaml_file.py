from __future__ import annotations

import tracemalloc
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tp_drseg._runtime import extras
from tp_drseg._runtime.text import visible
from tp_drseg._runtime.yaml_events import dump_yaml, parse_yaml, scalar
from tp_drseg._runtime.yaml_file import MOST_BYTES, read_yaml, write_yaml
from tp_drseg.errors import ConfigError, MissingExtraError

TEXTS = st.text(max_size=30).filter(lambda text: visible(text) == text) | st.sampled_from(
    ["NO", "on", "~", "null", "1e-4", "0o7", "12", ".5", "1_000", "2026-01-31", "12:30", ".inf",
     "<<", "=", "", " a ", "- a", "a: b", "#", "&a", "*a", "!a", "a\nb\n", "\ta", "---", "..."]
)  # fmt: skip
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**38), 10**38)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, PLAIN, max_size=5))
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read(data: dict[str, object]) -> None:
    text = dump_yaml(data)
    found = parse_yaml(text, "a text")
    assert found == data and repr(found) == repr(data)


@given(
    st.text(st.sampled_from("{}[]\"':,-?|>&*!%@`#~0123456789.eE+ab<= \n\t\\\ufeff"), max_size=60)
    | st.text(max_size=60)
)
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_yaml(text, "a text")
    except ConfigError as error:
        assert str(error).startswith("a text") and str(error).endswith(".")


def test_layouts_that_people_write() -> None:
    text = """
    # a comment
    name: optic nerve
    abbreviation: ON
    aliases: [NO, "yes", 'off', 2026-01-31]
    rates: {a: 1e-4, b: 0.5, c: -3}
    folded: >
      two
      lines
    kept: |
      two
      lines
    nothing:
    on: true
    1: one
    """
    assert parse_yaml(text, "a text") == {
        "name": "optic nerve",
        "abbreviation": "ON",
        "aliases": ["NO", "yes", "off", "2026-01-31"],
        "rates": {"a": 1e-4, "b": 0.5, "c": -3},
        "folded": "two lines\n",
        "kept": "two\nlines\n",
        "nothing": None,
        "on": True,
        "1": "one",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: *x", r"line 2: an alias \(\*x\) is not allowed"),
        ("a: 1\nb: &x 3", r"line 2: an anchor \(&x\) is not allowed"),
        ("&x a: 1", "an anchor"),
        ("a: &x {b: 1}", "an anchor"),
        ("a: !!set {b}", "a tag"),
        ("a: !!python/object/apply:os.getcwd []", "a tag"),
        ("a: !!timestamp x", "a tag"),
        ("a: ! 3", "a tag"),
        ("a: 1\nb: 2\na: 3", "line 3: 'a' is named twice"),
        ("a: {b: 1, b: 2}", "'b' is named twice"),
        ("[1]: 2", "a name must be a text"),
        ("? {a: 1}\n: 2", "a name must be a text"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins"),
        ("a: .inf", "not finite"),
        ("a: .NaN", "not finite"),
        ("a: 1e999", "too large"),
        ("a: " + "9" * 5000, "more than 40 digits"),
        ('a: "\\e[31m"', "not seen"),
        ('a: "\\ud800"', "not seen"),
        ('"a\\0": 1', "not seen"),
        ("a: \x07", "cannot be read as YAML"),
        ("a: [", "line 1, cannot be read as YAML"),
        ("a: b: c", "line 1, cannot be read as YAML"),
        ("[" * 1000, "nested deeper than 32"),
        ("- " * 1000, "nested deeper than 32"),
        ("\n".join(" " * i + "a:" for i in range(60)), "line 33: .* nested deeper than 32"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_yaml(text, "a text")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


@pytest.mark.parametrize("piece", ["[", "{a: ", "- ", "? ", "{? ", "[a, "])
def test_no_depth_exhausts_the_stack(piece: str) -> None:
    """PyYAML's parser keeps a list of states and does not call itself; nor do we, so deep."""
    with pytest.raises(ConfigError):
        parse_yaml(piece * (MOST_BYTES // len(piece)), "my.yaml")


def test_aliases_cost_nothing() -> None:
    """A few hundred bytes that PyYAML's loaders make gigabytes of, once they are shown."""
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        rows.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="anchor"):
            parse_yaml("\n".join(rows), "a text")
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-12", -12), ("+7", 7), ("007", 7), (".5", 0.5), ("1.", 1.0), ("1e-4", 1e-4),
        ("1E+3", 1000.0), ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
        ("yes", "yes"), ("Off", "Off"), ("y", "y"), ("0x1F", "0x1F"), ("1_000", "1_000"),
        ("12:30", "12:30"), ("tRue", "tRue"), ("1e", "1e"), (".", "."), ("-", "-"), ("٣", "٣"),
    ],
)  # fmt: skip
def test_plain_scalars(text: str, value: object) -> None:
    assert scalar(text) == value and type(scalar(text)) is type(value)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    data = {"lesions": ["NO", "1e-4"], "steps": 3, "text": "ü"}
    write_yaml(data, path)
    assert read_yaml(path) == data
    # other readers of YAML take it for the same
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == data
    with pytest.raises(ConfigError, match=r"run\.yaml is larger than 9 bytes"):
        read_yaml(path, 9)
    path.write_text("- a list")
    with pytest.raises(ConfigError, match="must have named fields"):
        read_yaml(path)
    path.write_text("a: 1\nb: *c")
    with pytest.raises(ConfigError, match=r"run\.yaml, line 2: an alias"):
        read_yaml(path)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        extras, "find_spec", lambda name: None if name == "yaml" else find_spec(name)
    )
    with pytest.raises(MissingExtraError, match=r"yaml .*tp-drseg\[train\]"):
        read_yaml(tmp_path / "run.yaml")
    with pytest.raises(MissingExtraError):
        write_yaml({}, tmp_path / "run.yaml")
