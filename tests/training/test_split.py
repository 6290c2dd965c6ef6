from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tp_drseg.config import LearnedPhotograph, Provenance
from tp_drseg.data.files import file_sha256
from tp_drseg.lesions import LesionCatalog
from tp_drseg.training.run_config import DataConfig
from tp_drseg.training.split import content, split_data, warn_of_learned


@pytest.fixture
def data(data_set: Path) -> DataConfig:
    return DataConfig(
        root=str(data_set / "photographs"), format="folder", folds=3,
        lesion_free=str(data_set / "healthy"), lesion_free_held_out=1,
    )  # fmt: skip


def test_no_photograph_is_on_both_sides(data: DataConfig, catalog: LesionCatalog) -> None:
    for fold in range(3):
        split = split_data(data.replace(fold=fold), catalog, catalog.names)
        parts = [{sample.image for sample in part} for part in vars(split).values()]
        assert [len(part) for part in parts] == [6, 2, 1, 0, 0]
        assert len(set().union(*parts)) == 9
    everything = split_data(data.replace(folds=0, lesion_free_held_out=9), catalog, catalog.names)
    assert [len(part) for part in vars(everything).values()] == [6, 0, 3, 0, 0]


def test_the_first_of_each_kind(data: DataConfig, catalog: LesionCatalog) -> None:
    whole = split_data(data, catalog, catalog.names)
    few = split_data(data.replace(limit=1), catalog, catalog.names)
    assert [s.name for s in few.training] == [whole.training[0].name, "healthy6"]
    assert few.validation == whole.validation[:1] and few.lesion_free == whole.lesion_free


def test_photographs_without_masks(
    data: DataConfig, data_set: Path, catalog: LesionCatalog, tmp_path: Path
) -> None:
    """Those of grade 0 join the lesion-free ones, and every other is kept out of all."""
    grades = tmp_path / "grades.csv"
    grades.write_text("image,retinopathy_grade\nhealthy6.png,2\nhealthy7.png,3\nhealthy8.png,0")
    folder = str(data_set / "healthy")
    given = data.replace(lesion_free=None, unlabelled=(folder,), grades=str(grades))
    for every, expected in (
        (0, {"unlabelled": ["healthy6", "healthy7"], "lesion_free": [], "kept_out": []}),
        (2, {"unlabelled": ["healthy7"], "lesion_free": ["healthy8"], "kept_out": ["healthy6"]}),
    ):
        split = split_data(given.replace(unlabelled_held_out=every), catalog, catalog.names)
        found = {part: [s.name for s in samples] for part, samples in vars(split).items()}
        assert {part: found[part] for part in expected} == expected
        assert ("healthy8" in found["training"]) == (every == 0)
        assert {s.name for s in split.learned} == {*found["training"], *found["unlabelled"]}
        assert split.to_dict().keys() == {part for part, names in found.items() if names}


def test_only_masks_of_what_learns(data: DataConfig, catalog: LesionCatalog) -> None:
    split = split_data(data, catalog, ["hard exudate"])
    for part in vars(split).values():
        assert all(sample.masks.keys() == {"hard exudate"} for sample in part)


def test_photographs_are_known_by_their_content(data: DataConfig, catalog: LesionCatalog) -> None:
    split = split_data(data, catalog, catalog.names)
    assert [p.name for p in content(split.validation)] == ["eye0", "eye3"]
    assert content(split.validation)[0].sha256 == file_sha256(split.validation[0].image)


def test_a_warning_of_what_the_parent_has_learned_from(
    data: DataConfig, catalog: LesionCatalog, caplog: pytest.LogCaptureFixture
) -> None:
    validation = split_data(data, catalog, catalog.names).validation
    with caplog.at_level(logging.WARNING):
        warn_of_learned(Provenance(), validation)
        warn_of_learned(
            Provenance(photographs=(LearnedPhotograph(name="eye0", sha256="0" * 64),)), validation
        )
    assert not caplog.records
    known = LearnedPhotograph(name="another name", sha256=file_sha256(validation[1].image))
    warn_of_learned(Provenance(photographs=(known,)), validation)
    assert "1 of the 2 validation photographs (eye3)" in caplog.text
