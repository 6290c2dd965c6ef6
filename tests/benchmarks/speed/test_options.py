from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.speed.options import EXAMPLE, SECTIONS, command, parse
from benchmarks.speed.sections import MEASURES


def test_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = parse([])
    assert (options.photographs, options.only, options.size) == ([EXAMPLE], ["whole"], ["tiny"])
    options = parse(["--only", "session,startup", "--size", "tiny,vit_b", "--dtype", "float32"])
    assert options.only == ["session", "startup"]
    assert list(options.sizes_and_dtypes()) == [("tiny", "float32"), ("vit_b", "float32")]
    for words, said in (
        (["--only", "nothing"], "'nothing' is not one of whole"),
        (["--only", "folder"], "--only folder needs --folder"),
        (["--only", "training"], "--only training needs --data"),
        (["--only", "card"], "needs --device cuda"),
        (["--runs", "0"], "must be 1 or more"),
        ([str(tmp_path / "away.jpg")], "there is no"),
    ):
        with pytest.raises(SystemExit):
            parse(words)
        assert said in capsys.readouterr().err


def test_each_section_can_be_measured() -> None:
    assert tuple(MEASURES) == SECTIONS


def test_commands_name_no_path(tmp_path: Path) -> None:
    photograph = tmp_path / "a b.jpg"
    photograph.touch()
    options = parse([str(photograph), "--only", "whole", "--runs", "2", "--threads", "2"])
    words = command(options, "whole", {"size": "tiny", "dtype": "auto"})
    assert words == (
        "python -m benchmarks.speed --only whole --size tiny --dtype auto 'a b.jpg' --runs 2 "
        "--threads 2"
    )
    options = parse(["--only", "folder", "--folder", str(tmp_path), "--count", "7"])
    words = command(options, "folder", {"size": "tiny", "dtype": "auto"})
    assert str(tmp_path) not in words
    assert f"--folder {tmp_path.name} --count 7" in words
