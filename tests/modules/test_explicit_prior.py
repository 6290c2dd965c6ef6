from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tp_drseg.errors import PromptError
from tp_drseg.modules import explicit_prior
from tp_drseg.modules.clip import build_clip, encode_text, tokenize
from tp_drseg.modules.explicit_prior import ExplicitPriorEncoder, min_max, similarity
from tp_drseg.modules.network import TPDRSegNetwork

TEXTS = ("yellow spots", ["small red dots", "tiny round red dots"], "pale patches")


@pytest.fixture
def encoder(clip_architectures: dict[str, Any]) -> ExplicitPriorEncoder:
    torch.manual_seed(0)
    return ExplicitPriorEncoder(build_clip(clip_architectures["vit"]), image_size=64).double()


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def prior_by_loops(features: Tensor, text: list[float], inside: Tensor) -> Tensor:
    """Eq. 1 for one image, `(D, h, w)`, and one text feature, patch by patch."""
    height, width = features.shape[-2:]
    places = [(y, x) for y in range(height) for x in range(width) if inside[y, x]]
    cosines = {(y, x): cosine(features[:, y, x].tolist(), text) for y, x in places}
    low, high = min(cosines.values()), max(cosines.values())
    prior = torch.zeros(height, width, dtype=torch.float64)
    for place, value in cosines.items():
        prior[place] = (value - low) / (high - low)
    return prior


def text_by_loops(clip: Any, texts: str | list[str]) -> list[float]:
    mean: list[float] = []
    texts = [texts] if isinstance(texts, str) else texts
    for text in texts:
        feature = clip.encode_text(tokenize(clip, [text]))[0].tolist()
        length = math.sqrt(sum(v * v for v in feature))
        unit = [v / length / len(texts) for v in feature]
        mean = [m + u for m, u in zip(mean, unit, strict=True)] if mean else unit
    length = math.sqrt(sum(v * v for v in mean))
    return [v / length for v in mean]


@torch.no_grad()
def test_equation_1(encoder: ExplicitPriorEncoder) -> None:
    torch.manual_seed(1)
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    where = torch.rand(2, 1, 4, 6) > 0.3
    priors = encoder(images, TEXTS, where)
    assert priors.shape == (2, 3, 4, 6)
    features = encoder.image_features(images)
    for image in range(2):
        for index, texts in enumerate(TEXTS):
            text = encoder.text_features(texts).double()
            expected = prior_by_loops(features[image], text.tolist(), where[image, 0])
            torch.testing.assert_close(priors[image, index], expected, rtol=0, atol=1e-6)
            assert priors[image, index].amin() == 0
            assert priors[image, index].amax() == 1


@torch.no_grad()
def test_similarity_is_the_cosine() -> None:
    torch.manual_seed(2)
    image = torch.nn.functional.normalize(torch.randn(1, 5, 2, 3, dtype=torch.float64), dim=1)
    text = torch.nn.functional.normalize(torch.randn(2, 5, dtype=torch.float64), dim=1)
    result = similarity(image, text)
    for lesion in range(2):
        for y in range(2):
            for x in range(3):
                expected = cosine(image[0, :, y, x].tolist(), text[lesion].tolist())
                assert result[0, lesion, y, x].item() == pytest.approx(expected, abs=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("texts", TEXTS)
def test_descriptions_are_averaged(encoder: ExplicitPriorEncoder, texts: str | list[str]) -> None:
    feature = encoder.text_features(texts)
    expected = torch.tensor(text_by_loops(encoder.clip, texts))
    torch.testing.assert_close(feature.float(), expected, rtol=0, atol=1e-6)


def test_one_text_is_the_same_alone_and_in_a_list(encoder: ExplicitPriorEncoder) -> None:
    assert torch.equal(encoder.text_features("a spot"), encoder.text_features(["a spot"]))
    assert not torch.equal(encoder.text_features("a spot"), encoder.text_features("a dot"))


@pytest.mark.parametrize("texts", ["", "  \n", [], ["a spot", ""], [None]])
def test_empty_text_is_refused(encoder: ExplicitPriorEncoder, texts: Any) -> None:
    with pytest.raises(PromptError, match="not empty"):
        encoder.text_features(texts)


@torch.no_grad()
def test_images_are_normalised_as_clip_expects(encoder: ExplicitPriorEncoder) -> None:
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073], dtype=torch.float64)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711], dtype=torch.float64)
    seen: list[Tensor] = []
    encoder.clip.visual.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    features = encoder.image_features(image)
    expected = (image - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(1, 4, 4, dtype=torch.float64))


