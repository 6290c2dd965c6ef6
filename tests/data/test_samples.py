from pathlib import Path

import pytest

from tp_drseg.data.samples import Sample, hold_out, read_lesion_free, split_folds
from tp_drseg.errors import DataError

SAMPLES = [Sample(f"IDRiD_{n:02d}", Path(), {}) for n in range(54, 0, -1)]


def test_lesion_free_photographs(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.JPG", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    samples = read_lesion_free(tmp_path, ["microaneurysm", "hard exudate"])
    assert [(sample.name, sample.image) for sample in samples] == [
        ("a", tmp_path / "a.JPG"),
        ("b", tmp_path / "b.jpg"),
    ]
    assert samples[0].masks == {"microaneurysm": None, "hard exudate": None}


def test_lesion_free_folder_without_photographs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        read_lesion_free(tmp_path, ["microaneurysm"])
    with pytest.raises(DataError, match="no folder"):
        read_lesion_free(tmp_path / "gone", ["microaneurysm"])


def test_hold_out_takes_every_fifth_by_name() -> None:
    training, validation = hold_out(SAMPLES)
    assert [s.name for s in validation] == [f"IDRiD_{n:02d}" for n in range(1, 55, 5)]
    assert len(validation) == 11
    assert {s.name for s in training} | {s.name for s in validation} == {s.name for s in SAMPLES}
    assert len(training) == 43
    with pytest.raises(DataError, match="every=1"):
        hold_out(SAMPLES, every=1)


def test_each_sample_is_for_validation_in_one_fold() -> None:
    seen: list[str] = []
    for fold in range(4):
        training, validation = split_folds(SAMPLES, 4, fold)
        names = [s.name for s in validation]
        assert names == [f"IDRiD_{n:02d}" for n in range(1 + fold, 55, 4)]
        assert [s.name for s in training] == sorted({s.name for s in SAMPLES} - set(names))
        seen += names
    assert sorted(seen) == sorted(s.name for s in SAMPLES)
    assert split_folds(SAMPLES, 5, 0) == hold_out(SAMPLES, 5)
    assert split_folds(SAMPLES[::-1], 4, 1) == split_folds(SAMPLES, 4, 1)


@pytest.mark.parametrize(
    ("folds", "fold", "words"),
    [
        (1, 0, "54 samples cannot be split into 1 folds. Use 2 to 54"),
        (55, 0, "into 55 folds"),
        (5, 5, "no fold 5 among 5. Use 0 to 4"),
        (5, -1, "no fold -1"),
    ],
)
def test_folds_out_of_range(folds: int, fold: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        split_folds(SAMPLES, folds, fold)
    with pytest.raises(DataError, match="2 samples or more; there are 1"):
        split_folds(SAMPLES[:1], 2, 0)
