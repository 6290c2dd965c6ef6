"""The user's limit on the pixels of a photograph, by every way on which photographs come in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.command import tp_drseg
from tests.support.fake_model import photo, run
from tp_drseg.data import Sample, read_dataset
from tp_drseg.data.check import check, fingerprint
from tp_drseg.errors import DataError, ImageError
from tp_drseg.evaluation.evaluate import evaluate
from tp_drseg.images import MAX_PIXELS, file_limit
from tp_drseg.lesions import LesionCatalog
from tp_drseg.model import TPDRSeg
from tp_drseg.training.data.annotated import FrameSizes, load_annotated
from tp_drseg.training.run_config import DataConfig

HEIGHT, WIDTH = 60, 80
PIXELS = HEIGHT * WIDTH

Ask = Callable[[TPDRSeg, Path, int], object]
WAYS: dict[str, Ask] = {
    "segment": lambda model, path, most: model.segment(path, "EX", max_pixels=most),
    "segment_many": lambda model, path, most: model.segment_many(path, max_pixels=most),
    "segment_batch": lambda model, path, most: list(
        model.segment_batch([path], ["EX"], max_pixels=most)
    ),
    "load_image": lambda model, path, most: model.load_image(path, max_pixels=most),
    "prior_map": lambda model, path, most: model.prior_map(path, "dots", max_pixels=most),
    "open_quietly": lambda model, path, most: model.open_quietly(path, max_pixels=most),
}


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A data set of the kind `folder` with one photograph; its path."""
    path = tmp_path / "data" / "images" / "eye.png"
    path.parent.mkdir(parents=True)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[np.hypot(y - HEIGHT / 2, x - WIDTH / 2) < HEIGHT / 2 - 2] = (180, 90, 40)
    Image.fromarray(pixels).save(path)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[25:30, 30:36] = 255
    (tmp_path / "data" / "masks" / "EX").mkdir(parents=True)
    Image.fromarray(mask).save(tmp_path / "data" / "masks" / "EX" / "eye.png")
    return path


@pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")
@pytest.mark.parametrize("way", WAYS)
def test_the_facade_passes_it_on(way: str, photograph: Path, small_model: TPDRSeg) -> None:
    with pytest.raises(ImageError, match=f"more than {PIXELS - 1} pixels"):
        WAYS[way](small_model, photograph, PIXELS - 1)
    WAYS[way](small_model, photograph, PIXELS)


@pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")
@pytest.mark.parametrize("way", WAYS)
def test_it_may_be_raised_above_the_default(
    way: str, photograph: Path, small_model: TPDRSeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def note(height: int, width: int, name: str, max_pixels: int) -> None:
        seen.append(max_pixels)

    monkeypatch.setattr("tp_drseg.images.decode.check_size", note)
    WAYS[way](small_model, photograph, 2 * MAX_PIXELS)
    assert set(seen) == {2 * MAX_PIXELS}


def test_a_folder_run_has_it_and_redoes_nothing_for_it(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    photo(source / "small.png")
    with Image.open(source / "small.png") as image:
        small = image.width * image.height
        image.resize((image.width * 2, image.height)).save(source / "wide.png")
    first = run(source, out, max_pixels=small)
    assert first.done == ("small.png",)
    assert [f.image for f in first.failures] == ["wide.png"]
    assert f"more than {small} pixels" in first.failures[0].message
    again = run(source, out)
    assert (again.done, again.skipped) == (("wide.png",), ("small.png",))


def test_an_earlier_photograph_of_one_name_is_not_read_beyond_it(tmp_path: Path) -> None:
    """A huge file in the place of a photograph done before is refused by its size."""
    photo(tmp_path / "one" / "eye.png")
    run(tmp_path / "one" / "eye.png", tmp_path / "out")
    other = tmp_path / "two" / "eye.png"
    other.parent.mkdir()
    with other.open("wb") as file:
        file.truncate(file_limit(MAX_PIXELS) + 1)
    report = run(other, tmp_path / "out")
    assert "bytes or more, and at most" in report.failures[0].message
    assert report.failures[0].image != "eye.png"


def test_data_sets_have_it_for_photographs_and_masks(photograph: Path) -> None:
    root, catalog = photograph.parents[1], LesionCatalog.default()
    (allowed,) = read_dataset(root, "folder", None, catalog, max_pixels=PIXELS)
    (refused,) = read_dataset(root, "folder", None, catalog, max_pixels=PIXELS - 1)
    check([allowed], catalog.names)
    with pytest.raises(DataError, match=f"more than {PIXELS - 1} pixels"):
        check([refused], catalog.names)
    sizes = FrameSizes(64, 64, 64)
    load_annotated(allowed, catalog.names, sizes)
    with pytest.raises(ImageError, match=f"more than {PIXELS - 1} pixels"):
        load_annotated(refused, catalog.names, sizes)


@pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")
def test_evaluation_has_it(photograph: Path, small_model: TPDRSeg) -> None:
    sample = Sample("eye", photograph, {small_model.catalog.names[0]: None}, max_pixels=PIXELS - 1)
    with pytest.raises(ImageError, match=f"more than {PIXELS - 1} pixels"):
        evaluate(small_model, [sample], bootstrap=0)


def test_files_of_a_data_set_are_hashed_up_to_it(tmp_path: Path) -> None:
    path = tmp_path / "eye.png"
    with path.open("wb") as file:
        file.truncate(file_limit(1000) + 1)
    sample = Sample("eye", path, {}, max_pixels=1000)
    with pytest.raises(DataError, match="bytes or more, and at most"):
        _ = sample.sha256
    with pytest.raises(DataError, match="bytes or more, and at most"):
        fingerprint([sample])


def test_commands_have_it(photograph: Path, tmp_path: Path) -> None:
    limit = ["--max-pixels", PIXELS - 1]
    found = tp_drseg("prior-map", photograph, "dots", "-o", tmp_path / "a.png", *limit)
    assert found.exit_code != 0 and f"more than {PIXELS - 1} pixels" in found.stderr
    data = ["--data", photograph.parents[1], "--format", "folder"]
    assert tp_drseg("check", *data, "--max-pixels", PIXELS).exit_code == 0
    found = tp_drseg("check", *data, *limit)
    assert found.exit_code == 1 and f"more than {PIXELS - 1} pixels" in found.stderr


def test_runs_of_training_have_it(photograph: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tp_drseg.training.split import split_data

    caplog.set_level(logging.INFO)
    data = DataConfig(root=str(photograph.parents[1]), format="folder", folds=0, max_pixels=100)
    catalog = LesionCatalog.default()
    with pytest.raises(DataError, match="more than 100 pixels"):
        split_data(data, catalog, catalog.names)
    split_data(data.replace(max_pixels=PIXELS), catalog, catalog.names)
