"""Every form in which people have a photograph gives the same pixels."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.image_files import encoded
from tp_drseg.errors import ConfigError, ImageError
from tp_drseg.images import ImageSource, read_image, read_source

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
PNG = encoded("PNG", NOISE)
FIRST = torch.from_numpy(NOISE).permute(2, 0, 1)


def from_the_middle() -> io.BytesIO:
    stream = io.BytesIO(b"something else" + PNG)
    stream.seek(14)
    return stream


FORMS: dict[str, Callable[[], ImageSource]] = {
    "bytes": lambda: PNG,
    "bytearray": lambda: bytearray(PNG),
    "memoryview": lambda: memoryview(PNG),
    "stream": lambda: io.BytesIO(PNG),
    "stream from the middle": from_the_middle,
    "array": lambda: NOISE,
    "PIL image": lambda: Image.fromarray(NOISE),
    "tensor": lambda: FIRST,
    "contiguous tensor": lambda: FIRST.contiguous(),
    "float tensor": lambda: FIRST / 255,
    "double tensor": lambda: FIRST.double() / 255,
    "tensor with gradient": lambda: (FIRST / 255).requires_grad_(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pixels(form: str) -> None:
    image = read_image(FORMS[form]())
    np.testing.assert_array_equal(image, NOISE)
    assert image.flags.c_contiguous
    assert image.flags.writeable
    image[:] = 0
    assert NOISE.any() and FIRST.any()


def test_open_file_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    with (tmp_path / "a.png").open("rb") as file:
        np.testing.assert_array_equal(read_image(file), NOISE)
        assert not file.closed


def test_half_precision_and_grey_tensors() -> None:
    half = read_image((FIRST / 255).to(torch.bfloat16))
    assert np.abs(half.astype(int) - NOISE).max() <= 1
    np.testing.assert_array_equal(read_image(FIRST[:1]), NOISE[:, :, :1].repeat(3, axis=2))
    np.testing.assert_array_equal(read_image(torch.ones(1, 40, 50, dtype=torch.bool)), 255)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (FIRST[None], r"shape \(1, 3, 64, 96\) and dtype torch\.uint8; .*one image at a time"),
        (FIRST.permute(1, 2, 0), r"shape \(64, 96, 3\).*accepted are \(3, H, W\)"),
        (FIRST[0], r"accepted are \(3, H, W\)"),
        (FIRST.float(), r"The tensor .*floats must lie in \[0, 1\]"),
        (FIRST.long(), "The tensor .*dtype int64"),
        (FIRST / torch.zeros(()), "The tensor .*NaN or infinite"),
        (FIRST[:, :8], "The tensor is 96x8 px: too small"),
        (b"", "bytes are empty"),
        (b"GIF89a", "The photograph in memory is a GIF"),
        (io.BytesIO(PNG[:2000]), "The open photograph cannot be decoded, it is cut short"),
        (io.StringIO("text"), "is open as text"),
    ],
)
def test_what_cannot_be_read_says_what_it_is(source: ImageSource, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(source)


def test_bytes_are_kept_with_their_hash(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    for source in (tmp_path / "a.png", PNG, io.BytesIO(PNG)):
        image = read_source(source)
        assert image.file is not None
        assert image.file.data == PNG
        assert len(image.file.sha256) == 64
    assert read_source(NOISE).file is None


def test_reading_does_not_import_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from tp_drseg.images import read_image\n"
        "read_image(np.zeros((40, 40, 3), np.uint8))\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(3, 64, 64).to_sparse(),
        lambda: torch.zeros(3, 64, 64, device="meta"),
        lambda: torch.zeros(3, 64, 64, dtype=torch.float8_e4m3fn),
    ],
)
def test_tensors_without_plain_values_are_refused(make: Callable[[], torch.Tensor]) -> None:
    with pytest.raises(ImageError, match="no plain values"):
        read_image(make())


def test_a_stream_may_raise_what_it_likes() -> None:
    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise RuntimeError("the connection is gone")

    with pytest.raises(ImageError, match="the connection is gone"):
        read_image(Stream())


@pytest.mark.parametrize("limit", [0, -1, "x", None, 1.5, float("nan")])
def test_the_most_pixels_are_a_number(limit: Any) -> None:
    with pytest.raises(ConfigError, match="max_pixels is a number of pixels"):
        read_image(np.zeros((64, 64)), max_pixels=limit)
