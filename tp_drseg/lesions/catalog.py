"""The lesions that a model knows, found by any of their names.

An *explicit description* says what a lesion looks like in a colour fundus photograph
("yellowish-white deposits with sharp margins"); it takes the place of the class name as the text
prompt. The catalog in `lesions.json` gives each description with the work it was drawn from.
This module needs no torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources

from tp_drseg._runtime.json_text import parse_json
from tp_drseg.errors import ConfigError, LesionError
from tp_drseg.lesions.lesion import Lesion, fold
from tp_drseg.lesions.plain import lesions_of, plain_of

MOST_LESIONS = 256
_SHOWN = 60


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
        lesions = self.lesions
        if not isinstance(lesions, tuple) or not all(isinstance(x, Lesion) for x in lesions):
            raise LesionError("A lesion catalog needs a tuple of Lesion.")
        if not 0 < len(lesions) <= MOST_LESIONS:
            raise LesionError(
                f"A lesion catalog needs at least one lesion and holds at most {MOST_LESIONS}, got "
                f"{len(lesions)}."
            )
        index: dict[str, int] = {}
        for position, lesion in enumerate(lesions):
            for spelling in (lesion.name, lesion.abbreviation, *lesion.aliases):
                other = index.setdefault(fold(spelling), position)
                if other != position:
                    raise LesionError(
                        f"{spelling!r} of the lesion {lesion.name!r} already stands for "
                        f"{lesions[other].name!r}. Rename it or leave it out."
                    )
        object.__setattr__(self, "_index", index)

    @classmethod
    def default(cls) -> LesionCatalog:
        """Return the packaged catalog: microaneurysm, haemorrhage, hard and soft exudate."""
        text = (resources.files("tp_drseg.lesions") / "lesions.json").read_text(encoding="utf-8")
        data = parse_json(text, "lesions.json")
        if not isinstance(data, Mapping):
            raise ConfigError("lesions.json of this package is damaged. Install it again.")
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> LesionCatalog:
        """Return the catalog of plain data laid out as in `lesions.json`.

        Args:
            data: `sources` maps keys to citations; `lesions` lists mappings with `name`,
                `abbreviation`, `descriptions` and, if any, `aliases` and `held_out_descriptions`.
                A description has a `text` and, if any, the key of its `source`.

        Raises:
            ConfigError: A field is missing, unknown or of the wrong type; the message names it.
            LesionError: The data is well formed but a lesion in it is not valid.
        """
        return cls(lesions_of(data))

    def to_dict(self) -> dict[str, object]:
        """Return plain data from which `from_dict` makes an equal catalog."""
        return plain_of(self.lesions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the lesions, in order."""
        return tuple(lesion.name for lesion in self.lesions)

    def index(self, name: str) -> int:
        """Return the position of a lesion in the catalog, which is that of its class channels.

        Args:
            name: Name, abbreviation or alias; case, plural, hyphens, spaces and underscores do
                not matter.

        Raises:
            LesionError: No lesion goes by that name; the message lists those that are known.
        """
        if not isinstance(name, str):
            raise LesionError(f"The name of a lesion must be a text, got a {type(name).__name__}.")
        position = self._index.get(fold(name))
        if position is None:
            raise LesionError(self._unknown(name))
        return position

    def resolve(self, name: str) -> Lesion:
        """Return the lesion that goes by a name, abbreviation or alias; as `index`."""
        return self.lesions[self.index(name)]

    def add(self, lesion: Lesion) -> LesionCatalog:
        """Return a catalog with one more lesion at its end.

        Raises:
            LesionError: One of its names already stands for a lesion of this catalog.
        """
        return LesionCatalog((*self.lesions, lesion))

    def __iter__(self) -> Iterator[Lesion]:
        return iter(self.lesions)

    def __len__(self) -> int:
        return len(self.lesions)

    def __contains__(self, item: object) -> bool:
        return fold(item) in self._index if isinstance(item, str) else item in self.lesions

    def __getitem__(self, name: str) -> Lesion:
        return self.resolve(name)

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(fold(name[:_SHOWN]), self._index, n=3, cutoff=0.7)
        meant = dict.fromkeys(repr(self.lesions[self._index[key]].name) for key in close)
        known = ", ".join(f"{lesion.name} ({lesion.abbreviation})" for lesion in self.lesions)
        return (
            f"Unknown lesion {name[:_SHOWN]!r}."
            + (f" Did you mean {' or '.join(meant)}?" if meant else "")
            + f" Known lesions: {known}. To segment another lesion, teach it to a model with a "
            "description and masks (`tp-drseg finetune --lesions my.yaml`); for the prior of any "
            "text, use `model.prior_map(image, text)`."
        )
