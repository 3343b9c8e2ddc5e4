"""The contract of an operator: image in, noiseless measurement out; everything else is derived.

An author writes `forward` (and `example`). Shapes are declared without the batch axis and checked
at every call and at every composition. A linear operator gets its adjoint, pseudo-inverse and norm
for nothing. Operators hold real tensors and integer seeds, never a `torch.Generator`, so that
copying, pickling and `.to()` work.
"""

import copy
import hashlib
import json
import math
import operator as python_operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, overload

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, ContractError, ShapeError
from invprob.registry import build
from invprob.specs import Recorded
from invprob.types import Images, Measured, PerImage, Shape, Spec


class Operator(Recorded, nn.Module, ABC):
    """A deterministic, differentiable map: (batch, *image_shape) to (batch, *measurement_shape).

    Random operators take an integer `seed` and draw on the CPU. Buffers named in `exact` are
    float64 and stay so whatever `.to(dtype)` says; `forward` casts them to the image's dtype.
    """

    linear: ClassVar[bool] = False
    exact: ClassVar[tuple[str, ...]] = ()
    fingerprinted: ClassVar[tuple[str, ...] | None] = None  # buffers that tell it apart; None: all

    image_shape: Shape
    measurement_shape: Shape

    def __init__(self, image_shape: Shape, measurement_shape: Shape) -> None:
        super().__init__()
        self.image_shape = checked_shape("image_shape", image_shape)
        self.measurement_shape = checked_shape("measurement_shape", measurement_shape)

    @abstractmethod
    def forward(self, image: Images) -> Measured:
        """Measure each image of the batch by itself, without noise."""

    def __call__(self, image: Images) -> Measured:
        """Apply `forward`; raises `ShapeError` unless the image is (batch, *image_shape)."""
        _fit(image, self.image_shape, self, "reads images")
        measurement: Measured = super().__call__(image)
        return measurement

    def surrogate(self, image: Images) -> Measured:
        """A differentiable stand-in for a `forward` that has no useful gradient."""
        return self(image)

    def __matmul__(self, inner: "Operator") -> "Operator":
        """`(A @ B)(x) = A(B(x))`, linear if both are; raises `ShapeError` if they do not fit."""
        from invprob.operators.composition import compose  # which derives from this class

        # Type checkers see this file under two names, and the classes of one in the other.
        leaves = self.leaves() + inner.leaves()
        return compose(leaves)  # pyright: ignore[reportArgumentType, reportReturnType]

    @property
    def observed(self) -> int:
        """How many numbers of a measurement tell of the image; by default all of them."""
        return math.prod(self.measurement_shape)

    @property
    def smooth(self) -> bool:
        """Whether the surrogate's gradient is that of its values; a straight-through one is not."""
        return True

    def leaves(self) -> tuple["Operator", ...]:
        """The operators of which this is composed, in reading order; by default itself."""
        return (self,)

    def for_images(self, rows: slice) -> "Operator":
        """The operator of some images of a batch; by default it is the same for all."""
        del rows
        return self

    @staticmethod
    def from_spec(spec: Spec) -> "Operator":
        """Build what `spec` says, compositions too; raises `ArgumentError`, `UnknownNameError`."""
        from invprob.operators.structure import STRUCTURES  # whose classes derive from this one

        if not isinstance(spec, Mapping):
            raise ArgumentError(f"an operator's spec is a table of settings, got {spec!r}")
        settings = dict(spec)
        kind = settings.pop("type", None)
        if not isinstance(kind, str):
            raise ArgumentError(f"an operator's spec names its type as a word, got {kind!r}")
        if kind in STRUCTURES:
            return STRUCTURES[kind].rebuilt(settings)  # pyright: ignore[reportReturnType]
        built = build("operator", kind, settings)
        if not isinstance(built, Operator):
            raise ContractError(f"{kind!r} is registered as an operator, but is no Operator")
        return built

    def fingerprint(self) -> str:
        """A sha256 of the spec and of every buffer and parameter, leaf by leaf in reading order.

        Numbers enter with sixteen significant bits and without their dtype: neither `.double()`,
        the device, nor the last digits of another machine's FFT change the fingerprint, and caches
        are no part of it.
        """
        digests = [_digest(leaf) for leaf in self.leaves()]
        whole = digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()
        return whole.hex()

    @classmethod
    def example(cls) -> "Operator":
        """A small instance, at most 1,024 image elements: registering enters it into the tests."""
        raise ContractError(
            f"{cls.__name__} offers no example(); write a classmethod that returns a small instance"
        )

    def extra_repr(self) -> str:
        """The shapes, as they appear in messages; a subclass adds its options."""
        return f"{self.image_shape} -> {self.measurement_shape}"

    def __repr__(self) -> str:
        """One line, fit for messages."""
        if self.leaves() == (self,):
            return f"{type(self).__name__}({self.extra_repr()})"
        return " @ ".join(map(repr, self.leaves()))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Operator":
        kept = {name: self.get_buffer(name) for name in self.exact}
        super()._apply(fn, recurse)
        for name, buffer in kept.items():
            setattr(self, name, buffer.to(self.get_buffer(name).device))
        return self


