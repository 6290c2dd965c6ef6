"""Nested data made wrong: a value, a name more or less, a copy of another place."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator

Tree = None | bool | int | float | str | list["Tree"] | dict[str, "Tree"]
Path = tuple[str | int, ...]

_ODD: list[Tree] = [
    *(None, True, False, 0, -1, 1, 10**9, 10**30, -(10**9), 1.5, 1e308, math.nan, math.inf),
    *("", "x", "../x", "a/b\n", "\0", "\ud800", "é" * 1000, "1e999", "auto", "true", "=1+1"),
    "\x1b[2J",
]
_ODD += [[], {}, [1, "a"], [[]], {"x": 1}, {"": None}, [None] * 4, [10**6] * 4, [0, 0, 0, 0]]
_ODD += [[2**63], {"0": 0}, ["x"] * 5000]
_NAMES = ("x", "", "version", "lesions", "name", "VERSION", "__class__")
_LARGE = 5000


def mutate_tree(tree: Tree, rng: random.Random) -> Tree:
    """Return nested data with one place changed; what has no places becomes another value."""
    tree = copy.deepcopy(tree)
    paths = [path for path in _paths(tree) if path]
    if not paths:
        return copy.deepcopy(rng.choice(_ODD))
    path = rng.choice(paths)
    holder = _at(tree, path[:-1])
    what = rng.choice(["value", "value", "value", "drop", "add", "copy"])
    if what == "drop" and isinstance(holder, dict):
        del holder[str(path[-1])]
    elif what == "add" and isinstance(holder, dict):
        holder[rng.choice(_NAMES)] = copy.deepcopy(rng.choice(_ODD))
    elif what == "copy":
        other = copy.deepcopy(_at(tree, rng.choice(paths)))
        if len(repr(other)) < _LARGE:
            _set(holder, path[-1], other)
    else:
        _set(holder, path[-1], copy.deepcopy(rng.choice(_ODD)))
    return tree


def _paths(tree: Tree, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(tree, list):
        for index, inner in enumerate(tree):
            yield from _paths(inner, (*path, index))


def _at(tree: Tree, path: Path) -> Tree:
    for key in path:
        tree = tree[key]  # type: ignore[index]
    return tree


def _set(holder: Tree, key: str | int, value: Tree) -> None:
    assert isinstance(holder, (dict, list))
    holder[key] = value  # type: ignore[index]
