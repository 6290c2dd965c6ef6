from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.ablations import priors
from tp_drseg.model import TPDRSeg

EXAMPLE = Path(__file__).parents[3] / "examples" / "retina.jpg"


def test_prior_maps_stand_side_by_side(make_model: Callable[..., TPDRSeg], tmp_path: Path) -> None:
    start = make_model().save_pretrained(tmp_path / "start")
    picture = tmp_path / "priors.png"
    arguments = [str(EXAMPLE), "--start", str(start), "--out", str(picture)]
    priors.main([*arguments, "--lesion", "HE"])
    with Image.open(picture) as file:
        found = np.asarray(file.convert("RGB")).astype(int)
    assert found.shape[1] == 3 * 640 and found.shape[0] > 640
    photograph, name, description = np.split(found[:640], 3, axis=1)
    assert np.abs(name - description).mean() > 1
    with Image.open(EXAMPLE) as file:
        small = np.asarray(file.convert("RGB").resize((640, 640), Image.Resampling.LANCZOS))
    assert np.abs(photograph - small).mean() < 1
