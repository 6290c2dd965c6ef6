"""What all configurations share: frozen, strict, and one kind of error on every path."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from tp_drseg.errors import ConfigError

_MOST_PROBLEMS = 8
_WORDS = (  # pydantic's wording, and this package's
    (r"^Input should be", "must be"),
    (r"a valid integer.*", "a whole number"),
    (r"a valid boolean.*", "true or false"),
    (r"a valid string", "a text"),
    (r"a valid number.*", "a number"),
    (r"a valid dictionary or instance of \w+|an object|a valid dictionary", "a mapping of names"),
    (r"a valid (tuple|array)", r"a \1"),
    (r"greater than or equal to (\S+)", r"\1 or more"),
    (r"less than or equal to (\S+)", r"\1 or less"),
    (r"greater than", "above"),
    (r"less than", "below"),
)


class FrozenConfig(BaseModel):
    """A configuration whose values are checked when it is made, and never change.

    What Python lets anybody do past that is not guarded: `object.__setattr__`, changing a mapping
    that a field holds, a pickle.

    Nothing is converted: a text is no number, a number no truth value, a list no tuple. Only JSON
    and YAML, which know no tuples, may give lists for them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _config_error(error, type(self)) from None

    # as pydantic marks its own: fields that are configurations are then checked in the mode and
    # place of the whole, and not each by a call of its own
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __setattr__(self, name: str, value: object) -> None:
        raise ConfigError(f"{type(self).__name__} does not change. Use replace for a copy.")

    def __delattr__(self, name: str) -> None:
        raise ConfigError(f"{type(self).__name__} does not change. Use replace for a copy.")

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """Return a configuration; unlike pydantic's, it checks the values.

        Raises:
            ConfigError: A field is missing, unknown or impossible; each is named.
        """
        return cls(**values)

    @classmethod
    def from_plain(cls, data: Mapping[str, object]) -> Self:
        """Return the configuration of plain data, as JSON and YAML hold it.

        Args:
            data: Mappings, lists, texts, numbers, truth values and None.

        Raises:
            ConfigError: A field is missing, unknown or impossible; each is named.
        """
        return cls.model_validate_json(json.dumps(data))

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate as pydantic does, with this package's errors.

        Raises:
            ConfigError: A field is missing, unknown or impossible; each is named.
        """
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise _config_error(error, cls) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Validate as pydantic does, with this package's errors.

        Raises:
            ConfigError: The text is no JSON, or a field is missing, unknown or impossible.
        """
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            raise _config_error(error, cls) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; unlike pydantic's, it checks what is changed."""
        return super().model_copy(deep=deep).replace(**(update or {}))

    def replace(self, **changes: object) -> Self:
        """Return a copy with some fields changed.

        A mapping given for a field that is itself a configuration changes fields of that one and
        keeps the others.

        Raises:
            ConfigError: A field is unknown or a value impossible; each is named.
        """
        return type(self).model_validate(self._merged(changes))

    def _merged(self, changes: Mapping[str, object]) -> dict[str, object]:
        values: dict[str, object] = {name: getattr(self, name) for name in type(self).model_fields}
        for name, value in changes.items():
            own = values.get(name)
            if isinstance(own, FrozenConfig) and isinstance(value, Mapping):
                value = own._merged(value)
            values[name] = value
        return values


def shown(value: object) -> str:
    """Return a value for a message: its beginning where it is long, escaped, on one line."""
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = shortener.maxlong = 60
    shortener.maxlevel = 2
    try:
        return shortener.repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a very large {type(value).__name__}"


def _config_error(error: ValidationError, cls: type[BaseModel]) -> ConfigError:
    problems = [_sentence(problem, cls) for problem in error.errors(include_url=False)]
    more = len(problems) - _MOST_PROBLEMS
    ending = [f"There are {more} more problems."] if more > 0 else []
    return ConfigError(" ".join([*problems[:_MOST_PROBLEMS], *ending]))


def _sentence(problem: Any, cls: type[BaseModel]) -> str:
    kind, place, text = problem["type"], problem["loc"], problem["msg"]
    name = ".".join(_part(part) for part in place)
    if kind == "missing":
        return f"{name} is missing."
    if kind == "extra_forbidden":
        known = ", ".join(_fields(cls, place[:-1]))
        return f"{name} is not a field" + (f"; there are {known}." if known else ".")
    if kind == "value_error":  # a check of ours, which says all by itself
        text = str(problem["ctx"]["error"])
        return f"{name}{' ' if text.startswith('must ') else '.'}{text}" if name else text
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text)
    return f"{name or 'The configuration'} {text}, got {shown(problem['input'])}."


def _part(part: str | int) -> str:
    text = str(part)
    return text if text.isprintable() and len(text) <= 60 else shown(text)


def _fields(cls: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    """Return the fields of the configuration that stands at a place inside another."""
    kind: Any = cls
    for part in place:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:  # an entry of a mapping or tuple
            kind = next((arg for arg in get_args(kind) if isinstance(arg, type)
                         and issubclass(arg, BaseModel)), None)  # fmt: skip
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
