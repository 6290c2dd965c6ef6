from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from tests.support.annotated import annotated
from tp_drseg.errors import LesionError, TrainingError
from tp_drseg.inference.prior import CLIPFeatures
from tp_drseg.modules.points import Points
from tp_drseg.training.data.annotated import AnnotatedImage
from tp_drseg.training.data.batch import Batch, collate
from tp_drseg.training.data.crops import Crops
from tp_drseg.training.data.prior_cells import CellGrid

MakeCrops = Callable[..., Crops]
HE, EX, SE = 0, 1, 2
WHOLE = {
    "scales": (1.0, 1.0), "geometric": False, "photometric": False, "lesion_centred": 0.0,
    "lesion_free_share": 0.0, "points": 0.0, "lesions_per_crop": 0,
}  # fmt: skip


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches are equal to the bit."""

    def equal(a: Tensor | None, b: Tensor | None) -> bool:
        return (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))

    def tensors(batch: Batch) -> list[Tensor | None]:
        clicks = batch.points
        given = [None, None] if clicks is None else [clicks.coords, clicks.labels]
        return [batch.images, batch.priors, batch.targets, batch.scored, batch.classes, *given]

    pairs = zip(tensors(one), tensors(other), strict=True)
    return one.names == other.names and all(equal(a, b) for a, b in pairs)


def test_a_crop(make_crops: MakeCrops) -> None:
    crops = make_crops(lesion_free_share=0.3, points=0.0, lesions_per_crop=2, steps=5, batch_size=3)
    assert len(crops) == 15
    for number in range(20):
        batch = crops[number]
        assert batch.images.shape == (1, 3, 64, 64)
        assert batch.images.min() >= 0 and 2 < batch.images.max() <= 255
        assert batch.priors.shape == (1, 2, 4, 4)
        assert batch.priors.min() >= 0 and batch.priors.max() <= 1
        assert batch.targets.shape == (1, 2, 32, 32)  # a detail head has half of the resolution
        assert batch.targets.min() >= 0 and batch.targets.max() <= 1
        assert batch.classes.shape == (1, 2) and batch.classes[0, 0] < batch.classes[0, 1]
        assert batch.scored is None and batch.points is None
        assert batch.names == (crops.name(number),)
        assert batch.names != ("healthy",) or not batch.targets.any()


def test_a_crop_depends_on_seed_and_number_alone(make_crops: MakeCrops) -> None:
    crops = make_crops(seed=3, points=1.0)
    torch.manual_seed(1)
    forwards = [crops[number] for number in range(4)]
    torch.manual_seed(2)
    again = make_crops(seed=3, points=1.0, batch_size=2, steps=1)
    backwards = [again[number] for number in (3, 2, 1, 0)]
    assert all(same(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    other = make_crops(seed=4, points=1.0)
    assert not any(same(crops[number], other[number]) for number in range(4))
    assert not same(forwards[0], forwards[1])


def test_other_processes_cut_the_same_crops(make_crops: MakeCrops) -> None:
    crops = make_crops(points=0.5, batch_size=2)
    loader = DataLoader(crops, batch_sampler=[[2, 3]], collate_fn=collate, num_workers=1)
    (batch,) = loader
    assert same(batch, collate([crops[2], crops[3]]))
    assert not any(x.dense.is_inference() or x.inside.is_inference() for x in crops.features)


def test_collate() -> None:
    def batch(name: str, scored: Tensor | None, clicks: bool) -> Batch:
        one = torch.ones(1, 2, 4, 4)
        given = Points(torch.zeros(2, 4, 2), torch.ones(2, 4)) if clicks else None
        return Batch(one, one, one, scored, torch.tensor([[0, 1]]), given, (name,))

    both = collate([batch("a", None, True), batch("b", torch.zeros(1, 2, 4, 4), True)])
    assert both.names == ("a", "b") and both.images.shape == (2, 2, 4, 4)
    assert both.scored is not None and both.scored[0].all() and not both.scored[1].any()
    assert both.points is not None and both.points.coords.shape == (4, 4, 2)
    plain = collate([batch("a", None, False), batch("b", None, False)])
    assert plain.scored is None and plain.points is None


def test_masks_lie_over_the_image(make_crops: MakeCrops) -> None:
    """Where the target says exudate, the crop is bright: one geometry for both."""
    crops = make_crops(lesion_free_share=0.0, points=0.0, lesions_per_crop=0)
    seen = 0
    for number in range(20):
        batch = crops[number]
        green = F.avg_pool2d(batch.images[0, 1:2], 2)[0]
        target = batch.targets[0]
        inside = target[EX] > 0.99
        outside = (target.sum(dim=0) == 0) & (green > 20)
        if inside.any() and outside.any():
            seen += 1
            assert green[inside].min() > green[outside].quantile(0.9)
    assert seen > 5


def test_priors_follow_the_crop(make_crops: MakeCrops) -> None:
    """CLIP's similarity and the photograph show the same map; so do prior and crop."""
    y, x = torch.meshgrid(*[(torch.arange(64) + 0.5) / 64] * 2, indexing="ij")
    bump = 0.55 + 0.45 * torch.sin(3 * x + 0.5) * torch.cos(2 * y)
    image = (bump * 255).round().to(torch.uint8).expand(3, 64, 64)
    mask = torch.zeros(3, 64, 64, dtype=torch.uint8)
    mask[EX, 26:40, 20:33] = 1
    photograph = annotated("map", image, mask, torch.ones(1, 64, 64, dtype=torch.uint8))
    crops = make_crops(
        [photograph], photometric=False, points=0.0, lesion_free_share=0.0, lesions_per_crop=0
    )
    crops.texts = [torch.tensor([1.0, 0.0]).expand(2, 2)] * 3
    low = F.interpolate(bump[None, None], (32, 32), mode="area")
    crops.cells = CellGrid(64, 32)
    crops.features = [CLIPFeatures(torch.cat([low, (1 - low**2).sqrt()], dim=1), low > -1)]
    span = (low.amin(), low.amax())
    for number in range(12):
        batch = crops[number]
        seen = F.avg_pool2d(batch.images / 255, 16)[0, 0]
        seen = ((seen - span[0]) / (span[1] - span[0])).clamp(0, 1)
        whole = F.avg_pool2d((batch.images > 0).float(), 16)[0, 0] == 1  # on the photograph
        for prior in batch.priors[0]:
            assert (prior - seen).abs()[whole].max() < 0.1


