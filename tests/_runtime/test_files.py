from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tp_drseg._runtime.files import atomic_write, make_folder, remove_leftovers, write_json
from tp_drseg.errors import OutputError


def test_writes_and_replaces(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        with atomic_write(tmp_path / "sub" / "file") as file:
            file.write(content)
        assert (tmp_path / "sub" / "file").read_bytes() == content
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["file"]


def test_the_name_appears_only_at_the_end(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "file") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "file").exists()
        (hidden,) = tmp_path.iterdir()
        assert hidden.name.startswith(".")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_error_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "file").write_bytes(b"old")
    expected = OutputError if error is OSError else error
    with pytest.raises(expected), atomic_write(tmp_path / "file") as file:
        file.write(b"new")
        raise error
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("code", "advice"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission"), (errno.EROFS, "read-only")],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_refusals_come_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OutputError, match=advice) as caught, atomic_write(tmp_path / "f") as file:
        file.write(b"x")
    assert str(tmp_path / "f") in str(caught.value)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        make_folder(tmp_path / "file" / "sub")
    with pytest.raises(OutputError, match="in the way"), atomic_write(tmp_path / "file" / "x"):
        pass


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    with pytest.raises(OutputError, match="folder"), atomic_write(tmp_path / "name"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_permissions_are_those_of_an_ordinary_new_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    with atomic_write(tmp_path / "file"):
        pass
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_leftovers_go_and_all_else_stays(tmp_path: Path) -> None:
    for name in (".tp-drseg-0123.tmp", ".tp-drseg-note", "x.tmp", "tp-drseg-0123.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "missing")
    assert {path.name for path in tmp_path.iterdir()} == {
        ".tp-drseg-note",
        "x.tmp",
        "tp-drseg-0123.tmp",
    }
