from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tp_drseg.errors import FundusWarning, ImageError
from tp_drseg.images import Frame
from tp_drseg.inference.prior import clip_features
from tp_drseg.inference.request import Asked, Prompt
from tp_drseg.inference.session import ImageSession, encode_together
from tp_drseg.inference.tile_logits import TileLogits
from tp_drseg.model import TPDRSeg

Y, X = np.mgrid[:200, :260]
MakeModel = Callable[..., TPDRSeg]
pytestmark = pytest.mark.filterwarnings("ignore::tp_drseg.errors.FundusWarning")


def open_(model: TPDRSeg, image: NDArray[np.uint8]) -> ImageSession:
    return model.load_image(image)


def whole(cut: int = 200) -> NDArray[np.uint8]:
    """A disc of radius 95 about (130, 100), reddish brown; rows from `cut` on are cut off."""
    image = np.zeros((200, 260, 3), np.uint8)
    image[np.hypot(Y - 100, X - 130) < 95] = (140, 100, 70)
    return image[:cut]


def test_frames(make_model: MakeModel) -> None:
    session = open_(make_model(working_diameter=100), whole())
    assert session.image.shape == (200, 260, 3)
    left, top, right, bottom = session.geometry.frame.box
    assert abs(left - 36) <= 1 and abs(right - 225) <= 1
    assert abs(top - 6) <= 1 and abs(bottom - 195) <= 1
    assert session.geometry.frame.size == (100, 100)
    assert session.geometry.padded_size == (112, 112)
    image = session.geometry.padded()
    assert image.shape == (1, 3, 112, 112) and image.dtype == torch.float32
    assert not image[..., 100:, :].any() and not image[..., 100:].any()
    torch.testing.assert_close(
        image[0, :, 50, 50], torch.tensor([140.0, 100.0, 70.0]), rtol=0, atol=1
    )


def test_a_small_or_cut_field_of_view_is_padded_to_a_tile(make_model: MakeModel) -> None:
    session = open_(make_model(working_diameter=64), whole(cut=150))
    height, width = session.geometry.frame.size
    assert width == 64 and height < 60
    assert session.geometry.padded_size == (64, 64)
    assert not session.geometry.padded()[..., height:, :].any()
    large = open_(make_model(working_diameter=160), whole(cut=150))
    height, width = large.geometry.padded_size
    assert (
        width == 160 and large.geometry.frame.size[0] <= height < large.geometry.frame.size[0] + 16
    )
    assert height % 16 == 0


@pytest.mark.parametrize("diameter", [100, 150, 380])
def test_there_and_back(make_model: MakeModel, diameter: int) -> None:
    session = open_(make_model(working_diameter=diameter), whole())
    mask = np.zeros((200, 260), bool)
    for y, x, radius in ((60, 100, 9), (140, 170, 12), (100, 60, 7)):
        mask |= np.hypot(Y - y, X - x) < radius
    working = torch.zeros(1, *session.geometry.padded_size)
    height, width = session.geometry.frame.size
    working[0, :height, :width] = torch.from_numpy(session.geometry.frame.apply_mask(mask))
    found = session.geometry.restore(working)[0] >= 0.5
    assert (ndimage.binary_erosion(mask, np.ones((3, 3))) <= found).all()
    assert (found <= ndimage.binary_dilation(mask, np.ones((3, 3)))).all()


def test_restored_values(make_model: MakeModel) -> None:
    session = open_(make_model(working_diameter=100), whole())
    restored = session.geometry.restore(torch.ones(2, *session.geometry.padded_size))
    assert restored.shape == (2, 200, 260) and restored.dtype == np.float32
    field = session.field_of_view.mask
    assert (restored[:, field] == 1).all() and not restored[:, ~field].any()
    assert session.geometry.restore(torch.rand(1, *session.geometry.padded_size)).max() <= 1


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

    def features(images: torch.Tensor) -> tuple[torch.Tensor, None]:
        assert images.shape == (1, 3, 128, 128) and images.max() <= 1
        return torch.nn.functional.avg_pool2d(images[:, 1:2], 4), None

    monkeypatch.setattr(model.network.explicit_prior, "image_and_coarse_features", features)
    monkeypatch.setattr(model.network.explicit_prior, "text_features", lambda *_: torch.ones(1))
    session = open_(model, image)
    found = session.prior_map("bright green")
    assert found.min() == 0 and 0.9 < found.max() <= 1
    rows, columns = np.nonzero(found >= 0.6)
    np.testing.assert_allclose((rows.mean(), columns.mean()), (60, 170), atol=1.5)
    np.testing.assert_allclose((np.ptp(rows), np.ptp(columns)), 39, atol=5)


