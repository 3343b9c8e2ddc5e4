"""What moves the free variables: the contract, Adam, and plain steps along the gradient.

An `Optimiser` is chosen before a solve. Each stage of the solve calls its `start` once, and the
`Stepper` that it returns at every step, after the gradients were computed. L-BFGS is in `lbfgs.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from invprob.contracts import Contract
from invprob.errors import ArgumentError
from invprob.kinds import remedy
from invprob.priors.base import ParamGroup
from invprob.types import PerImage


class Stepper(ABC):
    """An optimiser at work on the free variables of one stage.

    An author writes `step`, `state` and `restore`, and returns it from `Optimiser.start`.
    """

    @abstractmethod
    def step(self, scale: float, losses: PerImage) -> None:
        """Move the parameters in place, and remove their gradients.

        Args:
            scale: what the schedule says at this step, in [0, 1].
            losses: the objective of each image, (batch,), without a graph. The `grad` of each
                parameter is the gradient of their sum; what moves one image does not enter the
                objective of another.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on besides parameters and gradients, by name."""

    def converged(self) -> bool:
        """Whether further steps would change next to nothing; by default this is not known."""
        return False

    def settle(self) -> None:
        """Move the parameters to where the solve should end, after its last step.

        By default they are there. An optimiser that tries points out moves back to the best one.
        """
        return

    @abstractmethod
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to an earlier state.

        Args:
            state: what `state` returned, perhaps read from a file.
        """


@remedy("Adam(0.01)")
class Optimiser(Contract, ABC):
    """A choice of how to descend. An author writes `start`.

    Attributes:
        descends: whether it moves along the gradient of the terms, so that any term may be added.
        scheduled: whether it has a learning rate, which a schedule scales.
    """

    called: ClassVar[tuple[str, ...]] = ("start",)
    descends: ClassVar[bool] = True
    scheduled: ClassVar[bool] = True

    def received(self, arguments: Mapping[str, Any]) -> None:
        """Keep the arguments for `repr`."""
        self._arguments = dict(arguments)

    def __repr__(self) -> str:
        """The class and its arguments."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self._arguments.items())
        return f"{type(self).__name__}({shown})"

    @abstractmethod
    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        """Begin with fresh state.

        Args:
            groups: the parameters to move. Each group has a scale of the learning rate, and says
                whether it follows the schedule.

        Returns:
            What the solve calls at every step.
        """


class Adam(Optimiser):
    """Adam (Kingma & Ba, ICLR 2015).

    Args:
        learning_rate: the learning rate where the schedule is 1, above 0.
        betas: how much the moments of the gradient keep from step to step.
        epsilon: what is added to the root of the second moment.

    Raises:
        ArgumentError: the learning rate is not positive and finite.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        _check_rate(learning_rate)
        self.learning_rate, self.betas, self.epsilon = learning_rate, betas, epsilon

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        """Begin with moments of 0."""
        return _AdamStepper(self, groups)


class _InMemory:
    """A parameter with its axes in the order in which they lie in memory.

    PyTorch's fused kernel walks through memory. It copies a gradient that is not contiguous, as
    those of convolution weights with channels last are, to no use.
    """

    def __init__(self, parameter: Tensor) -> None:
        self._parameter = parameter
        self._order = sorted(range(parameter.ndim), key=parameter.stride, reverse=True)
        self.values = parameter.detach().permute(self._order)

    def take_gradient(self) -> None:
        """Move the parameter's gradient to `values`."""
        gradient, self._parameter.grad = self._parameter.grad, None
        self.values.grad = None if gradient is None else gradient.permute(self._order).contiguous()

    def usual(self, state: Tensor) -> Tensor:
        """A moment of `values` with the parameter's axes; a number of steps as it is."""
        if state.shape != self.values.shape:
            return state
        return state.permute(sorted(range(state.ndim), key=self._order.__getitem__))

    def laid(self, state: Tensor) -> Tensor:
        """The inverse of `usual`, in memory of its own."""
        if state.shape != self._parameter.shape:
            return state
        return torch.empty_like(self.values).copy_(state.permute(self._order))


