from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from tp_drseg.inference.prior import CLIPFeatures
from tp_drseg.model import TPDRSeg
from tp_drseg.training.data import clip_cache
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.clip_cache import features_of


def same(one: list[CLIPFeatures], other: list[CLIPFeatures]) -> bool:
    return all(
        torch.equal(a.dense, b.dense) and torch.equal(a.inside, b.inside)
        for a, b in zip(one, other, strict=True)
    )


def test_what_is_kept_is_what_was_computed(
    model: TPDRSeg, photographs: list[AnnotatedImage], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    plain = features_of(model, photographs)
    assert same(features_of(model, photographs, tmp_path / "kept"), plain)
    files = sorted((tmp_path / "kept").iterdir())
    assert len(files) == 3
    with monkeypatch.context() as patch:
        patch.setattr(clip_cache, "_computed", lambda *given: pytest.fail("It was kept."))
        assert same(features_of(model, photographs, tmp_path / "kept"), plain)
    files[0].write_bytes(b"no tensors")
    with caplog.at_level(logging.WARNING):
        assert same(features_of(model, photographs, tmp_path / "kept"), plain)
    assert files[0].name in caplog.text


def test_another_clip_makes_its_own(
    model: TPDRSeg, photographs: list[AnnotatedImage], tmp_path: Path
) -> None:
    before = features_of(model, photographs, tmp_path)
    with torch.no_grad():
        for parameter in model.network.explicit_prior.clip.visual.parameters():
            parameter.mul_(1.1)
    after = features_of(model, photographs, tmp_path)
    assert not same(before, after) and same(after, features_of(model, photographs))
    assert len(list(tmp_path.iterdir())) == 6