@pytest.mark.parametrize("noise", [0.0, 1e-8])
@pytest.mark.parametrize("masked", [False, True])
def test_constant_similarity_gives_no_prior(noise: float, masked: bool) -> None:
    torch.manual_seed(3)
    constant = 0.3 + noise * torch.randn(1, 2, 4, 4, dtype=torch.float64)
    where = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    where[..., 0] = False
    constant[..., 0] = 0.9  # outside, so no extreme
    prior = min_max(constant, where) if masked else min_max(constant[..., 1:])
    assert torch.equal(prior, torch.zeros_like(prior))


def test_nowhere_gives_no_prior() -> None:
    prior = min_max(torch.rand(1, 2, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool))
    assert torch.equal(prior, torch.zeros(1, 2, 4, 4))


def test_prior_is_zero_outside() -> None:
    torch.manual_seed(4)
    similarities = torch.rand(2, 3, 4, 4)
    where = torch.rand(2, 1, 4, 4) > 0.5
    prior = min_max(similarities, where)
    outside = (~where).expand_as(prior)
    assert (prior[outside] == 0).all()
    # what lies outside has no say
    changed = torch.where(outside, torch.full_like(similarities, -9), similarities)
    assert torch.equal(min_max(changed, where), prior)


class CountedTexts:
    """Counts the descriptions that CLIP reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0

        def counted(clip: Any, tokens: Tensor) -> Tensor:
            self.count += len(tokens)
            return encode_text(clip, tokens)

        monkeypatch.setattr(explicit_prior, "encode_text", counted)


def test_a_description_is_read_once(
    encoder: ExplicitPriorEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = CountedTexts(monkeypatch)
    with torch.inference_mode():
        first = encoder.text_features(["yellow spots", "pale patches"])
        first_again = encoder.text_features(("yellow spots", "pale patches")).clone()
        assert torch.equal(first, first_again) and counted.count == 2
        first.zero_()
    assert torch.equal(encoder.text_features(["yellow spots", "pale patches"]), first_again)
    kept = encoder.text_features(("yellow spots", "pale patches"))
    assert not kept.is_inference() and not kept.requires_grad
    encoder.text_features("pale patches")
    assert counted.count == 3


@pytest.mark.parametrize("change", ["in place", "type", "loaded", "assigned"])
def test_other_weights_read_it_anew(encoder: ExplicitPriorEncoder, change: str) -> None:
    before = encoder.text_features("yellow spots")
    state = {
        k: v + 0.1 * torch.rand_like(v) if v.is_floating_point() else v
        for k, v in encoder.state_dict().items()
    }
    if change == "in place":
        with torch.no_grad():
            encoder.clip.text_projection.add_(torch.rand_like(encoder.clip.text_projection))
    elif change == "type":
        encoder.float()
    else:
        encoder.load_state_dict(state, assign=change == "assigned")
    after = encoder.text_features("yellow spots")
    assert not torch.equal(before, after.to(before.dtype))
    encoder._texts_read.clear()
    assert torch.equal(encoder.text_features("yellow spots"), after)


def test_kept_descriptions_are_bounded(
    encoder: ExplicitPriorEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explicit_prior, "_MOST_TEXTS", 3)
    for number in range(8):
        encoder.text_features(f"{number} spots")
        assert 1 <= len(encoder._texts_read) <= 3
    copied = copy.deepcopy(encoder)
    copied.load_state_dict(encoder.state_dict())
    assert encoder._texts_read and not copied._texts_read


def test_what_clip_cannot_read_of_a_text_is_refused(small_network: TPDRSegNetwork) -> None:
    encoder = small_network.explicit_prior
    long = "a yellowish deposit in the retina " * 12 + "with sharp margins"
    with pytest.raises(PromptError, match=r"has \d+ tokens.*at most 75.*'a yellowish"):
        encoder.text_features([long])
    encoder.text_features("a " * 75)
    with pytest.raises(PromptError, match="has 76 tokens"):
        encoder.text_features("a " * 76)