class _AdamStepper(Stepper):
    """PyTorch's fused Adam, whose rates are set anew at every step."""

    def __init__(self, optimiser: Adam, groups: Sequence[ParamGroup]) -> None:
        self._rates = [(optimiser.learning_rate * group.lr_scale, group) for group in groups]
        moved = [[_InMemory(value) for value in group.parameters] for group in groups]
        self._moved = [one for group in moved for one in group]
        self._adam = torch.optim.Adam(
            [{"params": [one.values for one in group]} for group in moved],
            lr=optimiser.learning_rate,
            betas=optimiser.betas,
            eps=optimiser.epsilon,
            fused=True,
        )

    def step(self, scale: float, losses: PerImage) -> None:
        del losses
        for (rate, group), settings in zip(self._rates, self._adam.param_groups, strict=True):
            settings["lr"] = rate * scale if group.scheduled else rate
        for one in self._moved:
            one.take_gradient()
        self._adam.step()
        self._adam.zero_grad()

    def state(self) -> dict[str, Tensor]:
        state = self._adam.state_dict()["state"]
        return {
            f"{index}.{key}": self._moved[index].usual(value)
            for index in state
            for key, value in state[index].items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        whole = self._adam.state_dict()
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            index, key = name.split(".", 1)
            entries.setdefault(int(index), {})[key] = self._moved[int(index)].laid(value)
        whole["state"] = entries
        self._adam.load_state_dict(whole)


class GradientDescent(Optimiser):
    """x <- x - rate · gradient, without memory.

    Args:
        learning_rate: the rate where the schedule is 1, above 0.

    Raises:
        ArgumentError: the learning rate is not positive and finite.
    """

    def __init__(self, learning_rate: float) -> None:
        _check_rate(learning_rate)
        self.learning_rate = learning_rate

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        """Begin; there is no state."""
        return _DescentStepper(self.learning_rate, groups, lambda gradient: gradient)


class NormalisedGradientDescent(Optimiser):
    """x <- x - rate · g / ||g||, without memory, each row by itself.

    The optimiser of "Robust unsupervised StyleGAN image restoration" (Poirier-Ginter & Lalonde,
    CVPR 2023, arXiv:2302.06733). A row runs along the last axis. So every style row moves by the
    learning rate, whatever the size and units of the loss; a row without gradient stays.

    Args:
        learning_rate: how far a row moves where the schedule is 1, above 0.

    Raises:
        ArgumentError: the learning rate is not positive and finite.
    """

    def __init__(self, learning_rate: float) -> None:
        _check_rate(learning_rate)
        self.learning_rate = learning_rate

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        """Begin; there is no state."""
        return _DescentStepper(self.learning_rate, groups, unit_rows)


def unit_rows(gradient: Tensor) -> Tensor:
    """Scale each row (last axis) to length one; a row of zeros stays zero."""
    return torch.nn.functional.normalize(gradient, dim=-1, eps=torch.finfo(gradient.dtype).tiny)


class _DescentStepper(Stepper):
    """Steps along what `direction` makes of the gradient."""

    def __init__(
        self,
        learning_rate: float,
        groups: Sequence[ParamGroup],
        direction: Callable[[Tensor], Tensor],
    ) -> None:
        self._rates = [(learning_rate * group.lr_scale, group) for group in groups]
        self._direction = direction

    @torch.no_grad()
    def step(self, scale: float, losses: PerImage) -> None:
        del losses
        for rate, group in self._rates:
            for value in group.parameters:
                if value.grad is not None:
                    value.sub_(
                        self._direction(value.grad), alpha=rate * (scale if group.scheduled else 1)
                    )
                    value.grad = None

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        del state


def _check_rate(learning_rate: float) -> None:
    if not 0 < learning_rate < float("inf"):
        raise ArgumentError(f"learning_rate must be positive and finite, not {learning_rate}")