def test_what_the_annotation_leaves_open_is_not_scored(
    make_crops: MakeCrops, photograph: Callable[..., AnnotatedImage]
) -> None:
    plain = photograph("one", 1)
    ignored = torch.zeros_like(plain.masks)
    ignored[EX, 20:37, 30:51] = 1
    partly = replace(plain, ignored=ignored, annotated=(True, True, False))
    batch = make_crops([partly], **WHOLE)[0]
    assert batch.scored is not None and batch.scored.shape == batch.targets.shape
    assert batch.scored[0, HE].all() and not batch.scored[0, SE].any()
    # a pixel of the target counts only when it is known as a whole
    fine = F.interpolate(ignored[EX][None, None].float(), (64, 64), mode="bilinear")
    assert torch.equal(batch.scored[0, EX] == 0, F.max_pool2d(fine, 2)[0, 0] > 0)


def plain(name: str, colour: int, lesion: int, **more: Any) -> AnnotatedImage:
    """A photograph of one colour that shows one lesion everywhere."""
    masks = torch.zeros(3, 96, 96, dtype=torch.uint8)
    masks[lesion] = 1
    image = torch.full((3, 96, 96), colour, dtype=torch.uint8)
    return annotated(name, image, masks, torch.ones_like(masks[:1]), **more)


