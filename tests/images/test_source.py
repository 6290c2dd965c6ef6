"""The bytes of a file are read once, and only those of a regular file."""

import hashlib
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tp_drseg.errors import ImageError
from tp_drseg.images.source import read_file, read_stream


def test_bytes_and_their_hash(tmp_path: Path) -> None:
    path = tmp_path / "œil droit.bin"
    path.write_bytes(b"retina")
    file = read_file(path, what="photograph")
    path.write_bytes(b"another")  # the hash is that of the bytes that were read
    assert file.data == b"retina"
    assert file.sha256 == hashlib.sha256(b"retina").hexdigest()
    assert file.name == f"The photograph '{path}'"
    assert "retina" not in repr(file)


def socket_file(folder: Path) -> Path:
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def open_files() -> int:
    """How many this process has, where the system tells."""
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.is_dir() else 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("build", [pipe, socket_file, lambda _: Path("/dev/zero")])
def test_what_is_no_regular_file_is_refused_at_once(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    before = open_files()
    with pytest.raises(ImageError, match="is not a regular file"):
        read_file(build(tmp_path))
    assert open_files() == before


def test_a_pipe_that_takes_a_files_place_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is opened is what is checked: there is no moment between the two."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"retina")
    real = os.open

    def replaced(location: str, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return real(location, flags)

    monkeypatch.setattr(os, "open", replaced)
    with pytest.raises(ImageError, match="is not a regular file"):
        read_file(path)


def test_a_folder_is_refused_as_windows_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read_file(tmp_path)

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ImageError, match="is a folder"):
        read_file(tmp_path)


def test_limit_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "sparse.bin"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageError, match=r"1099511627776 bytes or more, and at most 1000"):
        read_file(path, 1000)
    path.write_bytes(bytes(1000))
    assert len(read_file(path, 1000).data) == 1000


def test_stream_is_read_from_where_it_stands_and_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"headretina")
    with (tmp_path / "a.bin").open("rb") as stream:
        stream.seek(4)
        file = read_stream(stream)
        assert not stream.closed
    assert file.data == b"retina"
    assert file.name == f"The open file '{tmp_path / 'a.bin'}'"
    assert read_stream(io.BytesIO(b"retina"), what="photograph").name == "The open photograph"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: io.StringIO("text"), "is open as text"),
        (lambda: io.BytesIO(b""), r"is empty \(0 bytes\)"),
        (lambda: io.BytesIO(bytes(1001)), "at most 1000 are read"),
        (lambda: closed(), "cannot be read .*closed"),
    ],
)
def test_stream_that_gives_no_bytes_is_refused(
    build: Callable[[], io.BytesIO], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        read_stream(build(), 1000)


def closed() -> io.BytesIO:
    stream = io.BytesIO(b"retina")
    stream.close()
    return stream
