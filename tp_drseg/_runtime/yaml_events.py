"""Plain data from YAML: texts, numbers, lists and mappings, and nothing that refers or runs.

PyYAML parses; what its events mean is decided here, since its loaders build what aliases multiply,
take ON and NO for truth values and 1e-4 for a text (YAML 1.1), and keep the last of two equal names
in silence. Plain scalars are read as in YAML 1.2's core schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import yaml

from tp_drseg._runtime.json_text import DEEPEST
from tp_drseg._runtime.text import visible
from tp_drseg.errors import ConfigError

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 40


def parse_yaml(text: str, where: str) -> object:
    """Return what a YAML text holds: `dict`, `list`, `str`, `int`, `float`, `bool` or `None`.

    Names in a mapping are always texts.

    Args:
        text: The YAML, one document.
        where: What the text is, at the beginning of messages.

    Raises:
        ConfigError: The text is no YAML, has an anchor, alias or tag, names a key twice, holds a
            number that is not finite or a character that is not seen, or is nested deeper than
            `DEEPEST` levels; the line is named.

    Example:
        >>> parse_yaml("abbreviation: NO" + chr(10) + "rate: 1e-4", "my.yaml")
        {'abbreviation': 'NO', 'rate': 0.0001}
    """
    try:
        return _Builder(where).build(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1},"
        raise ConfigError(f"{where}{line} cannot be read as YAML: {error.problem}.") from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{where} cannot be read as YAML: {reason}.") from None


def scalar(text: str) -> str | int | float | bool | None:
    """Return what a plain scalar stands for in YAML 1.2's core schema.

    Raises:
        ValueError: It is a number that is too long or not finite.

    Example:
        >>> [scalar(text) for text in ("12", "1e-4", "no", "true", "~", "2026-01-31")]
        [12, 0.0001, 'no', True, None, '2026-01-31']
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("the number is not finite")
    if not _NUMBER.fullmatch(text):
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"the number has more than {_LONGEST_NUMBER} digits")
    if _WHOLE.fullmatch(text):
        return int(text)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("the number is too large")
    return value


class _Builder:
    """Makes plain data of one document's events, and notes where each stands."""

    def __init__(self, where: str) -> None:
        self.where, self.line, self.documents = where, 0, 0

    def build(self, events: Iterator[yaml.Event]) -> object:
        found: list[object] = []
        for event in events:
            self._note(event)
            if isinstance(event, yaml.DocumentStartEvent):
                if found:
                    raise self._refused("a second document begins; a file holds one")
                found.append(self._value(self._next(events), events, DEEPEST))
        return found[0] if found else None

    def _next(self, events: Iterator[yaml.Event]) -> yaml.Event:
        event = next(events)
        self._note(event)
        return event

    def _note(self, event: yaml.Event) -> None:
        if event.start_mark is not None:
            self.line = event.start_mark.line + 1

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], levels: int) -> object:
        if isinstance(event, yaml.AliasEvent):
            raise self._refused(f"an alias (*{event.anchor}) is not allowed; write the value out")
        if anchor := getattr(event, "anchor", None):
            raise self._refused(f"an anchor (&{anchor}) is not allowed; leave it out")
        if tag := getattr(event, "tag", None):
            raise self._refused(f"a tag ({tag}) is not allowed; leave it out")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if levels == 0:
            raise self._refused(f"the data are nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(events, levels - 1)
        return self._mapping(events, levels - 1)

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        if visible(text := event.value.replace("\n", "").replace("\t", "")) != text:
            raise self._refused("a text holds a character that is not seen; leave it out")
        if not event.implicit[0]:  # in quotes, or a block
            return event.value
        try:
            return scalar(event.value)
        except ValueError as error:
            raise self._refused(str(error)) from None

    def _list(self, events: Iterator[yaml.Event], levels: int) -> list[object]:
        found = []
        while not isinstance(event := self._next(events), yaml.SequenceEndEvent):
            found.append(self._value(event, events, levels))
        return found

    def _mapping(self, events: Iterator[yaml.Event], levels: int) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := self._next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refused("a name must be a text")
            self._value(event, events, levels)  # neither anchor nor tag
            name = event.value
            if name in found:
                raise self._refused(f"{name!r} is named twice; remove one")
            found[name] = self._value(self._next(events), events, levels)
        return found

    def _refused(self, why: str) -> ConfigError:
        return ConfigError(f"{self.where}, line {self.line}: {visible(why)[:200]}.")


def dump_yaml(data: Mapping[str, object]) -> str:
    """Return plain data as YAML, in the order given, from which `parse_yaml` makes the same."""
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False
    )


class _Dumper(yaml.SafeDumper):
    """Puts into quotes what one version of YAML or another takes for something else than a text."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    is_number = _NUMBER.fullmatch(text) is not None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if is_number else None)


_Dumper.add_representer(str, _text)
