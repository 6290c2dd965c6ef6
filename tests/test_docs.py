"""The papers say what is there: links, code, commands and options."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tp_drseg.cli import app
from tp_drseg.config.base import FrozenConfig

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tp_drseg"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```([\w{}-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM: Any = typer.main.get_command(app)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language; shell blocks have none."""
    return [body for name, body in FENCE.findall(page.read_text()) if name == language]


def commands(page: Path) -> list[list[str]]:
    """The words after `tp-drseg` on each line of a shell block and in each inline code."""
    text = page.read_text()
    lines = [line for block in blocks(page, "") for line in block.splitlines()]
    lines += re.findall(r"`(tp-drseg[^`]*)`", FENCE.sub("", text))
    words = [shlex.split(line.strip(), comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["tp-drseg"]]


def options(command: Any) -> set[str]:
    help_options = set(PROGRAM.context_settings["help_option_names"])
    return {name for p in command.params for name in p.opts if name.startswith("-")} | help_options


def section(page: Path, title: str) -> str:
    return re.split(rf"^## {re.escape(title)}$", page.read_text(), flags=re.MULTILINE)[1].split(
        "\n## "
    )[0]


def anchors(page: Path) -> set[str]:
    """Where a link into a page may lead, as GitHub names its headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.is_file(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(linked), f"{page.name}: no heading for {target}"


def python_blocks(page: Path) -> list[tuple[str, str]]:
    """Python blocks with the reason why one is not run, which stands in a comment before it."""
    found = re.findall(
        r"(?:^<!-- not run: ([^\n]*) -->\n)?^```python\n(.*?)^```$",
        page.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    return [(body, reason) for reason, body in found]


WITH_PYTHON = [page for page in PAGES if not all(reason for _, reason in python_blocks(page))]


@pytest.mark.usefixtures("one_tile")
@pytest.mark.filterwarnings("default")  # a reader sees them, and nothing ends
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_python_blocks_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of a page run one after the other, as a reader would, where the examples are."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for name, example in (("fundus", "retina_with_lesions"), ("healthy", "retina")):
        shutil.copy(ROOT / "examples" / f"{example}.jpg", tmp_path / f"{name}.jpg")
    for number in range(2):  # an annotated data set of one's own, and a model of one's own
        for kind, picture in (("images", "retina_with_lesions.jpg"), ("masks", "")):
            source = ROOT / "examples" / ("masks" if kind == "masks" else "")
            for file in source.rglob(picture or "*.png"):
                copy = tmp_path / "my-photographs" / kind / file.relative_to(source)
                copy = copy.with_stem(f"eye{number}")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copy)
    shutil.copytree(PACKAGE / "weights", tmp_path / "runs" / "mine" / "model")
    (tmp_path / "healthy").mkdir()
    shutil.copy(ROOT / "examples" / "retina.jpg", tmp_path / "healthy")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__docs__"}
    for number, (body, reason) in enumerate(python_blocks(page), 1):
        code = compile(body, f"{page.name}, Python block {number}", "exec")
        if not reason:
            exec(code, names)


def test_blocks_that_are_not_run_say_why() -> None:
    reasons = [reason for page in PAGES for _, reason in python_blocks(page) if reason]
    assert reasons and all(len(reason) > 10 for reason in reasons)


@every_page
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in commands(page):
        name = words[0] if words and not words[0].startswith("-") else None
        assert name is None or name in PROGRAM.commands, f"tp-drseg {shlex.join(words)}"
        known = options(PROGRAM if name is None else PROGRAM.commands[name])
        used = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert used <= known, f"tp-drseg {shlex.join(words)}: {sorted(used - known)}"


def test_commands_are_found_in_the_pages() -> None:
    assert {words[0] for page in PAGES for words in commands(page) if words} >= set(
        PROGRAM.commands
    )


@pytest.mark.parametrize("name", sorted(PROGRAM.commands))
def test_command_line_page_names_just_the_options_that_a_command_has(name: str) -> None:
    text = section(ROOT / "docs" / "command-line.md", f"tp-drseg {name}")
    rows = re.findall(r"^\| `(--[\w-]+)", text, re.MULTILINE)
    shared = re.search(r"^Shared options: (.*)\.$", text, re.MULTILINE)
    assert shared, f"no line on the shared options of {name}"
    named = rows + re.findall(r"--[\w-]+", shared[1])
    assert sorted(named) == sorted(o for o in options(PROGRAM.commands[name]) if o[:2] == "--")


def defaults(kind: Any) -> dict[str, Any]:
    """Names and defaults of a configuration's fields, or of a function's keyword arguments."""
    if isinstance(kind, type) and issubclass(kind, FrozenConfig):
        return {
            name: field.get_default(call_default_factory=True)
            for name, field in kind.model_fields.items()
            if not field.is_required() and name != "changes"
        }
    parameters = inspect.signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "seed"}


@pytest.mark.parametrize("title", ["`data`:", "`start`:", "`training`:", "`train_clip`:"])
def test_training_page_gives_the_defaults_of_the_code(title: str) -> None:
    from tp_drseg.training.clip.train import train_clip
    from tp_drseg.training.config import TrainingConfig
    from tp_drseg.training.run_config import DataConfig, StartConfig

    kinds: dict[str, Any] = {
        "`data`:": DataConfig,
        "`start`:": StartConfig,
        "`training`:": TrainingConfig,
        "`train_clip`:": train_clip,
    }
    table = (ROOT / "docs" / "training.md").read_text().split(f"{title}\n\n")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", table, re.MULTILINE)
    found = {name: yaml.safe_load(value) for name, value in rows if name != "changes"}
    assert found == {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in defaults(kinds[title]).items()
    }


def test_training_page_names_the_recipes() -> None:
    from tp_drseg.training.run_config import RECIPES

    text = section(ROOT / "docs" / "training.md", "Starting a run")
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert tuple(rows) == RECIPES


def test_yaml_of_the_training_page_is_a_run(tmp_path: Path) -> None:
    from tp_drseg.training.run_config import read_run

    for block in blocks(ROOT / "docs" / "training.md", "yaml"):
        (tmp_path / "run.yaml").write_text(block)
        read_run(tmp_path / "run.yaml")


def test_catalog_page_lists_the_catalog() -> None:
    from tp_drseg.lesions import LesionCatalog

    text = (ROOT / "docs" / "lesions.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| (\w+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)[1:]
    catalog = LesionCatalog.default()
    assert [(name, short, first) for name, short, _, first in rows] == [
        (x.name, x.abbreviation, x.texts[0]) for x in catalog
    ]
    for name, _, aliases, _ in rows:
        assert {catalog.resolve(alias).name for alias in aliases.split(", ")} == {name}
    flat = " ".join(text.split())
    sources = {d.source for x in catalog for d in (*x.descriptions, *x.held_out)}
    assert not [source for source in sources if source not in flat]


def test_ci_runs_what_the_readme_says() -> None:
    """Two lines to copy: one installs and does the main job, one installs and passes the tests."""
    lines = [block.strip() for block in blocks(ROOT / "README.md", "")[:2]]
    assert not any("\n" in line for line in lines)
    first, second = (line.split(" && ") for line in lines)
    environment = ["python3 -m venv .venv", ". .venv/bin/activate"]
    assert first[:2] == second[:2] == environment
    assert first[2:] == [
        "pip install -c constraints.txt .",
        "tp-drseg segment examples --out results",
    ]
    assert second[2:] == ["pip install -c constraints.txt '.[test]'", "pytest -n auto"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "python -m pip install --quiet -c constraints.txt '.[test]'" in script
    assert "pytest -n auto" in script
    assert 'tp-drseg segment examples --out "$work/results"' in script


def test_finetuning_page_gives_the_defaults_of_the_code() -> None:
    from tp_drseg.training.finetune import PARTS

    text = section(ROOT / "docs" / "finetuning.md", "3. Teach it")
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \| (\d+|always)", text, re.MULTILINE)
    assert {name: (int(steps), crops) for name, steps, crops in rows} == {
        name: (part.steps, str(part.fixed_crops or "always")) for name, part in PARTS.items()
    }


def test_training_page_gives_the_checksums_of_the_recipes() -> None:
    from tp_drseg.training.run_config import RECIPES, read_run, recipe

    text = section(ROOT / "docs" / "training.md", "Where the weights come from")
    for name in RECIPES:
        start = read_run(recipe(name)).start
        assert re.search(rf"^\| `{start.sam}` .*`{start.sam_sha256}`", text, re.MULTILINE)
