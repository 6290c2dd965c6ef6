"""JSON from outside: bounded in size and depth, without duplicates, NaN or surprises."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tp_drseg._runtime.text_file import read_text
from tp_drseg.errors import ConfigError, TPDRSegError

MOST_BYTES = 32 << 20
DEEPEST = 32
"""How many levels plain data from outside may be nested, in JSON and in YAML."""


def read_json(
    path: Path, limit: int = MOST_BYTES, *, error: type[TPDRSegError] = ConfigError
) -> object:
    """Return what a JSON file holds, see `parse_json`.

    Args:
        path: The file, in UTF-8.
        limit: The most bytes that it may have.
        error: The class of what is raised.

    Raises:
        TPDRSegError: The file is missing, too large or no JSON; of the class `error`.
    """
    return parse_json(read_text(path, limit, error=error), str(path), error=error)


def parse_json(text: str, where: str, *, error: type[TPDRSegError] = ConfigError) -> object:
    """Return what a JSON text holds: `dict`, `list`, `str`, `int`, `float`, `bool` or `None`.

    Args:
        text: The JSON.
        where: What the text is, at the beginning of messages.
        error: The class of what is raised.

    Raises:
        TPDRSegError: The text is no JSON, names a key twice, holds NaN, an infinity, half of a
            surrogate pair or a number of thousands of digits, or is nested deeper than `DEEPEST`
            levels; of the class `error`.

    Example:
        >>> parse_json('{"steps": 3}', "run.json")
        {'steps': 3}
    """
    try:
        data: object = json.loads(text, object_pairs_hook=_named_once, parse_constant=_no_constant)
        _check(data)
    except _RefusedError as cause:
        raise error(f"{where} {cause}.") from None
    except RecursionError:
        raise error(f"{where} is nested deeper than {DEEPEST} levels.") from None
    except json.JSONDecodeError as cause:
        raise error(
            f"{where} is not valid JSON: {cause.msg} in line {cause.lineno}, column {cause.colno}."
        ) from None
    except ValueError:  # Python's limit on the digits of an integer
        raise error(f"{where} holds a number of thousands of digits.") from None
    return data


class _RefusedError(Exception):
    """What is wrong with a text that `json` itself would take."""


def _named_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise _RefusedError(f"names {twice[:60]!r} twice")
    return found


def _no_constant(word: str) -> object:
    raise _RefusedError(f"holds {word}, which is not JSON")


def _check(data: object) -> None:
    level: list[object] = [data]
    for depth in range(DEEPEST + 1):
        if depth == DEEPEST and any(isinstance(item, (dict, list)) for item in level):
            raise _RefusedError(f"is nested deeper than {DEEPEST} levels")
        level = [inner for item in level for inner in _inside(item)]


def _inside(item: object) -> Iterator[object]:
    if isinstance(item, dict):
        yield from item
        yield from item.values()
    elif isinstance(item, list):
        yield from item
    elif isinstance(item, str):
        if any("\ud800" <= letter <= "\udfff" for letter in item):
            raise _RefusedError("holds half of a surrogate pair, which is no text")
    elif isinstance(item, float) and item in (float("inf"), float("-inf")):
        raise _RefusedError("holds a number too large for a float")
