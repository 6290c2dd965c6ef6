"""Each wrong use ends with its exit code and one line that says what to do, never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tp_drseg.cli import _model, app
from tp_drseg.cli._options import Device
from tp_drseg.errors import CheckpointError, ConfigError

LOADED_TOO_EARLY = "the model was loaded before the arguments were checked"


def check(result: Any, code: int, words: str) -> None:
    assert result.exit_code == code, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.output
    assert words in errors[0]
    assert "Traceback" not in result.output
    assert "Error: " not in result.stdout


SEGMENT = [
    ("segment", "Missing argument"),
    ("segment IN", "'--out'"),
    ("segment IN --out", "--out"),
    ("segment IN/missing.png --out OUT", "no such file"),
    ("segment IN/*.gif --out OUT", "No image"),
    ("segment EMPTY --out OUT", "no image"),
    ("segment NESTED --out OUT", "recursive"),
    ("segment IN IN/missing.png --out OUT", "missing.png"),
    ("segment IN --out FILE", "not a folder"),
    ("segment IN --out FILE/sub", "not a folder"),
    ("segment IN --out IN", "output folder"),
    ("segment IN --out OUT --threshold 1.5", "threshold"),
    ("segment IN --out OUT --threshold -0.1", "threshold"),
    ("segment IN --out OUT --threshold nan", "threshold"),
    ("segment IN --out OUT --threshold high", "--threshold"),
    ("segment IN --out OUT --threshold =0.3", "--threshold"),
    ("segment IN --out OUT --threshold EX=2", "threshold"),
    ("segment IN --out OUT --threshold drusen=0.5", "drusen"),
    ("segment IN --out OUT --lesion EX --threshold MA=0.5", "not asked for"),
    ("segment IN --out OUT --threshold 0.1 --threshold 0.2", "twice"),
    ("segment IN --out OUT --limit 0", "--limit"),
    ("segment IN --out OUT --lesion drusen", "drusen"),
    ("segment IN --out OUT --lesion EX --lesion drusen", "drusen"),
    ("segment IN --out OUT --lesion exudat", "Did you mean"),
    ("segment IN --out OUT --description dots", "lesion"),
    ("segment IN --out OUT --lesion EX --lesion MA --description dots", "exactly one"),
    ("segment IN --out OUT --lesion EX --description ''", "empty"),
    ("segment IN --out OUT --lesion ''", "lesion"),
    ("segment '' --out OUT", "empty"),
    ("segment IN --out OUT --device gpu", "gpu"),
    ("segment IN --out OUT --colour red", "--colour"),
]
PRIOR_MAP = [
    ("prior-map IN/a.png --out OUT.png", "Missing argument"),
    ("prior-map IN/a.png dots", "'--out'"),
    ("prior-map IN/missing.png dots --out OUT.png", "missing.png"),
    ("prior-map IN dots --out OUT.png", "folder"),
    ("prior-map FILE dots --out OUT.png", "FILE"),
    ("prior-map IN/a.png ' ' --out OUT.png", "empty"),
    ("prior-map IN/a.png dots --out OUT.gif", ".png"),
    ("prior-map IN/a.png dots --out OUT.jpg --raw", ".png"),
    ("prior-map IN/a.png dots --out FILE/x.png", "not a folder"),
    ("prior-map IN/a.png dots --out FOLDER.png", "folder"),
    ("prior-map IN/a.png dots --out IN/a.png", "photograph itself"),
]
OTHERS = [
    ("segmnt", "segmnt"),
    ("--colour", "--colour"),
    ("lesions extra", "extra"),
    ("lesions --jsn", "--jsn"),
]


@pytest.mark.parametrize(("line", "words"), SEGMENT + PRIOR_MAP + OTHERS)
def test_wrong_use(line: str, words: str, tmp_path: Path, photos: Path, loader: Any) -> None:
    (tmp_path / "FILE").write_text("a text")
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FOLDER.png").mkdir()
    (tmp_path / "NESTED" / "sub").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    names = {"IN": "in"}

    def place(word: str) -> str:
        head, *rest = word.split("/")
        if head.split(".")[0] in {"IN", "OUT", "FILE", "EMPTY", "FOLDER", "NESTED"}:
            return str(tmp_path.joinpath(names.get(head, head), *rest))
        return {"''": "", "~": " "}.get(word, word)

    words_of_line = [place(word) for word in line.replace("' '", "~").split()]
    check(CliRunner().invoke(app, words_of_line), 2, words)
    assert loader.calls == [], LOADED_TOO_EARLY
    assert sorted(tmp_path.rglob("*")) == before  # nothing was written


@pytest.mark.parametrize("command", ["segment", "prior-map", "lesions"])
@pytest.mark.parametrize("error", [CheckpointError("the weights are cut\nshort"), ConfigError("x")])
def test_a_model_that_cannot_be_loaded(
    command: str, error: Exception, tmp_path: Path, photos: Path, loader: Any
) -> None:
    loader.error = error
    arguments = {
        "segment": [str(photos), "--out", str(tmp_path / "out")],
        "prior-map": [str(photos / "a.png"), "dots", "--out", str(tmp_path / "x.png")],
        "lesions": [],
    }[command]
    result = CliRunner().invoke(app, [command, *arguments, "--model", "no/such"])
    check(result, 2, " ".join(str(error).split()))
    assert not (tmp_path / "out").exists()


def test_a_revision_without_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="--model"):
        _model.load_model(None, "v1", Device.auto)


def test_a_lesion_that_the_asked_model_does_not_know(photos: Path, tmp_path: Path) -> None:
    line = [
        "segment",
        str(photos),
        "--out",
        str(tmp_path / "out"),
        "--model",
        "x",
        "--lesion",
        "no",
    ]
    check(CliRunner().invoke(app, line), 2, "Unknown lesion 'no'")


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(place: str, tmp_path: Path) -> None:
    line = ["segment", "missing", "--out", str(tmp_path / "out")]
    line = ["--debug", *line] if place == "before" else [*line, "--debug"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "Error: There is no such file" in result.stderr


def test_an_unforeseen_error(photos: Path, tmp_path: Path, loader: Any) -> None:
    loader.error = ZeroDivisionError("by zero")
    result = CliRunner().invoke(app, ["segment", str(photos), "--out", str(tmp_path / "out")])
    check(result, 1, "ZeroDivisionError: by zero")


def test_nothing_asked_shows_the_help() -> None:
    result = CliRunner().invoke(app, [])
    assert "segment" in result.output
    assert "Traceback" not in result.output
