from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from tp_drseg.errors import FundusWarning, ImageError
from tp_drseg.inference.view import FundusView
from tp_drseg.model import TPDRSeg

Y, X = np.mgrid[:200, :260]
MakeModel = Callable[..., TPDRSeg]
pytestmark = pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")


def whole(cut: int = 200) -> NDArray[np.uint8]:
    """A disc of radius 95 about (130, 100), reddish brown; rows from `cut` on are cut off."""
    image = np.zeros((200, 260, 3), np.uint8)
    image[np.hypot(Y - 100, X - 130) < 95] = (140, 100, 70)
    return image[:cut]


def test_frames(make_model: MakeModel) -> None:
    view = FundusView(make_model(working_diameter=100), whole())
    assert view.image.shape == (200, 260, 3)
    left, top, right, bottom = view.frame.box
    assert abs(left - 36) <= 1 and abs(right - 225) <= 1
    assert abs(top - 6) <= 1 and abs(bottom - 195) <= 1
    assert view.frame.size == (100, 100)
    assert view.padded_size == (112, 112)
    image = view.working_image
    assert image.shape == (1, 3, 112, 112) and image.dtype == torch.float32
    assert not image[..., 100:, :].any() and not image[..., 100:].any()
    torch.testing.assert_close(
        image[0, :, 50, 50], torch.tensor([140.0, 100.0, 70.0]), rtol=0, atol=1
    )


def test_a_small_or_cut_field_of_view_is_padded_to_a_tile(make_model: MakeModel) -> None:
    view = FundusView(make_model(working_diameter=64), whole(cut=150))
    height, width = view.frame.size
    assert width == 64 and height < 60
    assert view.padded_size == (64, 64)
    assert not view.working_image[..., height:, :].any()
    large = FundusView(make_model(working_diameter=160), whole(cut=150))
    height, width = large.padded_size
    assert width == 160 and large.frame.size[0] <= height < large.frame.size[0] + 16
    assert height % 16 == 0


@pytest.mark.parametrize("diameter", [100, 150, 380])
def test_there_and_back(make_model: MakeModel, diameter: int) -> None:
    view = FundusView(make_model(working_diameter=diameter), whole())
    mask = np.zeros((200, 260), bool)
    for y, x, radius in ((60, 100, 9), (140, 170, 12), (100, 60, 7)):
        mask |= np.hypot(Y - y, X - x) < radius
    working = torch.zeros(1, *view.padded_size)
    height, width = view.frame.size
    working[0, :height, :width] = torch.from_numpy(view.frame.apply_mask(mask))
    found = view.restore(working)[0] >= 0.5
    assert (ndimage.binary_erosion(mask, np.ones((3, 3))) <= found).all()
    assert (found <= ndimage.binary_dilation(mask, np.ones((3, 3)))).all()


def test_restored_values(make_model: MakeModel) -> None:
    view = FundusView(make_model(working_diameter=100), whole())
    restored = view.restore(torch.ones(2, *view.padded_size))
    assert restored.shape == (2, 200, 260) and restored.dtype == np.float32
    field = view.field_of_view.mask
    assert (restored[:, field] == 1).all() and not restored[:, ~field].any()
    assert view.restore(torch.rand(1, *view.padded_size)).max() <= 1


@pytest.mark.parametrize("cut", [200, 150])
@pytest.mark.parametrize("diameter", [64, 150])
def test_priors_lie_over_the_image(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, cut: int, diameter: int
) -> None:
    """CLIP is replaced by one that sees green: the prior is then the green of the photograph."""
    image = whole(cut)
    mark = (np.hypot(Y - 60, X - 170) < 20)[:cut]
    image[mark] = (140, 250, 70)
    model = make_model(working_diameter=diameter)

    def features(images: torch.Tensor) -> torch.Tensor:
        assert images.shape == (1, 3, 128, 128) and images.max() <= 1
        return torch.nn.functional.avg_pool2d(images[:, 1:2], 4)

    monkeypatch.setattr(model.explicit_prior, "image_features", features)
    monkeypatch.setattr(model.explicit_prior, "text_features", lambda text: torch.ones(1))
    view = FundusView(model, image)
    priors = view.priors([["bright green"], ["the same"]])
    assert priors.shape == (1, 2, 32, 32)
    assert priors.min() == 0 and priors.max() == 1
    working = view.working_priors(priors)
    assert working.shape == (1, 2, *view.padded_size)
    found = view.restore(working[0])[1]
    rows, columns = np.nonzero(found >= 0.6)
    np.testing.assert_allclose((rows.mean(), columns.mean()), (60, 170), atol=1.5)
    np.testing.assert_allclose((np.ptp(rows), np.ptp(columns)), 39, atol=5)


