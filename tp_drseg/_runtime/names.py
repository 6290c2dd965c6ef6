"""Names of files, which systems store in different ways, compared as people do."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def name_key(name: str) -> str:
    """Return what two names have in common that differ by case or Unicode form alone.

    macOS writes ``é`` as two characters where others write one, and neither it nor Windows tells
    upper case from lower.

    Args:
        name: Of a file or a folder, with or without its suffix.

    Returns:
        A key to compare by; not a name to show.
    """
    # Taken apart first: the accents of some letters are folded only then.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


class NameMap(Mapping[str, T]):
    """A mapping from names that are looked up by their :func:`name_key`; it keeps their order.

    Args:
        items: Names and what belongs to them; of names with one key the last counts.
    """

    def __init__(self, items: Iterable[tuple[str, T]] = ()) -> None:
        self._items = {name_key(name): (name, value) for name, value in items}

    def __getitem__(self, name: str) -> T:
        return self._items[name_key(name)][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._items.values())!r})"

    def without(self, names: Iterable[str]) -> NameMap[T]:
        """Return a copy that lacks some names, whether it has them or not."""
        gone = {name_key(name) for name in names}
        return NameMap(item for key, item in self._items.items() if key not in gone)
