"""What an edit keeps is measured outside the region where its direction acts."""

import math

import pytest
import torch
from solved import small_generator, solved

from invprob.errors import ArgumentError
from invprob.latents import Latents, StyleDirection, edit
from invprob.latents.distance import Distance
from invprob.latents.kept import Region, kept, region_of

STRENGTHS = (-1.0, 0.0, 2.0)


def some_direction() -> StyleDirection:
    rng = torch.Generator().manual_seed(5)
    return StyleDirection("some", torch.randn(8, 16, generator=rng))


def test_the_region_is_the_smallest_that_holds_the_change() -> None:
    rng = torch.Generator().manual_seed(0)
    region = region_of(small_generator(), some_direction(), STRENGTHS, rng)
    rng.manual_seed(0)
    z = torch.randn(8, 16, generator=rng)
    w = small_generator().mean_w.lerp(small_generator().mapping(z), 0.7)
    rows = w[:, None].expand(-1, 8, -1)
    with torch.no_grad():
        own = small_generator().synthesis(rows).clamp(-1, 1)
        moved = [
            small_generator().synthesis(rows + alpha * some_direction().rows).clamp(-1, 1) - own
            for alpha in STRENGTHS
        ]
    for change, found in zip(moved, region.changes, strict=True):
        assert found == pytest.approx(float(change.square().mean().sqrt()), rel=1e-4, abs=1e-7)
    squares = torch.stack(moved).square().mean((0, 1, 2))
    inside = squares[region.mask]
    assert float(inside.sum() / squares.sum()) >= 0.8
    assert float((inside.sum() - inside.min()) / squares.sum()) < 0.8
    assert float(inside.min()) >= float(squares[~region.mask].max())


def test_numbers_of_a_change_that_is_known() -> None:
    """The right half grows by 0.2, and 0.05 in the left half."""
    solution = solved("w-plus")
    before = torch.zeros_like(solution.image)
    strip = edit(Latents.of(solution), some_direction(), [1.0, 0.0])
    strip.images.zero_()
    strip.images[0, :, :, 16:] += 0.2
    strip.images[0, :, :, :16] += 0.05
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[:, 16:] = True
    changed, same = kept(before, strip, 0, Region(mask, (0.1, 0.0)), Distance())
    assert changed.outside == pytest.approx(10 * math.log10(4 / 0.05**2), rel=1e-5)
    rms = math.sqrt((0.2**2 + 0.05**2) / 2)
    assert changed.distance == pytest.approx(rms, rel=1e-5)
    assert changed.effect == pytest.approx(rms / 0.1, rel=1e-5)
    assert (same.outside, same.distance, same.effect) == (None, 0, None)
    with pytest.raises(ArgumentError, match="number must be from 0 to 0, not 1"):
        kept(before, strip, 1, Region(mask, (0.1, 0.0)), Distance())
    with pytest.raises(ArgumentError, match="region must be that of the strip's 2 strengths"):
        kept(before, strip, 0, Region(mask, (0.1,)), Distance())
