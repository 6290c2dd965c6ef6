"""Mask files go through the decoder of photographs: its formats, its limits, its orientation."""

import os
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.image_files import encoded, png_chunk, png_of_zeros, png_with
from tp_drseg.data.masks import MaskFile, read_ignored, read_mask
from tp_drseg.errors import DataError
from tp_drseg.images import read_image

TRUTH = np.zeros((40, 50), bool)
TRUTH[5:20, 10:30] = True
GREY = Image.fromarray(TRUTH.astype(np.uint8) * 255)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_mask_is_turned_as_its_photograph_is(turn: int, ending: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = turn
    GREY.save(tmp_path / f"m.{ending}", exif=exif)
    shown = read_image(tmp_path / f"m.{ending}")[:, :, 0] >= 128
    size = (shown.shape[0], shown.shape[1])
    np.testing.assert_array_equal(read_mask(tmp_path / f"m.{ending}", size), shown)
    if turn > 4:
        with pytest.raises(DataError, match=r"50 x 40 pixels .* its photograph 40 x 50"):
            read_mask(tmp_path / f"m.{ending}", (40, 50))


def test_mask_of_another_size_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(png_of_zeros(6000, 6000, colour=6))
    tracemalloc.start()
    for read in (read_mask, read_ignored):
        with pytest.raises(DataError, match=r"6000 x 6000 pixels.*its photograph 80 x 96"):
            read(MaskFile(tmp_path / "m.png", ignored=(3,)), (80, 96))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    (tmp_path / "m.png").write_bytes(png_of_zeros(13000, 13000, colour=0))
    with pytest.raises(DataError, match="13000x13000 px, more than 50000000 pixels"):
        read_mask(tmp_path / "m.png", (80, 96))


@pytest.mark.parametrize("kind", ["GIF", "TGA", "PCX", "JPEG2000"])
def test_other_formats_are_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(encoded(kind, GREY))
    with pytest.raises(DataError, match="not an image"):
        read_mask(tmp_path / "m.png", (40, 50))


def test_postscript_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("a program was run")

    monkeypatch.setattr(subprocess, "Popen", run)
    (tmp_path / "m.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 40\n")
    with pytest.raises(DataError, match="is a PostScript document"):
        read_mask(tmp_path / "m.png", (40, 50))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes among files")
def test_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.png")
    with pytest.raises(DataError, match="is not a regular file"):
        read_mask(tmp_path / "m.png", (40, 50))


def test_mask_with_much_text_is_read(tmp_path: Path) -> None:
    text = png_chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000)
    (tmp_path / "m.png").write_bytes(png_with(encoded("PNG", GREY), text))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (40, 50)), TRUTH)
