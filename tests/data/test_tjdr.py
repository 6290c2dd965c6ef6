from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tp_drseg.data.check import check
from tp_drseg.data.samples import read_mask
from tp_drseg.data.tjdr import read_tjdr
from tp_drseg.errors import DataError

INDEX = {"hard exudate": 1, "haemorrhage": 2, "microaneurysm": 3, "soft exudate": 4}


@pytest.fixture
def root(tmp_path: Path, photograph: Any, mask: Any, clutter: Any) -> Path:
    """Two photographs a split: the first with haemorrhages, the second with nothing."""
    home = tmp_path / "TJDR"
    for split in ("train", "test"):
        for number, value in (("001", 2), ("002", 0)):
            name = f"TJDR_{split}_{number}.png"
            photograph(home / split / "image" / name)
            mask(home / split / "annotation" / name, value, palette=True)
    clutter(tmp_path)
    return tmp_path


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_split(root: Path, split: str) -> None:
    first, second = read_tjdr(root, split)
    assert (first.name, second.name) == (f"TJDR_{split}_001", f"TJDR_{split}_002")
    assert first.image == root / "TJDR" / split / "image" / f"TJDR_{split}_001.png"
    assert set(first.masks) == set(INDEX)
    counts = {c.lesion: c for c in check([first, second], INDEX).lesions}
    # An index that a map of several lesions does not use is an absent lesion, not an empty mask.
    assert (counts["haemorrhage"].present, counts["haemorrhage"].absent) == (1, 1)
    assert (counts["microaneurysm"].absent, counts["microaneurysm"].empty) == (2, 0)


def test_each_index_is_its_lesion(root: Path) -> None:
    labels = np.arange(36 * 48, dtype=np.uint8).reshape(36, 48) % 5
    path = root / "TJDR" / "train" / "annotation" / "TJDR_train_001.png"
    with Image.open(path) as file:
        palette = file.getpalette()
    assert palette is not None
    image = Image.fromarray(labels)
    image.putpalette(palette)
    image.save(path)
    first, _ = read_tjdr(root)
    for lesion, index in INDEX.items():
        np.testing.assert_array_equal(read_mask(first.masks[lesion], (36, 48)), labels == index)


def test_unknown_index(root: Path, mask: Any) -> None:
    mask(root / "TJDR" / "train" / "annotation" / "TJDR_train_001.png", 7)
    with pytest.raises(DataError, match=r"^The mask .*_001\.png' has the values 7; only 0, 1, 2"):
        check(read_tjdr(root), INDEX)


def test_bad_trees(root: Path, mask: Any) -> None:
    home = root / "TJDR" / "train"
    (home / "annotation" / "TJDR_train_002.png").rename(home / "annotation" / "TJDR_train_9.png")
    with pytest.raises(DataError) as caught:
        read_tjdr(root)
    _, orphan, bare = str(caught.value).splitlines()
    assert "belong to no image: TJDR_train_9" in orphan
    assert "no label map" in bare and "TJDR_train_002" in bare and "archives" in bare
    (home / "image").rename(home / "images")
    with pytest.raises(DataError, match=r"no folder .*train/image\. .*holds: .*annotation"):
        read_tjdr(root)
    with pytest.raises(DataError, match=r"no split 'valid'.*train, test"):
        read_tjdr(root, "valid")
    with pytest.raises(DataError, match=r"No TJDR data.*'train/annotation'"):
        read_tjdr(home)
