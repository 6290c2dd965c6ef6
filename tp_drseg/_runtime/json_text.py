"""JSON from outside: bounded in size and depth, without duplicates, NaN or surprises."""

from __future__ import annotations

import json
from pathlib import Path

from tp_drseg.errors import ConfigError, TPDRSegError

MOST_BYTES = 32 << 20
_DEEPEST = 32


def read_json(
    path: Path, limit: int = MOST_BYTES, *, error: type[TPDRSegError] = ConfigError
) -> object:
    """Return what a JSON file holds.

    Args:
        path: The file, in UTF-8.
        limit: The most bytes that it may have.
        error: The class of what is raised.

    Raises:
        TPDRSegError: The file is missing, too large or no JSON; of the class `error`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise error(f"{path} is larger than {limit:,} bytes, the most that is read.")
        text = content.decode("utf-8")
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror or cause}.") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{path} is not UTF-8: {cause.reason} at byte {cause.start}.") from cause
    return parse_json(text, str(path), error=error)


def parse_json(text: str, where: str, *, error: type[TPDRSegError] = ConfigError) -> object:
    """Return what a JSON text holds: `dict`, `list`, `str`, `int`, `float`, `bool` or `None`.

    Args:
        text: The JSON.
        where: What the text is, at the beginning of messages.
        error: The class of what is raised.

    Raises:
        TPDRSegError: The text is no JSON, names a key twice, holds NaN, an infinity or a number of
            thousands of digits, or is nested deeper than 32 levels; of the class `error`.

    Example:
        >>> parse_json('{"steps": 3}', "run.json")
        {'steps': 3}
    """

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise _RefusedError(f"names {twice[:60]!r} twice")
        return found

    def refuse(word: str) -> object:
        raise _RefusedError(f"holds {word}, which is not JSON")

    try:
        data: object = json.loads(text, object_pairs_hook=once, parse_constant=refuse)
        _check_depth(data)
    except _RefusedError as cause:
        raise error(f"{where} {cause}.") from None
    except RecursionError:
        raise error(f"{where} is nested deeper than {_DEEPEST} levels.") from None
    except json.JSONDecodeError as cause:
        raise error(
            f"{where} is not valid JSON: {cause.msg} in line {cause.lineno}, column {cause.colno}."
        ) from None
    except ValueError:  # Python's limit on the digits of an integer
        raise error(f"{where} holds a number of thousands of digits.") from None
    return data


class _RefusedError(Exception):
    """What is wrong with a text that `json` itself would take."""


def _check_depth(data: object) -> None:
    level: list[object] = [data]
    for _ in range(_DEEPEST + 1):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
            elif isinstance(item, float) and item in (float("inf"), float("-inf")):
                raise _RefusedError("holds a number too large for a float")
        if not inner:
            return
        level = inner
    raise _RefusedError(f"is nested deeper than {_DEEPEST} levels")
