from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tp_drseg.errors import OutputError
from tp_drseg.export import (
    Layer,
    add_legend,
    draw_heat_map,
    draw_layers,
    lesion_colour,
    save_map,
    save_mask,
    save_picture,
)
from tp_drseg.lesions import LesionCatalog

GREY = np.full((100, 150, 3), 128, np.uint8)


def square() -> np.ndarray:
    mask = np.zeros((100, 150), bool)
    mask[40:60, 50:80] = True
    return mask


def test_outline_tint_and_rim() -> None:
    picture = np.asarray(draw_layers(GREY, [Layer(square(), (255, 0, 0))], fill=0.5, line_width=2))
    assert tuple(picture[50, 60]) == (192, 64, 64)  # half grey, half red
    assert tuple(picture[38, 60]) == tuple(picture[39, 60]) == (255, 0, 0)  # two pixels of line
    assert tuple(picture[37, 60]) == (51, 51, 51)  # one of rim
    assert tuple(picture[36, 60]) == (128, 128, 128)
    assert (GREY == 128).all()


@pytest.mark.parametrize(("side", "width"), [(700, 1), (4288, 5)])
def test_the_line_grows_with_the_image(side: int, width: int) -> None:
    image, mask = np.zeros((60, side, 3), np.uint8), np.zeros((60, side), bool)
    mask[20:40, 50:90] = True
    column = np.asarray(draw_layers(image, [Layer(mask, (255, 255, 255))], fill=0))[:, 70, 0]
    assert (column == 255).sum() == 2 * width


def test_a_mask_at_the_border_and_an_empty_one() -> None:
    assert (
        np.asarray(draw_layers(GREY, [Layer(np.zeros((100, 150), bool), (9, 9, 9))])) == GREY
    ).all()
    full = np.asarray(draw_layers(GREY, [Layer(np.ones((100, 150), bool), (0, 0, 0))], fill=1))
    assert (full == 0).all()


def test_wrong_drawing_is_refused() -> None:
    with pytest.raises(ValueError, match="fill"):
        draw_layers(GREY, [], fill=1.5)
    with pytest.raises(ValueError, match="line_width"):
        draw_layers(GREY, [], line_width=0)
    with pytest.raises(ValueError, match="mask is"):
        draw_layers(GREY, [Layer(np.zeros((3, 3), bool), (0, 0, 0))])
    with pytest.raises(ValueError, match="values are"):
        draw_heat_map(GREY, np.zeros((3, 3), np.float32))


def test_legend_has_a_swatch_for_each_layer() -> None:
    layers = [Layer(square(), (255, 0, 0), "first"), Layer(square(), (0, 0, 255), "second")]
    picture = np.asarray(add_legend(Image.fromarray(GREY), layers))
    assert (picture[:100] == GREY).all()
    strip = {tuple(pixel) for pixel in picture[100:].reshape(-1, 3)}
    assert {(255, 0, 0), (0, 0, 255)} <= strip


def test_colours_differ_and_stay() -> None:
    names = [*LesionCatalog.default().names, "drusen"]
    assert len({lesion_colour(name) for name in names}) == len(names)
    # No hash seed of the process may come in.
    assert lesion_colour("drusen") == lesion_colour("dru" + "sen")
    assert all(0 <= part <= 255 for part in lesion_colour("neovascularisation"))


def test_heat_map_brightens_with_the_values() -> None:
    values = np.tile(np.linspace(0, 1, 150, dtype=np.float32), (100, 1))
    heat = draw_heat_map(GREY, values, opacity=1)
    assert heat.getpixel((0, 0)) == (68, 1, 84)
    assert heat.getpixel((149, 0)) == (253, 231, 37)
    light = np.asarray(heat.convert("L"))[0].astype(int)
    assert (np.diff(light) >= -1).all()


def test_map_is_rounded_and_clipped(tmp_path: Path) -> None:
    save_map(np.array([[0, 0.5, 1, 1.00001]], np.float32), tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as saved:
        assert np.asarray(saved).tolist() == [[0, 128, 255, 255]]


@pytest.mark.parametrize(
    ("name", "format"), [("x.png", "PNG"), ("x.JPG", "JPEG"), ("x.tiff", "TIFF")]
)
def test_picture_formats(tmp_path: Path, name: str, format: str) -> None:
    with Image.open(save_picture(Image.fromarray(GREY), tmp_path / name)) as saved:
        assert saved.format == format


@pytest.mark.parametrize("name", ["x.gif", "x", "x.png.txt"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="end in"):
        save_picture(Image.fromarray(GREY), tmp_path / name)
    with pytest.raises(OutputError, match="end in"):
        save_mask(square(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


SHORT = """
import resource, signal, sys
import numpy as np
from PIL import Image
from tp_drseg.errors import OutputError
from tp_drseg.export import save_mask, save_picture
noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    if sys.argv[1].endswith(".mask.png"):
        save_mask(noise[..., 0] > 99, sys.argv[1])
    else:
        save_picture(Image.fromarray(noise), sys.argv[1])
except OutputError as error:
    print("refused:", error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("name", ["x.jpg", "x.tif", "x.png", "x.mask.png"])
def test_no_file_is_cut_where_the_disk_takes_less(tmp_path: Path, name: str) -> None:
    line = [sys.executable, "-c", SHORT, str(tmp_path / name)]
    assert subprocess.check_output(line, text=True).startswith("refused: ")
    assert list(tmp_path.iterdir()) == []