def test_clip_looks_once(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    looks: list[torch.Tensor] = []
    original = model.network.explicit_prior.image_and_coarse_features

    def features(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        looks.append(images)
        return original(images)

    monkeypatch.setattr(model.network.explicit_prior, "image_and_coarse_features", features)
    session = open_(model, whole())
    first, _, second = (
        session.prior_map(["a", "b"]),
        session.prior_map("c"),
        session.prior_map(["a", "b"]),
    )
    assert len(looks) == 1
    np.testing.assert_array_equal(first, second)


def test_black_photographs_are_refused(make_model: MakeModel) -> None:
    with pytest.raises(ImageError):
        open_(make_model(), np.zeros((100, 100, 3), np.uint8))


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
        self.counts = {"encode_image": 0, "encode_prompt": 0, "decode": 0}
        for name in self.counts:
            method = self.counting(name, getattr(model.network, name))
            monkeypatch.setattr(model.network, name, method)

    def counting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.counts[name] += 1
            return method(*arguments)

        return counted

    def __call__(self) -> tuple[int, int, int]:
        found = self.counts["encode_image"], self.counts["encode_prompt"], self.counts["decode"]
        self.counts.update(encode_image=0, encode_prompt=0, decode=0)
        return found


def test_an_open_photograph_computes_only_what_is_new(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, lesions: NDArray[np.uint8]
) -> None:
    model = make_model(working_diameter=160, tile_overlap=0.25)
    counted = Counted(model, monkeypatch)
    with model.load_image(lesions) as session:
        count = len(session.geometry.tiles.corners)
        assert count > 4
        session.segment("HE")
        assert counted() == (count, count, count)
        session.segment("EX")
        assert counted() == (0, count, count)
        session.segment_many([Prompt("EX", threshold=0.3), "HE"])
        assert counted() == (0, 0, 0)
        session.segment(Prompt("EX", ["yellow"]))
        assert counted() == (0, count, count)
        session.segment(Prompt("EX", point_coords=[(130, 100)], point_labels=[1]))
        shared, prompt, predict = counted()
        assert (shared, prompt) == (0, 0) and 0 < predict < count
    session.segment("EX")
    assert counted() == (count, count, count)


def test_an_open_photograph_answers_as_a_closed_one(
    make_model: MakeModel, lesions: NDArray[np.uint8], stir: Callable[[Any], Any]
) -> None:
    model = make_model(working_diameter=160)
    stir(model.network)
    questions: list[list[Asked] | None] = [
        ["EX"],
        None,
        [Prompt("HE", ["dark red blots"])],
        [Prompt("HE", (), [(130, 100)], [1], [(90, 60, 120, 95)])],
        [Prompt("EX", point_coords=[(170, 60)], point_labels=[0])],
        ["SE", "EX"],
        ["SE", Prompt("EX", point_coords=[(170, 60)], point_labels=[1])],
    ]
    with model.load_image(lesions) as session:
        for question in questions:
            found = session.segment_many(question)
            expected = model.segment_many(lesions, question)
            assert found.names == expected.names
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one.probability, other.probability, atol=1e-5)
                np.testing.assert_allclose(one.prior, other.prior, atol=1e-5)


def test_tiles_beside_the_field_of_view_are_not_run(make_model: MakeModel) -> None:
    """A disc leaves the corners of its square; tiles of an eighth of it see nothing there."""
    session = open_(make_model(working_diameter=512, tile_overlap=0.0), whole())
    assert session.geometry.padded_size == (512, 512)
    assert len(session.geometry.tiles.corners) == 64 - 4
    assert not {(0, 0), (448, 0), (0, 448), (448, 448)} & set(session.geometry.tiles.corners)
    probability = session.segment("EX").probability
    assert (probability[session.field_of_view.mask] > 0).all()


def test_preparing_needs_no_model(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    expected = model.segment(whole(), "EX").probability
    session = model.open_quietly(whole())
    session.prepare()
    monkeypatch.setattr(Frame, "apply", None)  # nothing is scaled again
    np.testing.assert_array_equal(session.segment("EX").probability, expected)


def test_doubt_warns_once_at_the_caller(make_model: MakeModel, tmp_path: Path) -> None:
    grey = np.repeat(whole().max(axis=2, keepdims=True), 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    model = make_model()
    calls: list[Callable[[], object]] = [
        lambda: model.load_image(tmp_path / "grey.png"),
        lambda: model.segment(tmp_path / "grey.png", "EX"),
        lambda: model.segment_many(tmp_path / "grey.png"),
        lambda: model.prior_map(tmp_path / "grey.png", "yellow"),
        lambda: list(model.segment_batch([tmp_path / "grey.png"])),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        (warning,) = caught
        assert warning.category is FundusWarning and warning.filename == __file__
        assert "grey.png: " in str(warning.message) and "it is grey" in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = model.open_quietly(grey)
        assert "grey" in str(session.doubt) and session.segment("EX").doubt == session.doubt
        assert model.load_image(whole()).doubt is None


def test_what_is_kept_is_bounded(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, lesions: NDArray[np.uint8]
) -> None:
    """Forty descriptions of one lesion: the cache stays below its limit, the answers the same."""
    model = make_model(working_diameter=160)
    limit = 2_000_000
    monkeypatch.setattr("tp_drseg.inference.session.KEPT_BYTES", limit)
    prompts = [Prompt("EX", [f"text number {i}"]) for i in range(40)]
    with model.load_image(lesions) as session:
        found = [session.segment(prompt).probability for prompt in prompts]
        again = [session.segment(prompt).probability for prompt in prompts]
        (kept,) = session._tile_logits.values()
        assert kept._images.size + kept._prompted.size + kept._logits.size <= limit
        assert kept._logits.size > 0
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_closed_session_holds_no_tensors(make_model: MakeModel) -> None:
    session = make_model().load_image(whole())
    session.segment("EX")
    session.close()
    held = [*vars(session).values(), *vars(session.geometry).values()]
    assert not any(isinstance(value, (torch.Tensor, TileLogits)) for value in held)
    assert not {"_working", "_clip"} & set(vars(session.geometry))


def test_probabilities_of_one_lesion_in_several_words(make_model: MakeModel) -> None:
    model = make_model()
    session = model.open_quietly(whole())
    prompts = [Prompt("EX"), Prompt("EX", ["pale dots"]), Prompt("hard exudates")]
    found = session.probabilities(prompts)
    assert found.shape == (3, 200, 260) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])
    assert all(p.grad is None for p in model.network.parameters())


@torch.no_grad()
def test_a_whole_field_is_the_network_on_it(
    make_model: MakeModel, lesions: NDArray[np.uint8]
) -> None:
    """Frame, prior and logits put together by hand."""
    model = make_model(working_diameter=150, whole_field=True)
    network, geometry = model.network, open_(model, lesions).geometry
    height, width = geometry.padded_size
    assert (height, width) == (-(-geometry.frame.size[0] // 16) * 16, 160)
    clip = clip_features(network.explicit_prior, geometry.clip_pixels, geometry.clip_inside)
    texts = model.config.prompt_texts("EX")
    prior = clip.priors(network.explicit_prior, [texts], ["hard exudate"])
    grown = torch.nn.functional.interpolate(prior, (150, 150), mode="bilinear")
    padded = torch.nn.functional.pad(grown, (0, 10, 0, 10))[..., :height, :]
    cells = torch.nn.functional.avg_pool2d(padded, 16)
    logits = network(geometry.padded(), cells, torch.tensor([model.catalog.index("EX")]))
    expected = geometry.restore(
        torch.nn.functional.interpolate(logits, (height, width), mode="bilinear")[0].sigmoid()
    )
    found = model.segment(lesions, "EX").probability
    np.testing.assert_allclose(found, expected[0], rtol=0, atol=1e-6)


def test_a_click_on_a_whole_field(make_model: MakeModel, lesions: NDArray[np.uint8]) -> None:
    model = make_model(working_diameter=150, whole_field=True)
    asked = Prompt("EX", point_coords=[(225, 150)], point_labels=[1])
    with open_(model, lesions) as session:
        assert not np.array_equal(
            session.segment(asked).probability, session.segment("EX").probability
        )


@pytest.mark.parametrize("whole_field", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_tiles_of_several_photographs_together(
    make_model: MakeModel, lesions: NDArray[np.uint8], count: int, whole_field: bool
) -> None:
    model = make_model(working_diameter=160, whole_field=whole_field)
    photographs = [lesions, lesions[:, ::-1], whole(), whole(cut=150)]
    sessions = [model.load_image(photograph) for photograph in photographs]
    encode_together(sessions, count)
    for photograph, session in zip(photographs, sessions, strict=True):
        expected = model.segment(photograph, "EX").probability
        np.testing.assert_allclose(session.segment("EX").probability, expected, atol=1e-5)
