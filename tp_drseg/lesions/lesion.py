"""One lesion: its names, and how it looks in words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tp_drseg._runtime.text import visible
from tp_drseg.errors import LesionError

MOST_DESCRIPTIONS = 1000
_MOST_ALIASES = 100
_LONGEST_NAME = 100
_LONGEST_TEXT = 2000  # CLIP reads some 75 tokens of it
_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")  # spaces, underscores, hyphens and dashes


@dataclass(frozen=True)
class Description:
    """One sentence on how a lesion looks.

    Attributes:
        text: The description: one line, not empty.
        source: Full citation of the work it was drawn from, or "" when none was given.

    Raises:
        LesionError: The text is empty, or a value is no text, too long, or holds line ends or
            other characters that are not seen.

    Example:
        >>> from tp_drseg import Description
        >>> Description("tiny round dark red dots").text
        'tiny round dark red dots'
    """

    text: str
    source: str = ""

    def __post_init__(self) -> None:
        _check_text("The text of a description", self.text, _LONGEST_TEXT)
        if not self.text.strip():
            raise LesionError("The text of a description is empty. Say how the lesion looks.")
        _check_text("The source of a description", self.source, _LONGEST_TEXT)


@dataclass(frozen=True)
class Lesion:
    """One class of lesion.

    Attributes:
        name: The name that results carry, such as "hard exudate".
        abbreviation: Short name, such as "EX".
        aliases: Further names and spellings; plurals, case and hyphens need no entry.
        descriptions: What the explicit prior is made from; at least one.
        held_out: Descriptions kept out of all training, to measure how well the prior takes a
            wording that it has not seen. Never part of `texts`.

    Raises:
        LesionError: A field is empty, too long, of the wrong type or holds characters that are not
            seen, or a description occurs twice.

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
        self._check_names()
        where = f"The lesion {self.name!r}"
        for key in ("descriptions", "held_out"):
            values = getattr(self, key)
            if not isinstance(values, tuple) or not all(isinstance(v, Description) for v in values):
                raise LesionError(f"{where} needs a tuple of Description as {key}.")
            if len(values) > MOST_DESCRIPTIONS:
                raise LesionError(
                    f"{where} has more than {MOST_DESCRIPTIONS} {key}. Leave some out."
                )
        if not self.descriptions:
            raise LesionError(f"{where} has no descriptions. Give at least one.")
        seen = set()
        for text in self.texts + self.held_out_texts:
            folded = " ".join(text.casefold().split())
            if folded in seen:
                raise LesionError(f"{where} has the description {text!r} twice. Remove one.")
            seen.add(folded)

    def _check_names(self) -> None:
        _check_name("The name of a lesion", self.name)
        where = f"of the lesion {self.name!r}"
        _check_name(f"The abbreviation {where}", self.abbreviation)
        if not isinstance(self.aliases, tuple):
            raise LesionError(f"The aliases {where} must be a tuple of texts.")
        if len(self.aliases) > _MOST_ALIASES:
            raise LesionError(
                f"There are more than {_MOST_ALIASES} aliases {where}. Leave some out."
            )
        for alias in self.aliases:
            _check_name(f"An alias {where}", alias)

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


def fold(name: str) -> str:
    """Bring the spellings of one name together: case, separators and plural taken away.

    Example:
        >>> fold("Hard_Exudates") == fold("hard exudate")
        True
    """
    joined = _SEPARATORS.sub("", name.casefold())
    if joined.endswith("ies"):
        return joined[:-3] + "y"
    return joined.rstrip("s") or joined


def _check_name(what: str, name: str) -> None:
    _check_text(what, name, _LONGEST_NAME)
    if not fold(name):
        raise LesionError(f"{what} is empty. Give it letters.")


def _check_text(what: str, text: str, longest: int) -> None:
    if not isinstance(text, str):
        raise LesionError(f"{what} must be a text, got a {type(text).__name__}.")
    if len(text) > longest:
        raise LesionError(f"{what} has {len(text):,} characters, and may have {longest:,}.")
    if visible(text) != text:
        raise LesionError(f"{what} holds a character that is not seen: '{visible(text)}'.")
