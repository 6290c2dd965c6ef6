"""Photographs that dcmtk and ImageMagick have made, whole and broken."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.support.dicom_files import eye, photograph
from tests.support.programs import needs, run
from tp_drseg.errors import ImageError
from tp_drseg.folder.photographs import find_photographs
from tp_drseg.images import read_image, read_source

DCMTK = ("dcmcjpeg", "dcmcjpls", "dcmcrle", "dcmconv", "img2dcm", "dcmodify", "dcmmkdir")
PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"

pytestmark = [needs(*DCMTK), pytest.mark.filterwarnings("error")]
EYE = eye()


@pytest.fixture
def native(tmp_path: Path) -> Path:
    """An Ophthalmic Photograph of 8 bits, uncompressed."""
    path = tmp_path / "native.dcm"
    photograph(EYE).save_as(path, enforce_file_format=True)
    return path


# how dcmtk is asked, the transfer syntax, and the most that a pixel may differ on average
MADE = {
    "lossless JPEG, first order": (["dcmcjpeg", "+e1"], "1.2.840.10008.1.2.4.70", 0),
    "lossless JPEG": (["dcmcjpeg", "+el"], "1.2.840.10008.1.2.4.57", 0),
    "lossless JPEG of YBR": (["dcmcjpeg", "+e1", "+pl"], "1.2.840.10008.1.2.4.70", 2),
    "baseline": (["dcmcjpeg", "+eb", "+q", "95", "+s4"], "1.2.840.10008.1.2.4.50", 1.5),
    "baseline of 4:2:2": (["dcmcjpeg", "+eb", "+q", "95", "+s2"], "1.2.840.10008.1.2.4.50", 4),
    "baseline of RGB": (["dcmcjpeg", "+eb", "+q", "95", "+cr"], "1.2.840.10008.1.2.4.50", 1.5),
    "extended": (["dcmcjpeg", "+ee", "+q", "95", "+s4"], "1.2.840.10008.1.2.4.51", 1.5),
    "JPEG-LS": (["dcmcjpls", "+el"], "1.2.840.10008.1.2.4.80", 0),
    "JPEG-LS, lines in turn": (["dcmcjpls", "+el", "+il"], "1.2.840.10008.1.2.4.80", 0),
    "nearly lossless JPEG-LS": (["dcmcjpls", "+en", "+md", "2"], "1.2.840.10008.1.2.4.81", 2),
    "RLE": (["dcmcrle"], "1.2.840.10008.1.2.5", 0),
    "implicit": (["dcmconv", "+ti"], "1.2.840.10008.1.2", 0),
    "big endian": (["dcmconv", "+tb"], "1.2.840.10008.1.2.2", 0),
    "deflated": (["dcmconv", "+td"], "1.2.840.10008.1.2.1.99", 0),
    "no file header": (["dcmconv", "-F"], None, 0),
    "items without a length": (["dcmconv", "-e", "+te"], "1.2.840.10008.1.2.1", 0),
}


@pytest.mark.parametrize("kind", MADE)
def test_what_dcmtk_writes(kind: str, native: Path, tmp_path: Path) -> None:
    line, syntax, most = MADE[kind]
    made = tmp_path / "made"
    run(*line, native, made)
    if syntax is not None:
        assert pydicom.dcmread(made).file_meta.TransferSyntaxUID == syntax
    source = read_source(made)
    assert np.abs(source.pixels.astype(int) - EYE).mean() <= most
    assert source.acquisition is not None and source.acquisition.laterality == "R"


@pytest.mark.parametrize("line", [["dcmcjpeg", "+e1"], ["dcmcjpls", "+el"], ["dcmcrle"]])
def test_grey_of_16_bits(line: list[str], tmp_path: Path) -> None:
    grey = EYE[..., 0].astype(np.uint16) * 257
    native, made = tmp_path / "native.dcm", tmp_path / "made"
    photograph(grey).save_as(native, enforce_file_format=True)
    run(*line, native, made)
    np.testing.assert_array_equal(read_image(made), np.repeat(EYE[..., :1], 3, axis=2))


@needs("convert")
@pytest.mark.parametrize(
    "options", [["eye.jpg"], ["-interlace", "JPEG", "eye.jpg"], ["-colorspace", "Gray", "eye.jpg"]]
)
@pytest.mark.parametrize("kind", ["-vlp", "-sc"])
def test_pictures_of_imagemagick_as_dicom(options: list[str], kind: str, tmp_path: Path) -> None:
    """What a clinic does that has JPEG alone: `img2dcm`, into a study of its own."""
    Image.fromarray(EYE).save(tmp_path / "eye.png")
    jpeg, made = tmp_path / options[-1], tmp_path / "made"
    run("convert", tmp_path / "eye.png", "-quality", "95", *options[:-1], jpeg)
    if kind == "-sc":
        run("img2dcm", jpeg, made)
    else:
        run("img2dcm", kind, jpeg, made)
    with Image.open(jpeg) as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(read_image(made), expected)


BROKEN = {
    "rows that are not there": (["-m", "Rows=640"], "cut short"),
    "another depth": (["-m", "BitsAllocated=16", "-m", "BitsStored=16"], "cut short"),
    "absurd": (["-m", "Rows=65535", "-m", "Columns=65535"], "more than 50000000 pixels"),
    "several frames": (["-m", "NumberOfFrames=2"], "holds 2 frames"),
    "no colours": (["-e", "PhotometricInterpretation"], "no stated kind"),
    "no picture": (["-e", "PixelData"], "without a picture"),
    "a tomogram": (["-m", "SOPClassUID=1.2.840.10008.5.1.4.1.1.2"], "no photograph of a retina"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_dcmtk_has_broken(kind: str, native: Path) -> None:
    changes, message = BROKEN[kind]
    run("dcmodify", "-nb", "-imt", *changes, native)
    with pytest.raises(ImageError, match=message):
        read_image(native)


@pytest.mark.parametrize("line", [["dcmcjpeg", "+e1"], ["dcmcjpeg", "+el"]])
def test_damaged_lossless_jpeg(line: list[str], native: Path, tmp_path: Path) -> None:
    """Its decoder ends its process at such data: an image or our error comes out all the same."""
    made = tmp_path / "made"
    run(*line, native, made)
    whole = made.read_bytes()
    draw = random.Random(0)
    for _ in range(8):  # each in a process of its own
        data = bytearray(whole)
        for _ in range(draw.randrange(1, 6)):
            data[draw.randrange(900, len(data))] = draw.randrange(256)
        try:
            pixels = read_image(bytes(data[: draw.randrange(len(data) // 2, len(data) + 1)]))
        except ImageError:
            continue
        assert pixels.shape == EYE.shape


def test_a_disc_that_dcmtk_has_made(native: Path, tmp_path: Path) -> None:
    disc = tmp_path / "disc"
    (disc / "IMAGES").mkdir(parents=True)
    shutil.copy(native, disc / "IMAGES" / "IM000001")
    run("dcmmkdir", "+D", disc / "DICOMDIR", "+id", disc, "+r")
    found = find_photographs(disc / "DICOMDIR", tmp_path / "out")
    assert [one.name for one in found.photographs] == ["IMAGES/IM000001"]
    np.testing.assert_array_equal(read_image(found.photographs[0].path), EYE)
