from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.typing.consumer import look

EXAMPLE = Path(__file__).parents[2] / "examples" / "retina_with_lesions.jpg"


@pytest.mark.usefixtures("one_tile")
def test_a_user_s_program_runs(tmp_path: Path) -> None:
    shares = look(EXAMPLE, tmp_path)
    assert shares["hard exudate"] > 0 and shares["twice"] > 0
    with Image.open(tmp_path / "exudates.png") as saved, Image.open(EXAMPLE) as photograph:
        assert saved.size == photograph.size
    assert (tmp_path / "overlay.png").is_file()