def test_clip_looks_once(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    looks: list[torch.Tensor] = []
    original = model.explicit_prior.image_features

    def features(images: torch.Tensor) -> torch.Tensor:
        looks.append(images)
        return original(images)

    monkeypatch.setattr(model.explicit_prior, "image_features", features)
    view = FundusView(model, whole())
    first, second = view.priors([["a", "b"]]), view.priors([["c"], ["a", "b"]])
    assert len(looks) == 1
    torch.testing.assert_close(first[:, 0], second[:, 1])


def test_black_photographs_are_refused(make_model: MakeModel) -> None:
    with pytest.raises(ImageError):
        FundusView(make_model(), np.zeros((100, 100, 3), np.uint8))


@pytest.fixture
def lesions() -> NDArray[np.uint8]:
    """A photograph with something to see in every tile."""
    image = whole()
    for y in range(30, 180, 20):
        for x in range(60, 210, 25):
            image[np.hypot(Y - y, X - x) < 4] = (200 + (x + y) % 50, 180, 60)
    image[np.hypot(Y - 100, X - 130) >= 95] = 0
    return image


class Counted:
    """Counts the calls of the model's parts."""

    def __init__(self, model: TPDRSeg, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts = {"shared": 0, "prompt": 0, "predict": 0}
        for name in self.counts:
            monkeypatch.setattr(model, name, self.counting(name, getattr(model, name)))

    def counting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.counts[name] += 1
            return method(*arguments)

        return counted

    def __call__(self) -> tuple[int, int, int]:
        counts = self.counts["shared"], self.counts["prompt"], self.counts["predict"]
        self.counts.update(shared=0, prompt=0, predict=0)
        return counts


def test_an_open_photograph_computes_only_what_is_new(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, lesions: NDArray[np.uint8]
) -> None:
    model = make_model(working_diameter=160, tile_overlap=0.25)
    counted = Counted(model, monkeypatch)
    with model.open(lesions) as view:
        count = len(view.tiles.corners)
        assert count > 4
        view.segment("HE")
        assert counted() == (count, count, count)
        view.segment("EX")
        assert counted() == (0, count, count)
        view.segment(["EX", "HE"], threshold=0.3)
        assert counted() == (0, 0, 0)
        view.segment("EX", description="yellow")
        assert counted() == (0, count, count)
        view.segment("EX", points=[(130, 100, 1)])
        shared, prompt, predict = counted()
        assert (shared, prompt) == (0, 0) and 0 < predict < count
    view.segment("EX")
    assert counted() == (count, count, count)


def test_an_open_photograph_answers_as_a_closed_one(
    make_model: MakeModel, lesions: NDArray[np.uint8], stir: Callable[[Any], Any]
) -> None:
    model = stir(make_model(working_diameter=160))
    questions: list[dict[str, Any]] = [
        {"lesion": "EX"},
        {"lesion": None},
        {"lesion": "HE", "description": "dark red blots"},
        {"lesion": "HE", "points": [(130, 100, 1)], "boxes": [(90, 60, 120, 95)]},
        {"lesion": "EX", "points": [(170, 60, 0)]},
        {"lesion": ["SE", "EX"]},
    ]
    with model.open(lesions) as view:
        for question in questions:
            found, expected = view.segment(**question), model.segment(lesions, **question)
            if not isinstance(found, dict):
                found, expected = {"": found}, {"": expected}
            assert found.keys() == expected.keys()
            for name, result in found.items():
                other = expected[name]
                np.testing.assert_allclose(result.probability, other.probability, atol=1e-5)
                np.testing.assert_allclose(result.prior, other.prior, atol=1e-5)


def test_tiles_beside_the_field_of_view_are_not_run(make_model: MakeModel) -> None:
    """A disc leaves the corners of its square; tiles of an eighth of it see nothing there."""
    view = FundusView(make_model(working_diameter=512, tile_overlap=0.0), whole())
    assert view.padded_size == (512, 512)
    assert len(view.tiles.corners) == 64 - 4
    assert not {(0, 0), (448, 0), (0, 448), (448, 448)} & set(view.tiles.corners)
    probability = view.segment("EX").probability
    assert (probability[view.field_of_view.mask] > 0).all()


def test_preparing_needs_no_model(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    expected = model.segment(whole(), "EX").probability
    view = model.open(whole(), keep=False)
    view.prepare()
    monkeypatch.setattr(type(view.frame), "apply", None)  # nothing is scaled again
    np.testing.assert_array_equal(view.segment("EX").probability, expected)


def test_doubt_warns_once_or_not_at_all(make_model: MakeModel) -> None:
    grey = np.repeat(whole().max(axis=2, keepdims=True), 3, axis=2)
    model = make_model()
    with pytest.warns(FundusWarning, match="grey"):
        assert "grey" in str(model.open(grey).doubt)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "grey" in str(model.open(grey, warn=False).doubt)
        assert model.open(whole()).doubt is None
