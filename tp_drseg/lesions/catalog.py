"""The lesions that a model knows: names, spellings, and how each one looks, in words.

An *explicit description* says what a lesion looks like in a colour fundus photograph
("yellowish-white deposits with sharp margins"); it takes the place of the class name as the text
prompt. The catalog in ``lesions.json`` gives each description with the work it was drawn from.
This module needs no torch.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from tp_drseg.errors import ConfigError, LesionError

_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")  # spaces, underscores, hyphens and dashes


@dataclass(frozen=True)
class Description:
    """One sentence on how a lesion looks.

    Attributes:
        text: The description; not empty.
        source: Full citation of the work it was drawn from, or "" when none was given.

    Raises:
        LesionError: The text is empty, or a value is not a string.

    Example:
        >>> from tp_drseg import Description
        >>> Description("tiny round dark red dots").text
        'tiny round dark red dots'
    """

    text: str
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise LesionError(
                f"text of a description must be a non-empty string, got {self.text!r}"
            )
        if not isinstance(self.source, str):
            raise LesionError(f"source of {self.text!r} must be a string, got {self.source!r}")


@dataclass(frozen=True)
class Lesion:
    """One class of lesion.

    Attributes:
        name: The name that results carry, such as "hard exudate".
        abbreviation: Short name, such as "EX".
        aliases: Further names and spellings; plurals, case and hyphens need no entry.
        descriptions: What the explicit prior is made from; at least one.
        held_out: Descriptions kept out of all training, to measure how well the prior takes a
            wording that it has not seen. Never part of :attr:`texts`.

    Raises:
        LesionError: A field is empty or of the wrong type, or a description occurs twice.

    Example:
        >>> from tp_drseg import Description, Lesion
        >>> drusen = Lesion("drusen", "DR", (), (Description("pale yellow round spots"),))
        >>> drusen.texts
        ('pale yellow round spots',)
    """

    name: str
    abbreviation: str
    aliases: tuple[str, ...]
    descriptions: tuple[Description, ...]
    held_out: tuple[Description, ...] = ()

    def __post_init__(self) -> None:
        where = f"lesion {self.name!r}"
        for key in ("aliases", "descriptions", "held_out"):
            kind = str if key == "aliases" else Description
            values = getattr(self, key)
            if not isinstance(values, tuple) or not all(isinstance(v, kind) for v in values):
                raise LesionError(f"{where}: {key} must be a tuple of {kind.__name__}: {values!r}")
        for key, spelling in (
            ("name", self.name),
            ("abbreviation", self.abbreviation),
            *(("aliases", alias) for alias in self.aliases),
        ):
            if not isinstance(spelling, str) or not _fold(spelling):
                raise LesionError(f"{where}: {key} must not be empty, got {spelling!r}")
        if not self.descriptions:
            raise LesionError(f"{where}: descriptions is empty; give at least one")
        seen = set()
        for text in self.texts + self.held_out_texts:
            folded = " ".join(text.casefold().split())
            if folded in seen:
                raise LesionError(f"{where}: description {text!r} occurs twice; remove one")
            seen.add(folded)

    @property
    def file_label(self) -> str:
        """The abbreviation as it appears in file names: letters, digits, hyphens, underscores."""
        return re.sub(r"[^\w-]", "_", self.abbreviation)

    @property
    def texts(self) -> tuple[str, ...]:
        """Texts of the descriptions, in order; never a held-out one."""
        return tuple(description.text for description in self.descriptions)

    @property
    def held_out_texts(self) -> tuple[str, ...]:
        """Texts of the held-out descriptions, in order."""
        return tuple(description.text for description in self.held_out)


@dataclass(frozen=True)
class LesionCatalog:
    """An immutable, ordered set of lesions, found by any of their names.

    The position of a lesion is the position of its class channels in a model, so the order is part
    of a checkpoint.

    Attributes:
        lesions: The lesions in order; at least one, no name shared between two.

    Raises:
        LesionError: There is no lesion, or two lesions share a name, abbreviation or alias.

    Example:
        >>> from tp_drseg import LesionCatalog
        >>> catalog = LesionCatalog.default()
        >>> catalog.names
        ('microaneurysm', 'haemorrhage', 'hard exudate', 'soft exudate')
        >>> catalog.resolve("cotton-wool spots").abbreviation
        'SE'
    """

    lesions: tuple[Lesion, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lesions = tuple(self.lesions)
        if not lesions:
            raise LesionError("a lesion catalog needs at least one lesion")
        index: dict[str, int] = {}
        for position, lesion in enumerate(lesions):
            for spelling in (lesion.name, lesion.abbreviation, *lesion.aliases):
                other = index.setdefault(_fold(spelling), position)
                if other != position:
                    raise LesionError(
                        f"{spelling!r} of lesion {lesion.name!r} already stands for "
                        f"{lesions[other].name!r}; rename it or leave it out"
                    )
        object.__setattr__(self, "lesions", lesions)
        object.__setattr__(self, "_index", index)

    @classmethod
    def default(cls) -> LesionCatalog:
        """Return the packaged catalog: microaneurysm, haemorrhage, hard and soft exudate."""
        text = (resources.files("tp_drseg.lesions") / "lesions.json").read_text(encoding="utf-8")
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LesionCatalog:
        """Build a catalog from JSON data laid out as in ``lesions.json``.

        Args:
            data: ``sources`` maps keys to citations; ``lesions`` lists objects with ``name``,
                ``abbreviation``, ``descriptions`` and, if any, ``aliases`` and
                ``held_out_descriptions``. A description has a ``text`` and, if any, the key of its
                ``source``.

        Raises:
            ConfigError: A field is missing, unknown or of the wrong type; the message names it.
            LesionError: The data is well formed but a lesion in it is not valid.
        """
        _check_keys(data, "catalog", required={"lesions"}, optional={"sources"})
        sources = _typed(data.get("sources", {}), dict, "sources")
        for key, citation in sources.items():
            _typed(citation, str, f"sources.{key}")
        entries = _typed(data["lesions"], list, "lesions")
        return cls(
            tuple(_lesion(entry, f"lesions[{i}]", sources) for i, entry in enumerate(entries))
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON data from which :meth:`from_dict` builds an equal catalog."""
        keys: dict[str, str] = {}  # citation -> key

        def rows(descriptions: tuple[Description, ...]) -> list[dict[str, str]]:
            return [
                {"text": d.text, "source": keys.setdefault(d.source, str(len(keys) + 1))}
                if d.source
                else {"text": d.text}
                for d in descriptions
            ]

        lesions = [
            {
                "name": lesion.name,
                "abbreviation": lesion.abbreviation,
                "aliases": list(lesion.aliases),
                "descriptions": rows(lesion.descriptions),
                "held_out_descriptions": rows(lesion.held_out),
            }
            for lesion in self.lesions
        ]
        return {"sources": {key: source for source, key in keys.items()}, "lesions": lesions}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the lesions, in order."""
        return tuple(lesion.name for lesion in self.lesions)

    def index(self, name: str) -> int:
        """Position of a lesion in the catalog, which is that of its class channels.

        Args:
            name: Name, abbreviation or alias; case, plural, hyphens, spaces and underscores do
                not matter.

        Raises:
            LesionError: No lesion goes by that name; the message lists those that are known.
        """
        if not isinstance(name, str):
            raise LesionError(f"a lesion's name must be a string, got {name!r}")
        position = self._index.get(_fold(name))
        if position is None:
            raise LesionError(self._unknown(name))
        return position

    def resolve(self, name: str) -> Lesion:
        """Return the lesion that goes by a name, abbreviation or alias; as :meth:`index`."""
        return self.lesions[self.index(name)]

    def add(self, lesion: Lesion) -> LesionCatalog:
        """Return a new catalog with one more lesion at its end.

        Raises:
            LesionError: One of its names already stands for a lesion of this catalog.
        """
        return LesionCatalog((*self.lesions, lesion))

    def __iter__(self) -> Iterator[Lesion]:
        return iter(self.lesions)

    def __len__(self) -> int:
        return len(self.lesions)

    def __contains__(self, item: object) -> bool:
        return _fold(item) in self._index if isinstance(item, str) else item in self.lesions

    def __getitem__(self, name: str) -> Lesion:
        return self.resolve(name)

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(_fold(name), self._index, n=3, cutoff=0.7)
        meant = dict.fromkeys(repr(self.lesions[self._index[key]].name) for key in close)
        known = ", ".join(f"{lesion.name} ({lesion.abbreviation})" for lesion in self.lesions)
        return (
            f"unknown lesion {name!r}."
            + (f" Did you mean {' or '.join(meant)}?" if meant else "")
            + f" Known lesions: {known}. To segment another lesion, teach it to a model with a "
            "description and masks (`tp-drseg finetune --lesions my.yaml`); for the prior of any "
            "text, use `model.prior_map(image, text)`."
        )


def _fold(name: str) -> str:
    """Bring the spellings of one name together: case, separators and plural taken away."""
    joined = _SEPARATORS.sub("", name.casefold())
    if joined.endswith("ies"):
        return joined[:-3] + "y"
    return joined.rstrip("s") or joined


def _lesion(entry: Any, where: str, sources: dict[str, str]) -> Lesion:
    _check_keys(
        entry,
        where,
        required={"name", "abbreviation", "descriptions"},
        optional={"aliases", "held_out_descriptions"},
    )

    def descriptions(key: str) -> tuple[Description, ...]:
        rows = _typed(entry.get(key, []), list, f"{where}.{key}")
        return tuple(
            _description(row, f"{where}.{key}[{i}]", sources) for i, row in enumerate(rows)
        )

    aliases = _typed(entry.get("aliases", []), list, f"{where}.aliases")
    return Lesion(
        name=_typed(entry["name"], str, f"{where}.name"),
        abbreviation=_typed(entry["abbreviation"], str, f"{where}.abbreviation"),
        aliases=tuple(_typed(a, str, f"{where}.aliases[{i}]") for i, a in enumerate(aliases)),
        descriptions=descriptions("descriptions"),
        held_out=descriptions("held_out_descriptions"),
    )


def _description(row: Any, where: str, sources: dict[str, str]) -> Description:
    _check_keys(row, where, required={"text"}, optional={"source"})
    text = _typed(row["text"], str, f"{where}.text")
    if not text.strip():
        raise LesionError(f"{where}.text is empty")
    if "source" not in row:
        return Description(text)
    key = _typed(row["source"], str, f"{where}.source")
    if key not in sources:
        raise ConfigError(f"{where}.source: no {key!r} under sources; add its citation there")
    return Description(text, sources[key])


def _check_keys(data: Any, where: str, required: set[str], optional: set[str]) -> None:
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where} must be an object, got {data!r}")
    if missing := required - data.keys():
        raise ConfigError(f"{where} lacks {', '.join(sorted(missing))}")
    if unknown := data.keys() - required - optional:
        raise ConfigError(
            f"{where} has unknown {', '.join(sorted(map(str, unknown)))}; "
            f"it may have {', '.join(sorted(required | optional))}"
        )


def _typed(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise ConfigError(f"{where} must be a {kind.__name__}, got {value!r}")
    return value
