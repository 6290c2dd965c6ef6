from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from tp_drseg.modules.network import TPDRSegNetwork
from tp_drseg.modules.points import BOTTOM_RIGHT, FOREGROUND, TOP_LEFT, Points

BOTH_KINDS = pytest.mark.parametrize("small_config", ["tiny_vit", "vit"], indirect=True)
Stir = Callable[[nn.Module], nn.Module]
MakeNetwork = Callable[..., TPDRSegNetwork]


@pytest.fixture
def network(small_network: TPDRSegNetwork, stir: Stir) -> TPDRSegNetwork:
    """A network in which every part has a say."""
    stir(small_network)
    return small_network


def inputs(images: int, lesions: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.rand(images, 3, 64, 64, generator=generator) * 255,
        torch.rand(images, lesions, 4, 4, generator=generator),
        torch.tensor([2, 0, 3, 1][:lesions]),
    )


@pytest.fixture(autouse=True)
def _no_gradient() -> Iterator[None]:
    with torch.no_grad():
        yield


@BOTH_KINDS
def test_shapes(network: TPDRSegNetwork) -> None:
    images, priors, classes = inputs(2, 3)
    logits = network(images, priors, classes)
    side = 32 if network.architecture.detail else 16
    assert logits.shape == (2, 3, side, side) and logits.isfinite().all()
    assert torch.equal(logits, network(images, priors, classes))


@BOTH_KINDS
def test_many_at_once_are_as_one_at_a_time(network: TPDRSegNetwork) -> None:
    images, priors, classes = inputs(2, 3)
    together = network(images, priors, classes)
    assert together.std() > 1e-3
    for b in range(2):
        for i in range(3):
            alone = network(images[b : b + 1], priors[b : b + 1, i : i + 1], classes[i : i + 1])
            torch.testing.assert_close(alone[0, 0], together[b, i], rtol=1e-3, atol=1e-4)
    # the comparison above can fail: neither image, prior nor class is without effect
    assert not torch.allclose(together[0], together[1], atol=1e-3)
    other_class = network(images, priors, classes.flip(0))
    assert not torch.allclose(other_class[:, 0], together[:, 0], atol=1e-3)
    other_prior = network(images, priors.flip(1), classes)
    assert not torch.allclose(other_prior[:, 0], together[:, 0], atol=1e-3)


@pytest.mark.parametrize("clicked", [False, True])
@pytest.mark.parametrize(
    ("kind", "detail"), [("tiny_vit", True), ("tiny_vit", False), ("vit", False)]
)
def test_bf16_is_close_to_float32(
    make_network: MakeNetwork, stir: Stir, kind: str, detail: bool, clicked: bool
) -> None:
    network = make_network(kind, detail=detail)
    stir(network)
    images, priors, classes = inputs(2, 3)
    points = (
        Points(torch.full((6, 2, 2), 20.0), torch.tensor([[FOREGROUND, FOREGROUND]] * 6))
        if clicked
        else None
    )
    expected = network(images, priors, classes, points)
    network.to(torch.bfloat16)
    assert network.dtype == torch.bfloat16
    found = network(images, priors, classes, points)
    assert found.dtype == torch.float32 and found.shape == expected.shape
    assert not torch.equal(found, expected)  # it was another computation
    error = (found - expected).square().mean().sqrt() / (expected - expected.mean()).std()
    assert error < 0.1
    assert torch.equal(network(images, priors, classes, points), found)


@BOTH_KINDS
def test_priors_in_bf16(network: TPDRSegNetwork) -> None:
    images = inputs(1, 1)[0] / 255
    texts = ["yellow spots", "dark red dots"]
    expected = network.explicit_prior(images, texts)
    network.to(torch.bfloat16)
    features = network.explicit_prior.image_features(images)
    assert features.dtype == network.explicit_prior.text_features(texts).dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones_like(features[:, 0]))
    found = network.explicit_prior(images, texts)
    assert found.dtype == torch.float32 and found.min() == 0 and found.max() == 1
    assert not torch.equal(found, expected)
    assert (found - expected).square().mean().sqrt() < 0.05


@pytest.mark.parametrize("injector_blocks", [(2,), (0, 3)])
def test_what_tiny_vit_shares_is_not_rounded(
    make_network: MakeNetwork, injector_blocks: tuple[int, ...]
) -> None:
    """Up to the first injector it is float32's own, cast; what follows it is bf16's."""
    images = inputs(1, 1)[0]
    network = make_network("tiny_vit", injector_blocks=injector_blocks)
    expected = network.encode_image(images).feature
    outputs = network.image_encoder.encode_image(
        (images - network.pixel_mean) / network.pixel_std
    ).detail
    network.to(torch.bfloat16)
    assert torch.equal(network.encode_image(images).feature, expected.bfloat16())
    rounded = network.image_encoder.encode_image(
        (images - network.pixel_mean) / network.pixel_std
    ).detail
    first = injector_blocks[0]
    for block, one, other in zip(
        network.image_encoder.backbone.detail_blocks, rounded, outputs, strict=True
    ):
        assert one.dtype == (torch.float32 if block <= first else torch.bfloat16)
        assert torch.equal(one, other) == (block <= first)


def test_points_reach_their_own_prompt(network: TPDRSegNetwork) -> None:
    images, priors, classes = inputs(2, 2)
    coords = torch.full((4, 2, 2), 20.0)
    labels = torch.tensor([[FOREGROUND, FOREGROUND]] * 4)
    before = network(images, priors, classes, Points(coords, labels))
    assert before.shape == (2, 2, 32, 32)
    # the second lesion of the first image gets a box in place of the points
    labels[1] = torch.tensor([TOP_LEFT, BOTTOM_RIGHT])
    coords[1, 1] = 50.0
    after = network(images, priors, classes, Points(coords, labels))
    changed = (after - before).abs().amax(dim=(-2, -1))
    assert changed[0, 1] > 1e-4
    changed[0, 1] = 0
    assert changed.max() < 1e-5
    plain = network(images, priors, classes)
    assert not torch.allclose(plain, before, atol=1e-4)


@BOTH_KINDS
def test_what_learns(network: TPDRSegNetwork) -> None:
    learning = {name.split(".")[0] for name, _ in network.trained_parameters()}
    parts = {"image_encoder", "prompt_generator", "mask_decoder"}
    assert learning == parts | ({"detail_head"} if network.detail_head is not None else set())
    for name, _ in network.trained_parameters():
        assert not name.startswith("image_encoder.") or ".injectors." in name
    network.train()
    assert not network.explicit_prior.clip.training
    assert not network.image_encoder.backbone.training
