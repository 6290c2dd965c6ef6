from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tp_drseg._runtime import files
from tp_drseg._runtime.files import (
    atomic_write,
    make_folder,
    output_error,
    remove_leftovers,
    write_bytes,
    write_json,
    write_text,
)
from tp_drseg._runtime.json_text import read_json
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
    with pytest.raises(OutputError, match="cannot be written"):
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
    ours, folder = ".tp-drseg-0123456789abcdef.tmp", ".tp-drseg-0123456789abcdee.tmp"
    others = {".tp-drseg-note", ".tp-drseg-mine.tmp", "x.tmp", ours[1:]}
    for name in (ours, *others):
        (tmp_path / name).touch()
    (tmp_path / folder).mkdir()
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "missing")
    assert {path.name for path in tmp_path.iterdir()} == others | {folder}


def test_an_encoder_gets_no_descriptor_to_write_to_past_us(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.jpg") as file:
        with pytest.raises(OSError):
            file.fileno()
        Image.new("RGB", (300, 200), (9, 99, 199)).save(file, "JPEG")
    with atomic_write(tmp_path / "a.tif") as file:  # TIFF goes back to write its header
        Image.new("RGB", (300, 200), (9, 99, 199)).save(file, "TIFF")
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            image.load()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize("missing", [1, 200])
def test_a_file_that_would_be_cut_is_not_there(tmp_path: Path, missing: int) -> None:
    """As `ulimit -f` does it, or a disk that is full for a moment."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from tp_drseg._runtime.files import write_bytes\n"
        "size = int(sys.argv[2])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size - int(sys.argv[3]),) * 2)\n"
        "write_bytes(Path(sys.argv[1]), bytes(size))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "f"), "20000", str(missing)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "OutputError" in ran.stderr
    assert "ulimit" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_is_not_true_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat = os.fstat

    def short(descriptor: int) -> os.stat_result:
        values = list(fstat(descriptor))
        values[stat.ST_SIZE] -= 1
        return os.stat_result(values)

    monkeypatch.setattr(os, "fstat", short)
    with pytest.raises(OutputError, match="4 of 5 bytes"):
        write_bytes(tmp_path / "f", b"12345")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_windows_holds_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virus scanner reads what was just written: replacing it is refused, then goes through."""
    replace, refused = os.replace, iter([True, True, False])

    def held(source: Path, target: Path) -> None:
        if next(refused, True):
            raise PermissionError(errno.EACCES, "The process cannot access the file.", str(target))
        replace(source, target)

    monkeypatch.setattr(files, "_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(os, "replace", held)
    write_bytes(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"
    with pytest.raises(OutputError, match="another program"):  # it is held for good
        write_bytes(tmp_path / "f", b"newer")
    assert (tmp_path / "f").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_path_too_long_for_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    error = FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert "No such file" in str(output_error("a" * 300, error))
    monkeypatch.setattr(files, "_IS_WINDOWS", True)
    assert "no more than 259" in str(output_error("a" * 300, error))
    assert "No such file" in str(output_error("a", error))


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not synced there")
def test_the_name_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)))
    write_bytes(tmp_path / "f", b"x")
    assert synced == [False, True]


@pytest.mark.parametrize("error", [OSError(), OSError("odd"), OSError(errno.EIO, "Input/output.")])
def test_an_error_without_a_reason_is_told_by_its_type(error: OSError) -> None:
    assert str(output_error("f", error)).removeprefix("f cannot be written: ") in {
        "OSError.",
        "odd.",
        "Input/output.",
    }


def test_text_files_are_valid_whatever_names_they_hold(tmp_path: Path) -> None:
    """A name of bytes that are no UTF-8, as Python gives it, is written as an escape."""
    name = os.fsdecode(b"eye\xff.jpg")
    write_text(tmp_path / "page.html", f"<p>{name}</p>")
    assert (tmp_path / "page.html").read_text("utf-8") == "<p>eye\\udcff.jpg</p>"
    write_text(tmp_path / "emoji.txt", "\U0001f441 é")
    assert (tmp_path / "emoji.txt").read_text("utf-8") == "\U0001f441 é"


def test_json_files_are_read_by_our_own_strict_reader(tmp_path: Path) -> None:
    name = os.fsdecode(b"eye\xff.jpg")
    write_json(tmp_path / "a.json", {name: [name, (name, 1)], "n": {"x": name, "y": None}})
    shown = "eye\\udcff.jpg"
    expected = {shown: [shown, [shown, 1]], "n": {"x": shown, "y": None}}
    assert read_json(tmp_path / "a.json") == expected
