"""What guided fuzzing begins with: each reader takes its corpus, or refuses it with our errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability.guided import targets
from tp_drseg.errors import TPDRSegError


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["images", "masks", "config", "run", "lesions", "records"])
def test_corpus(name: str, tmp_path: Path) -> None:
    read, files = targets()[name]
    taken = 0
    for data in files.values():
        (tmp_path / "file").write_bytes(data)
        try:
            read(tmp_path / "file")
        except TPDRSegError:
            continue
        taken += 1
    assert 0 < taken <= len(files)