class LinearOperator(Operator):
    """An operator with A(ax + bz) = aA(x) + bA(z), and therefore an adjoint."""

    linear: ClassVar[bool] = True

    def adjoint(self, measurement: Measured) -> Images:
        """The transpose: (batch, *measurement_shape) to (batch, *image_shape), differentiable.

        By autograd, in the measurement's dtype and on its device. Override only for speed:
        `check_operator` compares the two.
        """
        self.check_measurement(measurement)
        image: Images = _Transpose.apply(measurement, self)
        return image

    def check_measurement(self, measurement: Measured) -> None:
        """Raise `ShapeError` unless the measurement is (batch, *measurement_shape)."""
        _fit(measurement, self.measurement_shape, self, "has an adjoint that reads measurements")

    @property
    def H(self) -> "LinearOperator":
        """The adjoint as an operator; `A.H.H is A`."""
        from invprob.operators.composition import Adjoint  # which derives from this class

        return Adjoint(self)  # pyright: ignore[reportArgumentType, reportReturnType]

    @overload
    def __matmul__(self, inner: "LinearOperator") -> "LinearOperator": ...
    @overload
    def __matmul__(self, inner: Operator) -> Operator: ...
    def __matmul__(self, inner: Operator) -> Operator:
        """`(A @ B)(x) = A(B(x))`, linear if B is."""
        return super().__matmul__(inner)

    def normal(self, image: Images) -> Images:
        """A'A x."""
        return self.adjoint(self(image))

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """The least-squares image of least norm, A⁺y, by conjugate gradients on A'Ax = A'y (CGLS).

        Each image of the batch has its own step sizes and stops when ||A'(y - Ax)|| is `tolerance`
        times ||A'y||, or after `iterations`.
        """
        residual = measurement
        gradient = self.adjoint(residual)
        image = torch.zeros_like(gradient)
        direction = gradient
        power = _squared(gradient)
        goal = tolerance**2 * power
        for _ in range(iterations):
            active = power > goal
            if not bool(active.any()):
                break
            ahead = self(direction)
            # A finished image takes no further step, so that it does not depend on its neighbours.
            alpha = torch.where(active, _ratio(power, _squared(ahead)), 0.0)
            image = image + _scaled(alpha, direction)
            residual = residual - _scaled(alpha, ahead)
            gradient = self.adjoint(residual)
            previous, power = power, torch.where(active, _squared(gradient), power)
            direction = gradient + _scaled(_ratio(power, previous), direction)
        return image

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """The largest singular value, by power iteration in float64 until it hardly moves."""
        double = copy.deepcopy(self).to(torch.float64)
        device = next((buffer.device for buffer in self.buffers()), torch.device("cpu"))
        rng = torch.Generator().manual_seed(seed)
        start = torch.randn(1, *self.image_shape, generator=rng, dtype=torch.float64)
        image, value = start.to(device), 0.0
        with torch.no_grad():
            for _ in range(iterations):
                image = image / image.norm()
                image = double.normal(image)
                previous, value = value, math.sqrt(float(image.norm()))
                if abs(value - previous) <= tolerance * value:
                    break
        return value


