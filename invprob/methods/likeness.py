"""Whether a generator can draw what was measured, as far as its encoder can tell.

The encoder looks at what is visible of the image, and the generator draws what it finds. If that
explains the measurements hardly better than the mean image does, the picture is unlike everything
the encoder was trained on. The same is done with a few images that the generator drew itself: where
the encoder does not find even these again, as behind random projections, nothing can be told.
"""

from dataclasses import dataclass

import torch

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.draws import normal
from invprob.measurements import Measurements, measure
from invprob.methods.encoder_start import visible
from invprob.operators.base import Operator
from invprob.operators.observed import Observed
from invprob.priors.encoders import ToolkitEncoder
from invprob.priors.stylegan.generator import Generator
from invprob.streams import stream
from invprob.types import Images, PerImage

# `examples/measure_likeness.py` has the figures behind these.
SAMPLES = 4  # images of the generator's own
FOUND = 0.35  # what is left of each of them at most, where the encoder finds its own images
UNLIKE = 0.5  # what is left of a picture at least that the generator cannot draw


@checked
@dataclass(frozen=True)
class Likeness:
    """How much of what the mean image leaves unexplained the encoder's image leaves as well.

    Args:
        left: ||A G(E(x)) - y||² / ||A m - y||² of each image, (batch,): 0 where the encoder's image
            explains the measurements, about 1 where it does no better than the mean image m.
        own: the largest of these shares among images that the generator drew itself.
    """

    left: PerImage
    own: float

    @property
    def telling(self) -> bool:
        """Whether the encoder finds the generator's own images behind this operator."""
        return self.own <= FOUND

    def unlike(self) -> list[int]:
        """Which images the generator cannot draw; none where nothing can be told."""
        if not self.telling:
            return []
        return [index for index, share in enumerate(self.left.tolist()) if share >= UNLIKE]


@checked
@undisturbed()
@torch.no_grad()
def likeness(
    measurements: Measurements, operator: Operator, generator: Generator, encoder: ToolkitEncoder
) -> Likeness:
    """Compare what an encoder finds in measurements with the mean image.

    Args:
        measurements: the measurements.
        operator: the operator that measured them.
        generator: the generator.
        encoder: its encoder.

    Returns:
        The shares of the pictures, and that of the generator's own images.

    Raises:
        EncoderError: the operator is not linear and its measurements are not images, so that there
            is nothing to look at.
    """
    rows = normal((SAMPLES, generator.z_width), stream(0, "likeness")).to(generator.mean_w)
    styles = generator.mapping(rows)[:, None].expand(-1, generator.num_layers, -1)
    drawn = generator.synthesis(styles.contiguous()).clamp(-1, 1)
    first = operator.for_images(slice(0, 1))
    own = measure(drawn.cpu(), first, measurements.noise())
    left = _left(measurements, operator, generator, encoder)
    return Likeness(left, float(_left(own, first, generator, encoder).max()))


def _left(
    measurements: Measurements, operator: Operator, generator: Generator, encoder: ToolkitEncoder
) -> PerImage:
    weight = generator.mean_w
    mean = generator.synthesis(weight.expand(1, generator.num_layers, -1).contiguous())
    found = generator.synthesis(encoder(visible(measurements, operator).to(weight)))
    observed = Observed(operator)
    target = observed.shown(measurements.values)

    def misfit(images: Images) -> PerImage:
        prediction = operator(images.clamp(-1, 1).cpu().expand(len(target), -1, -1, -1))
        return (observed.shown(prediction) - target).flatten(1).square().sum(1)

    return misfit(found) / misfit(mean).clamp_min(torch.finfo(torch.float32).tiny)
