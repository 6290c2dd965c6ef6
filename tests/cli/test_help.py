from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import tp_drseg
from tp_drseg import __version__
from tp_drseg.cli import _model
from tp_drseg.cli._options import Device, Dtype

COMMANDS = (
    "segment",
    "review",
    "prior-map",
    "lesions",
    "check",
    "evaluate",
    "train",
    "finetune",
    "dicom-node",
    "verify",
)


def test_version() -> None:
    assert tp_drseg("--version").stdout == f"tp-drseg {__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself(flag: str) -> None:
    overview = tp_drseg(flag)
    assert overview.exit_code == 0
    assert "..." not in overview.stdout.replace("[ARGS]...", "")  # no sentence is cut
    for command in COMMANDS:
        assert f"  {command} " in overview.stdout
        result = tp_drseg(command, flag)
        assert result.exit_code == 0
        assert "Usage: " in result.stdout


@pytest.mark.parametrize("command", ["segment", "review", "prior-map", "lesions", "verify"])
def test_help_has_examples(command: str) -> None:
    text = tp_drseg(command, "-h").stdout
    assert f"\n    tp-drseg {command}" in text.split("Examples:")[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-m", "tp_drseg"],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "_TP_DRSEG_COMPLETE": f"source_{shell}",
        },
    ).stdout
    assert "_TP_DRSEG_COMPLETE" in script


WITHOUT_TORCH = """
import sys
from typer.testing import CliRunner
from tp_drseg.cli import app
for line in (["-h"], ["segment", "-h"], ["--version"], ["lesions"], ["verify", "missing"],
             ["segment", "missing", "--out", "out"], ["segment", ".", "--out", "out"]):
    CliRunner().invoke(app, line)
print([name for name in ("torch", "open_clip", "timm") if name in sys.modules])
"""


def test_help_the_catalog_and_wrong_use_do_not_import_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout == "[]\n"


def test_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tp_drseg", "segment", "missing", "--out", "out"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 2
    assert done.stderr == "Error: There is no such file or folder: missing. Check the path.\n"
    assert done.stdout == ""


def test_the_choice_of_hardware_reaches_the_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    from tp_drseg import TPDRSeg

    monkeypatch.undo()  # the real loader
    asked: list[dict[str, Any]] = []

    def from_pretrained(model_id: str | None, **options: Any) -> None:
        asked.append({"model_id": model_id, **options})

    monkeypatch.setattr(TPDRSeg, "from_pretrained", from_pretrained)
    _model.load_model("org/name", "v1", Device.cuda, Dtype.bfloat16)
    _model.load_model(None, None, Device.cpu)
    assert asked == [
        {"model_id": "org/name", "revision": "v1", "device": "cuda", "dtype": "bfloat16"},
        {"model_id": None, "revision": None, "device": "cpu", "dtype": "auto"},
    ]


def test_the_accurate_mode_reaches_the_model(
    monkeypatch: pytest.MonkeyPatch, make_model: Callable[..., Any]
) -> None:
    from tp_drseg import TPDRSeg

    monkeypatch.undo()
    model = make_model()
    monkeypatch.setattr(TPDRSeg, "from_pretrained", lambda *_, **__: model)
    assert not _model.load_model(None, None, Device.cpu).config.inference.accurate
    loaded = _model.load_model(None, None, Device.cpu, Dtype.auto, True)
    assert loaded.config.inference.accurate


@pytest.mark.parametrize("command", ["segment", "prior-map", "evaluate"])
def test_commands_that_take_a_type(command: str) -> None:
    result = tp_drseg(command, "--help")
    assert "--dtype" in result.stdout and "bfloat16" in result.stdout
