"""The examples of docstrings run, each in an empty folder but for `examples`."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import tp_drseg

EXAMPLES = Path(__file__).parents[1] / "examples"
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> Iterator[doctest.DocTest]:
    """Every docstring of the package that has an example."""
    finder = doctest.DocTestFinder()
    for module in pkgutil.walk_packages(tp_drseg.__path__, "tp_drseg."):
        if not module.name.endswith("__main__"):
            found = finder.find(import_module(module.name), module.name)
            yield from (docstring for docstring in found if docstring.examples)


@pytest.mark.usefixtures("one_tile")
@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_example_runs(
    example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    said: list[str] = []
    runner.run(example, out=said.append)
    assert not runner.summarize(verbose=False).failed, "".join(said)


def test_what_is_exported_has_an_example() -> None:
    exported = {name: getattr(tp_drseg, name) for name in tp_drseg.__all__}
    without = [
        name
        for name, value in exported.items()
        if ">>> " not in (value.__doc__ or "")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and not (inspect.isclass(value) and issubclass(value, (Exception, Warning)))
    ]
    assert without == []
