"""The anatomy head: shapes, places below a cell, what is outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tp_drseg.errors import ConfigError
from tp_drseg.modules.anatomy_head import AnatomyHead, AnatomyMaps


def maps_of(heat: torch.Tensor) -> AnatomyMaps:
    return AnatomyMaps(heat, torch.zeros(1, 2), torch.zeros(1), torch.zeros(1))


@pytest.mark.parametrize("place", [(0.5, 0.5), (0.31, 0.72), (0.125, 0.9)])
def test_a_place_is_told_more_finely_than_a_cell(place: tuple[float, float]) -> None:
    centres = (torch.arange(32) + 0.5) / 32
    x, y = ((centres - at) * 32 for at in place)
    heat = -0.5 * (x[None, :] ** 2 + y[:, None] ** 2)
    found = maps_of(heat.expand(1, 2, 32, 32)).places()
    torch.testing.assert_close(found[0, 0], torch.tensor(place), atol=0.002, rtol=0)


def test_a_far_second_place_does_not_pull() -> None:
    heat = torch.full((1, 2, 32, 32), -20.0)
    heat[..., 5, 5], heat[..., 30, 30] = 3.0, 2.9
    torch.testing.assert_close(
        maps_of(heat).places()[0, 0], torch.full((2,), 5.5 / 32), atol=1e-4, rtol=0
    )


def test_nothing_is_found_outside_of_the_field_of_view() -> None:
    torch.manual_seed(0)
    head = AnatomyHead(12, width=8).eval()
    inside = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    inside[..., 4:9, 6:12] = True
    maps = head(torch.randn(2, 12, 16, 16), inside)
    assert maps.heat.shape == (2, 2, 16, 16)
    assert (maps.seen.shape, maps.right.shape, maps.log_diameter.shape) == ((2, 2), (2,), (2,))
    cells = maps.heat.flatten(2).argmax(-1)
    rows, columns = cells // 16, cells % 16
    assert ((rows >= 4) & (rows < 9) & (columns >= 6) & (columns < 12)).all()


def test_a_network_has_it_where_its_configuration_says_so(make_network: Callable[..., Any]) -> None:
    assert make_network().anatomy_head is None
    network = make_network(anatomy=True)
    assert network.anatomy_head is not None
    assert not any("anatomy" in name for name, _ in network.trained_parameters())


def test_it_needs_the_tower_that_has_such_features(make_config: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="anatomy needs a CLIP with the image tower tiny_vit"):
        make_config("vit", anatomy=True)