class _Transpose(torch.autograd.Function):
    """The transpose of a linear map by autograd, whose derivative is the map again."""

    @staticmethod
    def forward(ctx: Any, measurement: Tensor, operator: LinearOperator) -> Tensor:
        ctx.operator = operator
        with torch.inference_mode(False), torch.enable_grad():
            weights = measurement.clone() if measurement.is_inference() else measurement.detach()
            probe = weights.new_zeros(len(weights), *operator.image_shape, requires_grad=True)
            (image,) = torch.autograd.grad(operator(probe), probe, weights)
        return image

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.operator(gradients[0]), None


def seeded(seed: int) -> torch.Generator:
    """The CPU generator of an operator's draws; raises `ArgumentError` unless 0 <= seed < 2**63."""
    if not 0 <= seed < 2**63:
        raise ArgumentError(f"seed must be a whole number from 0 to 2**63 - 1, got {seed}")
    return torch.Generator().manual_seed(seed)


def checked_shape(name: str, shape: Iterable[int]) -> Shape:
    """A shape as a tuple; raises `ArgumentError` unless it holds positive whole numbers."""
    try:
        checked = tuple(python_operator.index(length) for length in shape)
    except TypeError:
        raise ArgumentError(f"{name} must be whole, such as (3, 64, 64), got {shape!r}") from None
    if any(length < 1 for length in checked):
        raise ArgumentError(f"{name} must be positive, such as (3, 64, 64), got {checked}")
    return checked


def _fit(tensor: Tensor, shape: Shape, reader: Operator, reads: str) -> None:
    if tuple(tensor.shape[1:]) != shape or tensor.ndim == 0:
        raise ShapeError(
            f"{reader!r} {reads} of shape (batch, {str(shape)[1:]}, got {tuple(tensor.shape)}"
        )


def _digest(leaf: Operator) -> bytes:
    digest = hashlib.sha256(json.dumps(_plain(leaf.spec()), sort_keys=True).encode())
    for name, tensor in sorted(_tensors(leaf), key=lambda pair: pair[0]):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu()
        if values.is_complex():
            values = torch.view_as_real(values.resolve_conj())
        if values.is_floating_point():
            mantissa, exponent = torch.frexp(values.to(torch.float64))
            digest.update((mantissa * 2**16).round().to(torch.int32).numpy().tobytes())
            values = exponent
        digest.update(values.to(torch.int64).numpy().tobytes())
    return digest.digest()


def _tensors(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Buffers and parameters by name; one that two parts share is two, as after a rebuild."""
    only = module.fingerprinted if isinstance(module, Operator) else None
    own = [*module.named_buffers(recurse=False), *module.named_parameters(recurse=False)]
    yield from ((prefix + name, tensor) for name, tensor in own if only is None or name in only)
    if only is None:
        for name, child in module._modules.items():
            if child is not None:
                yield from _tensors(child, f"{prefix}{name}.")


def _plain(value: Any) -> Any:
    """JSON in which 10.0 and 10 are the same number."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _squared(tensor: Tensor) -> PerImage:
    return tensor.flatten(1).square().sum(1)


def _ratio(above: PerImage, below: PerImage) -> PerImage:
    return torch.where(below > 0, above / torch.where(below > 0, below, 1.0), 0.0)


def _scaled(factor: PerImage, tensor: Tensor) -> Tensor:
    return factor.view(-1, *[1] * (tensor.ndim - 1)) * tensor
