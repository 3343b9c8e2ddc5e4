"""deepinv in both directions: an operator as a physics, and a physics as an operator.

    physics = to_deepinv(operator)        # A, A_adjoint, A_dagger; without noise by default
    operator = from_deepinv(physics)      # the noiseless part of a physics

Needs `pip install 'invprob-toolkit[deepinv]'`. Without deepinv, importing this module raises
`ImportError`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.draws import uniform
from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.external import External
from invprob.operators.observed import Observed
from invprob.types import Images, Measured, Shape
from invprob.version import install_command

try:
    from deepinv.physics import (  # pyright: ignore[reportMissingImports]
        LinearPhysics,
        NoiseModel,
        Physics,
        ZeroNoise,
    )
except ImportError as error:
    raise ImportError(
        f"invprob.interop.deepinv needs the package deepinv ({error}); {install_command('deepinv')}"
    ) from error

_PROBED = 4096  # elements of a measurement that enter a wrapped physics' fingerprint


class OperatorPhysics(Physics):  # type: ignore[misc]
    """An operator that is not linear as a deepinv physics. Made by `to_deepinv`."""

    def __init__(self, operator: Operator, noise_model: NoiseModel) -> None:
        super().__init__(noise_model=noise_model)
        self.operator = operator

    def A(self, x: Images, **_: Any) -> Measured:
        """Measure without noise."""
        return self.operator(x)

    def noise(self, x: Measured, **keywords: Any) -> Measured:
        """Add the noise model's noise where the operator observes something."""
        return Observed(self.operator).only(super().noise(x, **keywords), x)

    def A_vjp(self, x: Images, v: Measured, **_: Any) -> Images:
        """The gradient of <A(x), v>, through the operator's surrogate where it has one."""
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.operator.surrogate(at), at, v)
        return gradient


class LinearOperatorPhysics(LinearPhysics):  # type: ignore[misc]
    """A linear operator as a linear deepinv physics. Made by `to_deepinv`."""

    def __init__(self, operator: LinearOperator, noise_model: NoiseModel) -> None:
        noise: Any = noise_model  # deepinv annotates the parameter by its default's class
        super().__init__(img_size=operator.image_shape, noise_model=noise)
        self.operator = operator

    def A(self, x: Images, **_: Any) -> Measured:
        """Measure without noise."""
        return self.operator(x)

    def noise(self, x: Measured, **keywords: Any) -> Measured:
        """Add the noise model's noise where the operator observes something."""
        return Observed(self.operator).only(super().noise(x, **keywords), x)

    def A_adjoint(self, y: Measured, **_: Any) -> Images:
        """The operator's adjoint."""
        return self.operator.adjoint(y)

    # deepinv's own passes options of its solvers by position too; a closed form has none.
    def A_dagger(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, y: Measured, **_: Any
    ) -> Images:
        """The operator's pseudo-inverse."""
        return self.operator.pinv(y)


@checked
def to_deepinv(
    operator: Operator, noise_model: NoiseModel | None = None
) -> OperatorPhysics | LinearOperatorPhysics:
    """Make a deepinv physics from an operator.

    Args:
        operator: the operator. The physics holds it, not a copy: `.to(device)` moves both.
        noise_model: deepinv's noise, where the operator observes something; None adds no noise.

    Returns:
        A linear physics if the operator is linear.
    """
    noise = ZeroNoise() if noise_model is None else noise_model  # deepinv's default one is shared
    if isinstance(operator, LinearOperator):
        return LinearOperatorPhysics(operator, noise)
    return OperatorPhysics(operator, noise)


class WrappedPhysics(External):
    """A deepinv physics as an operator. Made by `from_deepinv`."""

    exact = fingerprinted = ("probe",)  # a physics may change its buffers whenever it is used

    probe: Tensor

    def __init__(self, physics: Physics, image_shape: Shape) -> None:
        response = _response(physics, image_shape)
        super().__init__(image_shape, tuple(response.shape[1:]))
        self.physics = physics
        self.register_buffer("probe", _probe(response), persistent=False)

    def forward(self, image: Images) -> Measured:
        """Apply the noiseless part of the physics."""
        if len(image) == 0:  # which not every physics takes; the sum keeps it differentiable
            return image.new_zeros(0, *self.measurement_shape) + image.sum()
        return _real(self.physics.A(image))

    def wrapped(self) -> nn.Module:
        """The physics."""
        physics: nn.Module = self.physics
        return physics

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Operator:
        return super()._apply(_careful(fn), recurse)


class WrappedLinearPhysics(WrappedPhysics, LinearOperator):
    """A linear deepinv physics as a linear operator. Made by `from_deepinv`."""


@checked
@undisturbed()
def from_deepinv(physics: Physics, image_shape: Shape | None = None) -> WrappedPhysics:
    """Make an operator from the noiseless part of a deepinv physics.

    The adjoint is the transpose by autograd, which is exact even where `A_adjoint` is an
    approximation. No file can rebuild a physics: its measurements are solved in the program that
    made it.

    Args:
        physics: the physics; its noise is left out.
        image_shape: shape of the images without the batch axis, such as (3, 64, 64); None takes
            the physics' own `img_size`.

    Returns:
        A `LinearOperator` if the physics is linear. Complex measurements have a last axis of 2.

    Raises:
        ArgumentError: the shape of the images is not known, or the measurement is no tensor.
    """
    shape = getattr(physics, "img_size", None) if image_shape is None else image_shape
    if shape is None:
        raise ArgumentError(
            f"{type(physics).__name__} does not say what images it measures; give image_shape, "
            "such as (3, 64, 64)"
        )
    if isinstance(physics, LinearPhysics):
        return WrappedLinearPhysics(physics, tuple(shape))
    return WrappedPhysics(physics, tuple(shape))


def _response(physics: Physics, image_shape: Shape) -> Tensor:
    """The measurement of one seeded image."""
    tensors = [*physics.buffers(), *physics.parameters()]
    device = tensors[0].device if tensors else torch.device("cpu")
    rng = torch.Generator().manual_seed(0)
    image = uniform((1, *image_shape), rng).to(device)
    with torch.no_grad():
        response = physics.A(image)
    if not isinstance(response, Tensor):
        raise ArgumentError(
            f"{type(physics).__name__} measures a {type(response).__name__}, not a tensor; wrap "
            "its parts one by one, and join them with `invprob.operators.stack`"
        )
    return _real(response)


def _probe(response: Tensor) -> Tensor:
    """A sample of a measurement, because options of a physics are not all in its buffers."""
    flat = response.flatten().double()
    return flat[:: max(1, flat.numel() // _PROBED)].clone()


def _real(measurement: Tensor) -> Tensor:
    return torch.view_as_real(measurement) if measurement.is_complex() else measurement


def _careful(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """`Module.to(dtype)` makes complex buffers real; as pairs of real numbers they survive."""

    def applied(tensor: Tensor) -> Tensor:
        if not tensor.is_complex():
            return fn(tensor)
        return torch.view_as_complex(fn(torch.view_as_real(tensor.resolve_conj())).contiguous())

    return applied