def test_a_mosaic(make_crops: MakeCrops) -> None:
    """Each quarter shows its own photograph, with that one's masks and what is known of it."""
    known = {"bright": (200, EX, True), "dark": (50, HE, False)}
    given = [
        plain("bright", 200, EX),
        plain("dark", 50, HE, annotated=(True, True, False)),
    ]
    crops = make_crops(
        given,
        mosaic=1.0,
        photometric=False,
        lesions_per_crop=0,
        points=0.0,
        scales=(0.5, 0.7),
        lesion_free_share=0.0,
    )
    orders = set()
    for number in range(12):
        batch = crops[number]
        names = crops.name(number).split("+")
        orders.add(tuple(names))
        assert batch.names == (crops.name(number),) and len(names) == 4
        assert batch.images.shape == (1, 3, 64, 64) and batch.priors.shape == (1, 3, 4, 4)
        quarters = [(y, x) for y in (0, 1) for x in (0, 1)]
        for name, (y, x) in zip(names, quarters, strict=True):
            colour, lesion, knows_all = known[name]
            image = batch.images[0, :, 32 * y : 32 * (y + 1), 32 * x : 32 * (x + 1)]
            assert image.max() == pytest.approx(colour, abs=0.01)
            rows, columns = slice(16 * y, 16 * (y + 1)), slice(16 * x, 16 * (x + 1))
            target = batch.targets[0, :, rows, columns]
            assert target[lesion].amax() == pytest.approx(1, abs=1e-5)
            assert not any(target[other].any() for other in {HE, EX, SE} - {lesion})
            if batch.scored is not None:
                assert batch.scored[0, SE, rows, columns].eq(knows_all).all()
                assert batch.scored[0, [HE, EX], rows, columns].all()
    assert len(orders) > 6


def test_fixed_crops_come_again(make_crops: MakeCrops) -> None:
    new, fixed = make_crops(seed=2), make_crops(seed=2, fixed_crops=3)
    for number in range(7):
        assert same(fixed[number], new[number % 3])
        assert fixed.name(number) == new.name(number % 3)
    assert fixed[5] is fixed[2]


def test_share_of_mosaics(make_crops: MakeCrops) -> None:
    crops = make_crops(mosaic=0.5)
    assert sum("+" in crops.name(number) for number in range(200)) == pytest.approx(100, abs=25)
    assert not any("+" in make_crops().name(number) for number in range(20))


def test_lesions_that_are_not_annotated_are_asked_last(
    make_crops: MakeCrops, photograph: Callable[..., AnnotatedImage]
) -> None:
    partly = photograph("one", 1, annotated=(True, True, False))
    crops = make_crops([partly], lesions_per_crop=2, lesion_free_share=0.0)
    assert all(crops[number].classes.tolist() == [[HE, EX]] for number in range(10))


def test_lesion_free_share(make_crops: MakeCrops) -> None:
    crops = make_crops(lesion_free_share=0.3)
    names = Counter(crops.name(number) for number in range(600))
    assert names["healthy"] == pytest.approx(180, abs=45)
    assert names["one"] > 120 and names["two"] > 120
    never = make_crops(lesion_free_share=0.0)
    assert {never.name(number) for number in range(100)} == {"one", "two"}


def only(photograph: AnnotatedImage, name: str, lesion: int) -> AnnotatedImage:
    masks = torch.zeros_like(photograph.masks)
    masks[lesion] = photograph.masks[lesion]
    return replace(photograph, name=name, masks=masks)


@pytest.mark.parametrize("name", ["hard exudate", "EX"])
def test_focus(make_crops: MakeCrops, photographs: list[AnnotatedImage], name: str) -> None:
    apart = [only(photographs[0], "has HE", HE), only(photographs[0], "has EX", EX)]
    crops = make_crops(apart, lesion_weights={name: 3.0})
    names = Counter(crops.name(number) for number in range(400))
    assert names["has EX"] == pytest.approx(300, abs=40)
    never = make_crops(apart, lesion_weights={name: 0.0})
    assert {never.name(number) for number in range(50)} == {"has HE"}


