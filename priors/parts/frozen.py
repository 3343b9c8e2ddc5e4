"""A part whose inputs stay where a stage before has left them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from invprob.errors import PriorError
from invprob.priors.parts.base import Part, StartedPart, copy_, repeated
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs


class Frozen(Part):
    """The inputs of another part, of which nothing moves.

    Args:
        part: the part whose inputs these are. Their values are those that it settles on at its
            start, or those of the solution that is adopted.
    """

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedFrozen":
        with torch.no_grad():
            inputs = self.part.start(generator, batch, rng).settle(rng)
        return StartedFrozen(self, generator, batch, inputs)


class StartedFrozen(StartedPart[Frozen]):
    """Inputs that are kept as buffers, each (batch, ...).

    Args:
        part: the settings.
        generator: the network whose inputs they are.
        batch: number of images.
        inputs: where they are, for the batch or for one image.
    """

    def __init__(
        self, part: Frozen, generator: Generator, batch: int, inputs: SynthesisInputs
    ) -> None:
        super().__init__(part, generator)
        tensors = inputs.to_tensors()
        self._names = list(tensors)
        for name, tensor in tensors.items():
            self.register_buffer(_buffer(name), repeated(tensor.detach(), batch).clone())

    def tensors(self) -> Mapping[str, Tensor]:
        """The inputs by the names that files use."""
        return {name: self.get_buffer(_buffer(name)) for name in self._names}

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        return SynthesisInputs.from_tensors(self.tensors())

    def adopt_(self, inputs: SynthesisInputs) -> None:
        found = inputs.to_tensors()
        for name, tensor in self.tensors().items():
            if name not in found:
                raise PriorError(
                    f"{name} is to be kept as it is, but what came before gives "
                    f"{', '.join(found) or 'nothing'}"
                )
            copy_(tensor, found[name])


def _buffer(name: str) -> str:
    """The name of a tensor's buffer, which may have no dot."""
    return name.replace(".", "_")
