"""Catalogs as plain data, as JSON and YAML hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from tp_drseg.errors import ConfigError
from tp_drseg.lesions.lesion import Description, Lesion

T = TypeVar("T")
_KINDS: Mapping[type, str] = {str: "a text", list: "a list", dict: "a mapping of names"}


def lesions_of(data: Mapping[str, object]) -> tuple[Lesion, ...]:
    """Return the lesions of plain data, see `LesionCatalog.from_dict`.

    Raises:
        ConfigError: A field is missing, unknown or of the wrong type; the message names it.
        LesionError: The data is well formed but a lesion in it is not valid.
    """
    fields = _fields(data, "The catalog", required={"lesions"}, optional={"sources"})
    sources = {
        str(key): _typed(citation, str, f"sources.{key}")
        for key, citation in _typed(fields.get("sources", {}), dict, "sources").items()
    }
    entries = _typed(fields["lesions"], list, "lesions")
    return tuple(_lesion(entry, f"lesions[{i}]", sources) for i, entry in enumerate(entries))


def plain_of(lesions: tuple[Lesion, ...]) -> dict[str, object]:
    """Return the plain data from which `lesions_of` makes equal lesions."""
    keys: dict[str, str] = {}  # citation -> key

    def rows(descriptions: tuple[Description, ...]) -> list[dict[str, str]]:
        return [
            {"text": d.text, "source": keys.setdefault(d.source, str(len(keys) + 1))}
            if d.source
            else {"text": d.text}
            for d in descriptions
        ]

    entries = [
        {
            "name": lesion.name,
            "abbreviation": lesion.abbreviation,
            "aliases": list(lesion.aliases),
            "descriptions": rows(lesion.descriptions),
            "held_out_descriptions": rows(lesion.held_out),
        }
        for lesion in lesions
    ]
    return {"sources": {key: source for source, key in keys.items()}, "lesions": entries}


def _lesion(entry: object, where: str, sources: Mapping[str, str]) -> Lesion:
    fields = _fields(
        entry,
        where,
        required={"name", "abbreviation", "descriptions"},
        optional={"aliases", "held_out_descriptions"},
    )

    def descriptions(key: str) -> tuple[Description, ...]:
        rows = _typed(fields.get(key, []), list, f"{where}.{key}")
        return tuple(
            _description(row, f"{where}.{key}[{i}]", sources) for i, row in enumerate(rows)
        )

    aliases = _typed(fields.get("aliases", []), list, f"{where}.aliases")
    return Lesion(
        name=_typed(fields["name"], str, f"{where}.name"),
        abbreviation=_typed(fields["abbreviation"], str, f"{where}.abbreviation"),
        aliases=tuple(_typed(a, str, f"{where}.aliases[{i}]") for i, a in enumerate(aliases)),
        descriptions=descriptions("descriptions"),
        held_out=descriptions("held_out_descriptions"),
    )


def _description(row: object, where: str, sources: Mapping[str, str]) -> Description:
    fields = _fields(row, where, required={"text"}, optional={"source"})
    text = _typed(fields["text"], str, f"{where}.text")
    if "source" not in fields:
        return Description(text)
    key = _typed(fields["source"], str, f"{where}.source")
    if key not in sources:
        raise ConfigError(f"{where}.source: {_short(key)} is not under sources. Add its citation.")
    return Description(text, sources[key])


def _fields(
    data: object, where: str, required: set[str], optional: set[str]
) -> Mapping[str, object]:
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where} must be a mapping of names, got {_short(data)}.")
    if missing := required - data.keys():
        raise ConfigError(f"{where} lacks {', '.join(sorted(missing))}.")
    if unknown := data.keys() - required - optional:
        raise ConfigError(
            f"{where} has unknown fields: {', '.join(sorted(map(_short, unknown))[:8])}. It may "
            f"have {', '.join(sorted(required | optional))}."
        )
    return data


def _typed(value: object, kind: type[T], where: str) -> T:
    if isinstance(value, kind):
        return value
    quotes = " Put it in quotes." if kind is str and not isinstance(value, (list, dict)) else ""
    raise ConfigError(f"{where} must be {_KINDS[kind]}, got {_short(value)}.{quotes}")


def _short(value: object) -> str:
    """Return a value for a message, its beginning where it is long."""
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__}"
    return repr(value[:60] if isinstance(value, str) else value)[:80]
