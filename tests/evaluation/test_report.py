from __future__ import annotations

import base64
import re
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tp_drseg.config import LearnedPhotograph, Provenance
from tp_drseg.errors import MissingExtraError
from tp_drseg.evaluation.convention import conventions
from tp_drseg.evaluation.evaluate import FROC_THRESHOLDS, Fold, evaluate_folds
from tp_drseg.evaluation.gallery import Gallery
from tp_drseg.evaluation.predictions import Descriptions, Prediction
from tp_drseg.evaluation.report import write_report

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page shows and links to; refuses tags that do not close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.jumps: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name == "src"]
        self.places |= {value or "" for name, value in attrs if name == "id"}
        for name, value in attrs:
            if name == "href":
                assert value is not None and value.startswith("#")
                self.jumps.append(value[1:])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report(
    given: Any, fake_model: Any, make_prediction: Callable[..., Prediction], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    seen = [make_prediction(name, seed) for seed, name in enumerate(("<b>eye</b>", "b", "c", "d"))]
    samples, free = given(*seen), given(make_prediction("clean", 9, share=0))
    gallery = Gallery(each=1)
    measured = evaluate_folds(
        [Fold(fake_model, samples, free)], bootstrap=50, froc=FROC_THRESHOLDS, watch=gallery
    )
    path = tmp_path / "new" / "report.html"
    write_report(path, measured, gallery, model="a model & more\u202e", data="photographs \udcff")
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    assert page.jumps and set(page.jumps) <= page.places
    assert page.text.index("For research only.") < page.text.index("AUC-PR")
    for sentence in measured[Descriptions.OWN].split.sentences():
        assert sentence in page.text
    assert 'class="box yes"' in source and "not held out" not in page.text
    assert page.links and all(link.startswith("data:image/") for link in page.links)
    assert not re.search(r"https?:|@import|url\(|<script|<link", source)
    kinds = [link.partition(";")[0] for link in page.links]
    assert kinds.count("data:image/svg+xml") == 2  # precision-recall and free response
    assert kinds.count("data:image/jpeg") == 2 * 3  # whole and detail; best, worst, false
    for link in page.links:
        content = base64.b64decode(link.partition(",")[2], validate=True)
        assert content[:2] == b"\xff\xd8" or b"<svg" in content
    assert "\u202e" not in source and "photographs \\udcff" in page.text
    assert "a model & more\\u202e" in page.text and "<b>eye</b>" in page.text
    (score,) = (s for s in measured[Descriptions.OWN] if s.photographs)
    for name in ("average_precision", "pooled_dice", "dice_per_image", "lesion_sensitivity"):
        low, high = score.intervals[name]
        assert f"{getattr(score, name):.3f}" in page.text and f"{low:.2f}-{high:.2f}" in page.text
    for title, text in conventions().items():
        assert title in page.text and text in page.text
    best = gallery.best("haemorrhage")[0].score
    assert f"Dice {best.dice:.2f}" in page.text


@pytest.mark.parametrize(
    ("provenance", "standing", "words"),
    [
        (Provenance(), "unknown", "unknown whether held out"),
        (
            Provenance(photographs=(LearnedPhotograph(name="x", sha256=sha256(b"a").hexdigest()),)),
            "no",
            "not held out",
        ),
    ],
)
def test_a_report_says_what_is_not_held_out(
    provenance: Provenance,
    standing: str,
    words: str,
    given: Any,
    fake_model: Any,
    make_prediction: Callable[..., Prediction],
    tmp_path: Path,
) -> None:
    pytest.importorskip("matplotlib")
    fake_model.config = fake_model.config.replace(provenance=provenance)
    samples = given(make_prediction("a", 1))
    measured = evaluate_folds([Fold(fake_model, samples)], bootstrap=0, include_learned=True)
    path = tmp_path / "report.html"
    write_report(path, measured, Gallery(), model="m", data="d")
    source = path.read_text(encoding="utf-8")
    assert f'class="box {standing}"' in source
    assert f"AUC-PR, pooled pixels ({words})" in source
    assert f"Pixels, pooled ({words})" in source


@pytest.mark.parametrize("name", ["matplotlib", "jinja2"])
def test_without_the_extra(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tp_drseg._runtime.extras.find_spec",
        lambda wanted: None if wanted == name else find_spec("json"),
    )
    with pytest.raises(MissingExtraError, match=rf"{name} is not installed.*tp-drseg\[report\]"):
        write_report(tmp_path / "report.html", {}, Gallery(), model="", data="")
    assert not list(tmp_path.iterdir())
