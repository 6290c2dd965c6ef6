"""What stands in several files about versions says the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements() -> list[Requirement]:
    """What the package and its extras need, but for the tools of a release."""
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"]]
    lines += [line for name, own in extras.items() if name != "release" for line in own]
    found = [Requirement(line) for line in lines]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def test_constraints_keep_what_pyproject_asks() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    known = {canonicalize_name(name): version for name, version in pins.items()}
    assert len(known) == len(pins) > 20
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        assert name in known, f"constraints.txt lacks {name}"
        assert known[name] in requirement.specifier, f"{name} {known[name]}: {requirement}"


def test_every_core_dependency_has_a_floor() -> None:
    for line in PROJECT["dependencies"]:
        floors = [spec for spec in Requirement(line).specifier if spec.operator == ">="]
        assert len(floors) == 1, line


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["preferred-citation"]["title"] in " ".join(
        (ROOT / "README.md").read_text(encoding="utf-8").replace(">", "").split()
    )
