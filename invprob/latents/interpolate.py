"""Interpolation: θ = αθ1 + (1 - α)θ2 over all that two solutions hold (SPHInX, section 4.2)."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError
from invprob.latents.edit import Strip
from invprob.latents.latents import Latents, check_alike, joined
from invprob.types import Images

Path = Literal["linear", "spherical"]
_TINY = torch.finfo(torch.float64).tiny


def linear(one: Tensor, other: Tensor, share: float) -> Tensor:
    """α·one + (1 - α)·other, with α = `share`."""
    return share * one + (1 - share) * other


def spherical(one: Tensor, other: Tensor, share: float) -> Tensor:
    """The great circle between two tensors, each image by itself (Shoemake 1985).

    Gaussian numbers lie near a sphere, and so do those between. Lengths go linearly.
    """
    flat, far = one.flatten(1).double(), other.flatten(1).double()
    lengths = flat.norm(dim=1, keepdim=True), far.norm(dim=1, keepdim=True)
    # A tensor of zeros has no direction: it counts as orthogonal.
    units = [
        one / length.clamp_min(_TINY) for one, length in zip((flat, far), lengths, strict=True)
    ]
    cosine = (units[0] * units[1]).sum(1, keepdim=True).clamp(-1, 1)
    angle = cosine.acos()
    near = angle.sin().abs() < 1e-6  # parallel or opposite: there is no one circle
    sine = torch.where(near, torch.ones_like(angle), angle.sin())
    first = torch.where(near, torch.full_like(angle, share), (share * angle).sin() / sine)
    second = torch.where(
        near, torch.full_like(angle, 1 - share), ((1 - share) * angle).sin() / sine
    )
    unit = first * units[0] + second * units[1]
    length = share * lengths[0] + (1 - share) * lengths[1]
    mixed: Tensor = length * unit
    return mixed.view_as(one).to(one)


@checked
@undisturbed()
@torch.no_grad()
def interpolate(
    one: Latents,
    other: Latents,
    shares: Sequence[float],
    *,
    path: Path = "linear",
    images: tuple[Images, Images] | None = None,
) -> Strip:
    """Mix the latents of two solutions, θ = αθ1 + (1 - α)θ2, and draw them.

    Everything that the solutions hold is mixed: style rows or scales, content, noise maps, weights,
    and what free pixels added.

    Args:
        one: θ1.
        other: θ2.
        shares: α of each column.
        path: "linear"; or "spherical" for noise maps, which are Gaussian numbers, so that those
            between have as much power. All else is mixed linearly.
        images: the images of both solutions, which shares of 1 and 0 repeat bit for bit. None: they
            are drawn.

    Raises:
        ArgumentError: there is no share, or one is not finite.
        PriorError: the solutions are of different generators, or hold different inputs.
        ShapeError: they have different numbers of images, or `images` are not theirs.
    """
    check_alike(one, other)
    if one.batch != other.batch:
        raise ShapeError(
            f"one and other must have as many images each, not {one.batch} and {other.batch}"
        )
    alpha = [float(share) for share in shares]
    if not alpha or not bool(
        torch.tensor(alpha, dtype=torch.float64, device="cpu").isfinite().all()
    ):
        raise ArgumentError(f"shares must be finite numbers, at least one, not {shares}")
    for latents, own in zip((one, other), images or (), strict=False):
        latents.check_images(own)
    ends = (one.draw(), other.draw()) if images is None else images
    theirs = other.tensors()

    def mixed(share: float) -> Callable[[str, Tensor], Tensor]:
        def mix(name: str, tensor: Tensor) -> Tensor:
            if share in (0, 1):
                return tensor if share else theirs[name]
            gaussian = path == "spherical" and name.startswith("noise.")
            return (spherical if gaussian else linear)(tensor, theirs[name], share)

        return mix

    between = joined([one.changed(mixed(share)) for share in alpha])
    # From columns with all images to images with all columns.
    order = [
        column * one.batch + image for image in range(one.batch) for column in range(len(alpha))
    ]
    between = between.chosen(order)
    drawn = between.draw()
    for place in range(len(order)):
        share = alpha[place % len(alpha)]
        if share in (0, 1):
            drawn[place] = ends[0 if share else 1][place // len(alpha)]
    return Strip(between, drawn, tuple(alpha))
