"""A photograph is read once: what is hashed is what is segmented."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.fake_model import FakeModel, photo, run
from tp_drseg.folder import step
from tp_drseg.images.source import FileBytes, read_file


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_dead_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize(
    "act",
    [
        replace_by_pipe,
        replace_by_folder,
        replace_by_dead_link,
        Path.unlink,
        lambda path: path.write_bytes(b""),
    ],
)
def test_a_photograph_that_changes_after_the_listing(
    photos: Path, out: Path, act: Callable[[Path], object]
) -> None:
    def change(name: str) -> None:
        if name == "a.png":
            act(photos / "c.png")

    done: list[object] = []
    thread = threading.Thread(
        target=lambda: done.append(run(photos, out, FakeModel(change))), daemon=True
    )
    thread.start()
    thread.join(20)
    assert done, "the run hangs"
    (report,) = done
    assert report.done == ("a.png", "b.png")  # type: ignore[attr-defined]
    assert [f.image for f in report.failures] == ["c.png"]  # type: ignore[attr-defined]


def test_a_photograph_replaced_while_it_is_read(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mask is of what was hashed, and the replacement is done by the next run."""

    def read_and_replace(path: Path, limit: int, *, what: str) -> FileBytes:
        found = read_file(path, limit, what=what)
        if path.name == "b.png":
            photo(path, red=0)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(step, "read_file", read_and_replace)
        assert len(run(photos, out).done) == 3
    with Image.open(out / "b.png.EX.mask.png") as mask:
        assert np.asarray(mask).any()
    again = run(photos, out)
    assert again.done == ("b.png",)
    with Image.open(out / "b.png.EX.mask.png") as mask:
        assert not np.asarray(mask).any()


def test_a_failure_without_a_text_has_a_reason(
    photos: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str) -> None:
        raise {"a.png": MemoryError, "b.png": RuntimeError, "c.png": KeyError}[name]

    report = run(photos, out, FakeModel(fail))
    for failure, word in zip(
        report.failures, ("MemoryError", "RuntimeError", "KeyError"), strict=True
    ):
        assert word in failure.message
        assert failure.message in caplog.text


def test_a_file_that_cannot_be_read_keeps_its_results(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(photos, out)
    real = os.open

    def refuse(path: str, *arguments: int, **options: int) -> int:
        if str(path) == str(photos / "b.png"):
            raise OSError(5, "Input/output error")
        return real(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        report = run(photos, out)
        assert [failure.image for failure in report.failures] == ["b.png"]
    assert run(photos, out).skipped == ("a.png", "b.png", "c.png")
