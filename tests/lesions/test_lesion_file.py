from __future__ import annotations

from pathlib import Path

import pytest

from tp_drseg.errors import ConfigError, LesionError
from tp_drseg.lesions.lesion_file import read_lesions


def write(folder: Path, text: str) -> Path:
    path = folder / "lesions.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_texts_and_sources_are_read(tmp_path: Path) -> None:
    disc, drusen = read_lesions(
        write(
            tmp_path,
            """
            sources: {me: "My notes, 2020"}
            lesions:
              - name: optic disc
                abbreviation: OD
                aliases: [papilla]
                descriptions: [a bright disc, {text: a pale circle, source: me}]
              - name: drusen
                abbreviation: DR
                descriptions: small yellow dots
            """,
        )
    )
    assert (disc.name, disc.abbreviation, disc.aliases) == ("optic disc", "OD", ("papilla",))
    assert disc.texts == ("a bright disc", "a pale circle")
    assert [d.source for d in disc.descriptions] == ["", "My notes, 2020"]
    assert drusen.texts == ("small yellow dots",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "YAML"),
        ("- 1", "named fields"),
        ("lesions: 3", "lesions:"),
        ("lesions: [{name: a, abbreviation: A}]", "descriptions"),
        ("lesions: [{name: a, abbreviation: A, descriptions: x, colour: red}]", "colour"),
        ("lesions: [{name: a, abbreviation: A, descriptions: [{text: x, source: y}]}]", "source"),
        ("lesions: [{name: a, abbreviation: A, descriptions: [3]}]", "descriptions"),
    ],
)
def test_a_wrong_file_is_named_with_its_field(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_lesions(path)
    assert str(path) in str(caught.value)


def test_a_lesion_without_a_description_is_no_lesion(tmp_path: Path) -> None:
    with pytest.raises(LesionError, match=r"lesions\.yaml: .*descriptions"):
        read_lesions(write(tmp_path, "lesions: [{name: a, abbreviation: A, descriptions: []}]"))


def test_texts_over_several_lines_are_one_line(tmp_path: Path) -> None:
    text = """
        lesions:
          - name: drusen
            abbreviation: NO
            descriptions:
              - >
                small yellow
                dots
              - {text: "pale
                spots"}
        """
    (drusen,) = read_lesions(write(tmp_path, text))
    assert drusen.texts == ("small yellow dots", "pale spots") and drusen.abbreviation == "NO"


def test_a_number_is_no_abbreviation(tmp_path: Path) -> None:
    text = "lesions: [{name: a, abbreviation: 12, descriptions: x}]"
    with pytest.raises(ConfigError, match=r"must be a text, got 12\. Put it in quotes"):
        read_lesions(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml"):
        read_lesions(tmp_path / "no.yaml")
