"""A step that moves style rows, and perhaps weights of the synthesis network beside them."""

from collections.abc import Sequence

from torch import Tensor, nn

from invprob.priors import Generator
from invprob.priors.base import ParamGroup
from invprob.priors.stylegan.differences import no_difference
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.synthesis import synthesise
from invprob.solver.optimisers import Adam


def convolution_weights(generator: Generator) -> list[str]:
    """Names of the weights of all convolutions and ToRGBs, without their affine layers."""
    return [
        name
        for name in generator.synthesis_weights()
        if name.endswith(".weight") and ".affine." not in name
    ]


class Descent:
    """Steps of Adam on the squared error.

    Args:
        generator: the frozen network.
        target: (batch, 3, size, size), which the images approach.
        names: the weights that move.
    """

    def __init__(self, generator: Generator, target: Tensor, names: Sequence[str]) -> None:
        own = generator.synthesis_weights()
        mean = generator.mean_w.expand(len(target), generator.num_layers, -1)
        styles = nn.Parameter(mean.clone())
        weights = {name: nn.Parameter(no_difference(own[name], len(target))) for name in names}
        self._generator, self._target = generator, target
        self._inputs = SynthesisInputs(styles, weights=weights)
        self._stepper = Adam(1e-3).start([ParamGroup([styles, *weights.values()])])

    def misfits(self) -> Tensor:
        """The squared error of each image, (batch,)."""
        image = synthesise(self._generator, self._inputs)
        return (image - self._target).square().sum((1, 2, 3))

    def __call__(self) -> None:
        """Take a step."""
        misfits = self.misfits()
        misfits.sum().backward()
        self._stepper.step(1.0, misfits.detach())