def test_lesion_centred(make_crops: MakeCrops, photographs: list[AnnotatedImage]) -> None:
    """A crop centred near the lesion shows it, since it is wider than it is shifted."""
    small = photographs[0].masks.clone()
    small[:] = 0
    small[EX, 40, 10] = 1
    photograph = replace(photographs[0], masks=small)
    fields = {
        "scales": (0.3, 0.3), "geometric": False, "photometric": False, "lesions_per_crop": 0,
        "points": 0.0,
    }  # fmt: skip
    shares = []
    for share in (1.0, 0.0):
        crops = make_crops([photograph], lesion_centred=share, **fields)
        shown = [bool(crops[number].targets[0, EX].any()) for number in range(30)]
        shares.append(sum(shown))
    assert shares[0] == 30 and shares[1] < 12


def test_lesions_that_a_crop_shows_are_asked_more_often(
    make_crops: MakeCrops, photographs: list[AnnotatedImage]
) -> None:
    fields = {"lesions_per_crop": 1, "lesion_centred": 1.0, "points": 0.0, "photometric": False}
    crops = make_crops([only(photographs[0], "one", EX)], **fields)
    asked = Counter(int(crops[number].classes[0, 0]) for number in range(200))
    # 3 : 1 : 1
    assert asked[EX] == pytest.approx(120, abs=25)
    assert min(asked[HE], asked[SE]) > 15


def test_ask(make_crops: MakeCrops) -> None:
    crops = make_crops(lesions=("soft exudate", "HE"))
    assert all(crops[number].classes.tolist() == [[HE, SE]] for number in range(5))


@pytest.mark.parametrize("size", [1, 4])
def test_clicks_are_decided_for_a_whole_step(make_crops: MakeCrops, size: int) -> None:
    crops = make_crops(points=0.5, batch_size=size, lesions_per_crop=1, photometric=False)
    given = [crops[number].points is not None for number in range(16 * size)]
    steps = [given[i : i + size] for i in range(0, len(given), size)]
    assert all(len(set(step)) == 1 for step in steps)
    assert 2 < sum(step[0] for step in steps) < 14
    clicks = next(c for n in range(16 * size) if (c := crops[n].points) is not None)
    assert clicks.coords.shape == (1, 4, 2) and clicks.labels.shape == (1, 4)


def test_the_whole_photograph(make_crops: MakeCrops, photographs: list[AnnotatedImage]) -> None:
    """The paper's way: no crop, no turn, no light."""
    crops = make_crops([photographs[0]], **WHOLE)
    whole = F.interpolate(photographs[0].levels[0][None].float(), 64, mode="bicubic").clamp(0, 255)
    for number in range(3):
        found = crops[number]
        assert (found.images - whole).abs().max() < 0.1
        masks = F.interpolate(photographs[0].masks[None].float(), (32, 32), mode="area")
        assert (found.targets - masks).abs().mean() < 0.01


def test_no_lesion_to_train(make_crops: MakeCrops, photographs: list[AnnotatedImage]) -> None:
    for given, fields in (
        ([], {}),
        ([photographs[2]], {}),
        ([only(photographs[0], "one", EX)], {"lesions": ("HE",)}),
        ([only(photographs[0], "one", EX)], {"lesion_weights": {"EX": 0.0}}),
    ):
        with pytest.raises(TrainingError, match="No training photograph shows a lesion"):
            make_crops(given, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"lesions": ("drusen",)},
        {"lesion_weights": {"drusen": 1.0}},
        {"bce_weights": {"drusen": 1.0}},
    ],
)
def test_unknown_lesions(make_crops: MakeCrops, fields: dict[str, object]) -> None:
    with pytest.raises(LesionError, match="drusen"):
        make_crops(**fields)


def test_defaults_of_the_process_change_nothing(make_crops: MakeCrops) -> None:
    """Neither its number format, nor its device, nor its generators, which stay as they are."""
    crops = make_crops(seed=3, points=1.0, mosaic=0.5)
    expected = [crops[number] for number in range(6)]
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            found = [crops[number] for number in range(6)]
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(same, found, expected))
    assert torch.equal(torch.random.get_rng_state(), before)
