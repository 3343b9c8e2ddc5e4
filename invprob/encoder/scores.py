"""How good encoders are: on samples that training never drew, and on pictures."""

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.draws import normal
from invprob.metrics import psnr
from invprob.priors.encoders import BASE_LAYER, Encoder, ToolkitEncoder
from invprob.priors.stylegan.generator import Generator
from invprob.streams import stream
from invprob.types import Images, PerImage, Styles, Vectors

BATCH = 16


@torch.no_grad()
def held_out(generator: Generator, count: int, *, seed: int = 0) -> Vectors:
    """Draw `count` untruncated w, (count, width), from a stream that no training uses."""
    z = normal((count, generator.z_width), stream(seed, "held-out w"))
    return generator.mapping(z.to(generator.mean_w))


def rows_of(generator: Generator, w: Vectors) -> Styles:
    """Repeat each w (batch, width) for all style rows: (batch, layers, width)."""
    return w[:, None].expand(-1, generator.num_layers, -1)


@undisturbed()
@torch.no_grad()
def distance_ratio(encoder: Encoder, generator: Generator, w: Vectors) -> float:
    """mean ||E(G(w)) - w|| / mean ||mean w - w||, over draws of w and style rows."""
    rows = rows_of(generator, w)
    found = torch.cat([encoder(generator.synthesis(part)) for part in rows.split(BATCH)])
    missed = (found - rows).norm(dim=2).mean()
    return float(missed / (generator.mean_w - w).norm(dim=1).mean())


@undisturbed()
@torch.no_grad()
def redraw(generator: Generator, encoder: Encoder, images: Images, styles: Styles) -> Images:
    """Draw images again from what an encoder finds in them.

    Args:
        generator: Draws the images.
        encoder: Of either kind.
        images: (batch, 3, h, w) in [-1, 1].
        styles: Style rows (batch, layers, width) that go with base codes; the toolkit encoder finds
            its own.
    """
    drawn: list[Tensor] = []
    for seen, rows in zip(images.split(BATCH), styles.split(BATCH), strict=True):
        found = encoder(seen)
        drawn.append(
            generator.synthesis(found)
            if isinstance(encoder, ToolkitEncoder)
            else draw_from_base(generator, found, rows)
        )
    return torch.cat(drawn)


def draw_from_base(generator: Generator, features: Tensor, styles: Styles) -> Images:
    """Draw images from base codes (batch, C, 16, 16) and style rows, without the RGB image of the
    layers below."""
    return generator.synthesis_from(BASE_LAYER, features, generator.scales(styles))


@undisturbed()
@torch.no_grad()
def figures(encoder: Encoder, generator: Generator, *, count: int = 256) -> dict[str, float]:
    """The figures that the record of a trained encoder holds, over held-out samples.

    Returns:
        "psnr", the mean PSNR in dB of images drawn again (base codes with the true rows); "psnr of
        the mean image", for comparison; for style rows also "distance ratio".
    """
    w = held_out(generator, count)
    rows = rows_of(generator, w)
    images = torch.cat([generator.synthesis(part) for part in rows.split(BATCH)])
    mean = generator.synthesis(rows_of(generator, generator.mean_w[None])).expand_as(images)
    found = {
        "psnr": _mean(psnr(redraw(generator, encoder, images, rows), images)),
        "psnr of the mean image": _mean(psnr(mean, images)),
    }
    if isinstance(encoder, ToolkitEncoder):
        found["distance ratio"] = distance_ratio(encoder, generator, w)
    return found


def _mean(values: PerImage) -> float:
    return float(values.mean())
