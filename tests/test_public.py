from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tp_drseg

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tp_drseg"


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_leaves_torch_alone() -> None:
    code = """
import sys
import tp_drseg
assert "torch" not in sys.modules, "by the import"
dir(tp_drseg), tp_drseg.__version__
tp_drseg.TPDRSegConfig, tp_drseg.LesionCatalog.default(), tp_drseg.TPDRSegError
tp_drseg.Segmentation
assert "torch" not in sys.modules, "by names that need none"
tp_drseg.TPDRSeg
assert "torch" in sys.modules
"""
    result = run(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"], ["lesions"]])
def test_commands_without_torch(arguments: list[str]) -> None:
    code = """
import sys
sys.modules["torch"] = None  # an import of it fails
from tp_drseg.cli import app
app(prog_name="tp-drseg")
"""
    result = run(code, *arguments)
    assert result.returncode == 0, result.stderr
    expected = "haemorrhage" if arguments == ["lesions"] else "Usage: tp-drseg"
    assert expected in result.stdout


@pytest.mark.parametrize("name", tp_drseg.__all__)
def test_public_names(name: str) -> None:
    value = getattr(tp_drseg, name)
    assert value.__name__ == name and value.__module__.startswith("tp_drseg.")
    assert value.__doc__
    assert name in dir(tp_drseg)


def test_all_is_what_can_be_got() -> None:
    assert set(tp_drseg.__all__) == set(tp_drseg._MODULES)
    with pytest.raises(AttributeError, match="no_such_name"):
        tp_drseg.no_such_name  # noqa: B018


def test_the_library_does_not_print() -> None:
    paths = sorted(PACKAGE.rglob("*.py"))
    assert len(paths) > 30
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno}"
