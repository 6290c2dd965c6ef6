from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tp_drseg._runtime.text_file import read_text
from tp_drseg.errors import ConfigError, TrainingError


def test_a_text_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffgrün\n".encode())
    assert read_text(path, 8 + 1) == "grün\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"x" * 11, "larger than 10 bytes"), (b"ab\n\xff", "line 2, is not UTF-8")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read_text(path, 10)
    assert str(path) in str(caught.value)
    with pytest.raises(TrainingError):
        read_text(path, 10, error=TrainingError)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("pipe", "socket", ".", "none", "a\0b"):
            with pytest.raises(ConfigError, match="cannot be read"):
                read_text(tmp_path / name, 10)
