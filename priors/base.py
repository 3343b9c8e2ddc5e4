"""The contract of a prior: a model of images, searched by moving its free variables.

An author writes a `Code`, which holds the free variables, and a `Prior` with two methods: `start`
makes the variables, `decode` draws images from them.
"""

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from invprob.calls import checked
from invprob.contracts import Contract
from invprob.errors import ArgumentError, PriorError
from invprob.kinds import remedy, shown
from invprob.registry import register, registered_name
from invprob.types import Images, PerImage, Shape, Spec


@remedy("prior.start(batch, rng)")
class Code(nn.Module):
    """The free variables of some independent solves.

    Its parameters are what the optimiser moves. Each has a leading batch axis, and parameters of
    different images never mix. Buffers are kept with them in checkpoints and solutions.
    """

    @torch.no_grad()
    def load_smaller_(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a smaller code, as a search from coarse to fine does.

        Args:
            state: the smaller code's `state_dict`. Each of its tensors becomes the first entries,
                along every axis, of the tensor of that name. All other values stay.

        Raises:
            PriorError: a tensor of the state is larger than the one of that name.
        """
        for name, value in self.state_dict().items():
            if name not in state:
                continue
            old = state[name]
            if old.ndim != value.ndim or any(map(operator.gt, old.shape, value.shape)):
                raise PriorError(
                    f"{name} is {tuple(value.shape)}, which cannot start from {tuple(old.shape)}"
                )
            value[tuple(slice(length) for length in old.shape)] = old


@checked
@dataclass(frozen=True)
class ParamGroup:
    """Parameters with a learning rate of their own.

    Attributes:
        parameters: free variables of a code.
        lr_scale: factor of the optimiser's learning rate, positive.
        scheduled: whether the learning-rate schedule applies.
    """

    parameters: Sequence[nn.Parameter]
    lr_scale: float = 1.0
    scheduled: bool = True


C = TypeVar("C", bound=Code, default=Any)


@remedy("Sphinx(load_generator('faces-128')), or call `restore`, which takes names")
class Prior(Contract, nn.Module, ABC, Generic[C]):
    """A model of images that is searched by moving a `Code`.

    An author writes `start` and `decode`. The other methods have defaults that suit a prior whose
    images depend on the code alone. `Prior[MyCode]` tells type checkers which code these methods
    take.

    Args:
        image_shape: shape of the images without the batch axis, such as (3, 128, 128).
    """

    called: ClassVar[tuple[str, ...]] = ("start",)

    image_shape: Shape

    def __init__(self, image_shape: Shape) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)

    @abstractmethod
    def start(self, batch: int, rng: torch.Generator) -> C:
        """Make the free variables at which a solve begins.

        Args:
            batch: number of independent images.
            rng: source of all random numbers; the same numbers serve every image.

        Returns:
            A code whose parameters have `batch` equal entries along the first axis.
        """

    @abstractmethod
    def decode(self, code: C, rng: torch.Generator) -> Images:
        """Draw the images of a code, as every step does.

        Args:
            code: what `start` made, perhaps moved since.
            rng: source of what is drawn afresh at this step; the batch shares the draws.

        Returns:
            Images (batch, *image_shape) in about [-1, 1], differentiable in the code.
        """

    def groups(self, code: C) -> list[ParamGroup]:
        """The parameters with their learning rates; by default one group with the schedule.

        Args:
            code: the code that is solved for.

        Returns:
            Groups that hold each parameter of the code once.
        """
        return [ParamGroup(list(code.parameters()))]

    def regularisers(self, code: C) -> Mapping[str, PerImage]:
        """Terms of the code that are added to the loss; by default none.

        Args:
            code: the code that the step has decoded.

        Returns:
            By name one value for each image, weighted.
        """
        del code
        return {}

    def project_(self, code: C) -> None:
        """Restore constraints on the code in place after a step; by default there are none.

        Args:
            code: the code that the optimiser has moved.
        """
        del code

    def anneal_(self, code: C, progress: float) -> None:
        """Set in the code what changes during a stage; by default nothing does.

        Args:
            code: the code that the next step will decode.
            progress: share of the stage's steps that are done, in [0, 1).
        """
        del code, progress

    def adopt_(self, code: C, realised: Mapping[str, Tensor]) -> None:
        """Move the code in place to another prior's solution, or as near to it as it can.

        Args:
            code: what `start` made.
            realised: what the other prior's `realise` returned, or an encoder found. Variables
                stay where it names nothing of theirs.

        Raises:
            PriorError: this prior cannot start from such a solution. By default it cannot from any.
        """
        del code
        raise PriorError(
            f"a {type(self).__name__} cannot start from {', '.join(realised) or 'nothing'}; "
            "let it be the first stage, or write its `adopt_`"
        )

    def realise(self, code: C, rng: torch.Generator) -> dict[str, Tensor]:
        """What a solution keeps of the code, so that its image can be drawn again.

        Args:
            code: the code at the end of a solve.
            rng: source of random numbers, with which the last step has decoded.

        Returns:
            Tensors by name; by default the image itself.
        """
        return {"image": self.decode(code, rng)}

    def render(self, realised: Mapping[str, Tensor]) -> Images:
        """Draw the images of a solution.

        Args:
            realised: what `realise` returned, perhaps read from a file.

        Returns:
            Images (batch, *image_shape): the same for the same tensors, bit for bit.
        """
        return realised["image"]

    def extra_repr(self) -> str:
        """The shape of the images; a subclass adds what it is made of."""
        return f"{self.image_shape}"

    def __repr__(self) -> str:
        """One line, fit for messages; the layers of a network would fill pages."""
        return f"{type(self).__name__}({self.extra_repr()})"

    def mean_image(self) -> Images | None:
        """The prior's guess without any measurement, (1, *image_shape); by default None."""
        return None

    def spec(self) -> dict[str, Any]:
        """JSON values from which `from_spec` builds a prior that renders the same."""
        return {"type": registered_name(type(self))}

    @classmethod
    @checked
    def from_spec(cls, spec: Spec) -> "Prior":
        """Build the prior of a spec.

        Args:
            spec: what `spec` returned. Its "type" is the registered name of the prior.

        Returns:
            A prior that renders the same.

        Raises:
            ArgumentError: the spec is no table with a `type`.
            UnknownNameError: no prior has that name.
        """
        name = spec.get("type")
        if not isinstance(name, str):
            raise ArgumentError(f"a prior's spec names its type as a word, got {shown(name)}")
        kind: Any = register.prior[name]
        prior: Prior = kind.from_spec(spec)
        return prior
