from __future__ import annotations

import pytest
import torch

from tp_drseg.training.data.paste import (
    BORDER,
    in_tone_of,
    label_regions,
    paste,
    soft_border,
    without_forbidden,
)


def squares(*places: tuple[int, int, int]) -> torch.Tensor:
    """`(1, 40, 40)`, 1 on squares given by row, column and side."""
    masks = torch.zeros(1, 40, 40)
    for row, column, side in places:
        masks[0, row : row + side, column : column + side] = 1
    return masks


def test_regions_of_all_lesions_together() -> None:
    masks = torch.cat([squares((2, 2, 4), (20, 20, 3)), squares((6, 6, 2))])  # corner to corner
    regions = label_regions(masks)
    assert regions.dtype == torch.int64
    assert set(regions.flatten().tolist()) == {0, 1, 2}
    assert regions[3, 3] == regions[7, 7] == 1 and regions[21, 21] == 2
    assert torch.equal(regions > 0, (masks > 0).any(dim=0))


def test_only_regions_clear_of_what_is_forbidden_stay() -> None:
    regions = label_regions(squares((2, 2, 4), (20, 20, 3)))
    for gap, stays in ((BORDER, False), (BORDER + 1, True)):
        forbidden = torch.zeros(40, 40, dtype=torch.bool)
        forbidden[5 + gap, 5] = True  # so many rows below the first region's last
        found = without_forbidden(regions, forbidden)
        assert (found == 2).sum() == 9
        assert bool((found == 1).any()) == stays
    assert not without_forbidden(regions, torch.ones(40, 40, dtype=torch.bool)).any()
    nothing = torch.zeros_like(regions)
    assert not without_forbidden(nothing, torch.zeros(40, 40, dtype=torch.bool)).any()


def test_the_border_against_all_distances() -> None:
    regions = label_regions(squares((10, 10, 5), (20, 25, 2)))
    found = soft_border(regions)
    on = regions.nonzero().double()
    everywhere = torch.stack(torch.meshgrid(*[torch.arange(40)] * 2, indexing="ij"), dim=-1)
    away = torch.cdist(everywhere.reshape(-1, 2).double(), on).amin(dim=1).reshape(40, 40)
    torch.testing.assert_close(found.double(), (1 - away / (BORDER + 1)).clamp(0, 1))
    assert found[9, 12] == pytest.approx(0.75) and found[6, 12] == 0
    assert not soft_border(torch.zeros(40, 40)).any()


def test_pasting_leaves_all_else_to_the_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    host, donor = (torch.rand(3, 40, 40, generator=generator) * 255 for _ in range(2))
    regions = label_regions(squares((10, 10, 5)))
    share = soft_border(regions)
    found = paste(host, donor, share)
    assert torch.equal(found[:, share == 0], host[:, share == 0])
    torch.testing.assert_close(found[:, regions > 0], donor[:, regions > 0])
    between = (share > 0) & (share < 1)
    assert between.sum() > 40
    expected = share * donor + (1 - share) * host
    torch.testing.assert_close(found[:, between], expected[:, between])


def test_the_tone_of_the_ground() -> None:
    """A lesion of the donor keeps its share of the ground's light, which becomes the host's."""
    host = torch.full((3, 64, 64), 100.0)
    host[:, :, 32:] = 140
    donor = torch.full((3, 64, 64), 60.0)
    donor[:, 9:11, 9:11] = 20  # a lesion, which is no ground
    ground = donor[0] == 60
    everywhere = torch.ones(64, 64, dtype=torch.bool)
    found = in_tone_of(donor, host, ground, everywhere)
    assert found[:, 20, 8].tolist() == pytest.approx([100] * 3, abs=1)
    assert found[:, 10, 10].tolist() == pytest.approx([100 / 3] * 3, abs=1)
    assert found[:, 20, 56].tolist() == pytest.approx([120] * 3, abs=1)  # no more than twice
    # without any ground nothing is compared
    assert torch.equal(in_tone_of(donor, host, ~everywhere, everywhere), donor)
