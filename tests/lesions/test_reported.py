"""Reading a file of lesions, after what users of other tools reported."""

from pathlib import Path

import pytest

from tp_drseg.lesions.lesion_file import read_lesions


@pytest.mark.parametrize("word", ["ON", "NO"])
def test_a_word_that_yaml_takes_for_yes_or_no(tmp_path: Path, word: str) -> None:
    text = f"lesions:\n- name: a lesion\n  abbreviation: {word}\n  descriptions: bright spots\n"
    (tmp_path / "lesions.yaml").write_text(text)
    assert read_lesions(tmp_path / "lesions.yaml")[0].abbreviation == word
