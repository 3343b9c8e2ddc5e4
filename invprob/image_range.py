"""Whether numbers can come from images in [-1, 1], or are in other units.

Images and measurements in 0 ... 255, or a noise level in decibels, would be taken as they are and
end in a wrong picture. So they are doubted, in one line that says how much too large they are.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from invprob.draws import integers
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.noise import Noise
from invprob.operators.observed import Observed
from invprob.streams import stream
from invprob.types import Images, Measured, Shape

# How many times too large numbers are at least, of which a word is said: unknown noise adds less.
TOO_LARGE = 4.0
_SQUARES = (1, 8, 64)  # their sides in pixels


@torch.no_grad()
def doubt_images(image: Images) -> str | None:
    """Say that images are not in [-1, 1].

    Args:
        image: any images, (batch, *image_shape).

    Returns:
        What was seen and what to write, in one line. None: they may be in the range.
    """
    size = float(image.double().square().mean().sqrt()) if image.numel() else 0.0
    if size <= TOO_LARGE or not math.isfinite(size):  # what is not finite is refused elsewhere
        return None
    return (
        f"the images reach from {float(image.min()):.3g} to {float(image.max()):.3g}, far outside "
        "of the range [-1, 1]; of values from 0 to 255 write image / 127.5 - 1"
    )


@torch.no_grad()
def doubt_measurements(
    values: Measured, operator: Operator, noise: Noise | None = None
) -> str | None:
    """Say that measurements are larger than those of any image in [-1, 1].

    For y = Ax with a linear operator and every |x| <= 1, ||y||² = <x, A'y> is at most the sum of
    |A'y|. Measurements of other operators are compared with those of a white image and of random
    black and white squares.

    Args:
        values: finite measurements, (batch, *measurement_shape).
        operator: what measured them.
        noise: what they hold besides, if it is known.

    Returns:
        What was seen and what to write, in one line. None: they may be those of images.
    """
    values = values.double()
    largest = int(values.flatten(1).norm(dim=1).argmax())  # all have the same units
    rows = slice(largest, largest + 1)
    own = operator.for_images(rows)
    y = Observed(own).shown(values[rows])
    size = float(y.norm())
    reach = 0.0
    for probe in _probes(own, noise):
        reach = max(reach, float(probe.double().norm()))
        if size <= TOO_LARGE * reach:
            return None
    factor = size / reach if reach else torch.inf
    if isinstance(own, LinearOperator):
        back = own.adjoint(y.to(_like(own))).double()
        factor = size**2 / float(back.abs().sum().clamp_min(torch.finfo(torch.float64).tiny))
    if factor <= TOO_LARGE:
        return None
    return (
        f"the measurements are {factor:.3g} times as large as those of any image in the range "
        "[-1, 1]: they may be in other units; if they are of an image from 0 to 255, name that "
        'range: image_range=(0, 255), or --image-range "0 255" on the command line'
    )


@torch.no_grad()
def doubt_noise(noise: Noise, values: Measured, operator: Operator) -> str | None:
    """Say that noise is much larger than the measurements of any image in [-1, 1].

    Args:
        noise: the noise.
        values: measurements, with or without it, (batch, *measurement_shape).
        operator: what measured them.

    Returns:
        What was seen and what to write, in one line. None: something is seen besides the noise.
    """
    own = operator.for_images(slice(0, 1))
    observed, first = Observed(own), values[:1]
    noisy = noise(first, stream(0, "image range"))
    added = float(observed.shown(noisy - first).double().norm())
    size = float(observed.shown(first).double().norm())
    if added <= TOO_LARGE * size or not math.isfinite(added):
        return None
    probes = _probes(own, None)
    reach = max(float(probe.double().norm()) for probe in probes)
    if added <= TOO_LARGE * reach:
        return None
    return (
        f"the noise {noise!r} is {added / reach if reach else torch.inf:.3g} times as large as the "
        "measurements of images in the range [-1, 1]: it may be in other units; a standard "
        "deviation of values from 0 to 255 is divided by 127.5, and D decibels below a signal of "
        "root mean square s are a standard deviation of s / 10 ** (D / 20)"
    )


def measured_size(
    values: Measured, operator: Operator, grey: float = 0.0, *, centred: bool = False
) -> float:
    """How large measurements are, as a share of those of bright and contrasty images in [-1, 1].

    Args:
        values: finite measurements, (batch, *measurement_shape).
        operator: what measured them, on the CPU.
        grey: what is added to those images first.
        centred: whether means are subtracted from measurements first.

    Returns:
        The largest share of the batch.
    """
    own = operator.for_images(slice(0, 1))
    observed = Observed(own)

    def size(measured: Measured) -> float:
        if centred:
            measured = measured - observed.mean(measured).view(-1, *[1] * (measured.ndim - 1))
        return float(observed.shown(measured).double().flatten(1).norm(dim=1).max())

    images = (image.to(_like(own)) + grey for image in _bright_images(own.image_shape))
    reach = max(size(own(image)) for image in images)
    return size(values) / reach if reach else 0.0


def _probes(operator: Operator, noise: Noise | None) -> Iterator[Measured]:
    """Measurements of images that are as bright and as rich in contrast as they may be."""
    observed = Observed(operator)
    for image in _bright_images(operator.image_shape):
        measurement = operator(image.to(_like(operator)))
        if noise is not None:
            measurement = noise(measurement, stream(0, "image range"))
        yield observed.shown(measurement)


def _bright_images(shape: Shape) -> Iterator[Images]:
    """White, then squares that are black or white at random, (1, *shape)."""
    yield torch.ones(1, *shape, dtype=torch.float32, device="cpu")
    for side in _SQUARES:
        squares = [shape[0], *(-(-length // side) for length in shape[1:])]
        signs = 2 * integers(0, 2, squares, stream(side, "squares")).float() - 1
        for axis, length in enumerate(shape[1:], 1):
            signs = signs.repeat_interleave(side, axis).narrow(axis, 0, length)
        yield signs[None]


def _like(operator: Operator) -> Tensor:
    """A tensor on the device and of the dtype in which an operator computes."""
    buffers = [
        buffer
        for name, buffer in operator.named_buffers()
        if buffer.is_floating_point() and name not in operator.exact
    ]
    return buffers[0] if buffers else torch.empty(0, dtype=torch.float32, device="cpu")
