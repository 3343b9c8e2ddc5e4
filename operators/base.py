"""The contract of an operator: image in, noiseless measurement out.

An author writes `forward` and `example`, and gets everything else: shape checks, composition,
files, and for a linear operator the adjoint, the pseudo-inverse and the norm.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar, Literal, overload

import torch
from torch import Tensor, nn

from invprob.cards import card
from invprob.draws import normal
from invprob.errors import ArgumentError, ContractError
from invprob.fast.linear_map import linear_map
from invprob.kinds import remedy, shown
from invprob.operators.checks import checked_shape, seeded
from invprob.operators.door import Guarded, without_autocast
from invprob.operators.fingerprint import digest
from invprob.operators.least_squares import largest_singular_value, least_squares
from invprob.operators.placement import device_of
from invprob.operators.transpose import by_autograd
from invprob.registry import build
from invprob.specs import Recorded
from invprob.types import Images, Measured, Shape, Spec


@remedy("RandomMask((3, 128, 128), ratio=0.3) or another one of invprob.operators")
class Operator(Recorded, Guarded, nn.Module, ABC):
    """A deterministic, differentiable map from images to measurements, without noise.

    A whole operator::

        @invprob.register.operator("negative")
        class Negative(invprob.LinearOperator):
            \"\"\"Exchange black and white: y = -x.\"\"\"

            def __init__(self, image_shape: tuple[int, ...]) -> None:
                super().__init__(image_shape, image_shape)

            def forward(self, image: torch.Tensor) -> torch.Tensor:
                return -image

            @classmethod
            def example(cls) -> "Negative":
                return cls((3, 8, 8))

    Shapes are those of one image and of one measurement, without the batch axis. Images lie in
    [-1, 1]. Measurements are real; complex ones have a last axis of 2, real and imaginary part.

    A random operator takes an integer `seed`, draws on the CPU (`seeded`) and keeps the tensors
    that it drew as buffers. It never keeps a `torch.Generator`, which can be neither copied nor
    saved.

    Args:
        image_shape: shape of the images that it reads, such as (3, 128, 128).
        measurement_shape: shape of one measurement, such as (492,).

    Attributes:
        linear: whether the operator is linear; derive from `LinearOperator` if it is.
        exact: names of buffers that stay float64 whatever `.to(dtype)` says; `forward` casts them
            to the image's dtype.
        fingerprinted: names of the buffers that distinguish two operators; None stands for all.
        pointwise: whether each number of a measurement depends on one number of the image alone,
            the one at its place, as for a mask or a tone curve.
        image_units: what an operator that is not linear does in other units of the image. "any": it
            reads them as they are. "picture": it reads and writes pictures in [-1, 1]. "fixed": it
            makes sense of images in [-1, 1] alone.

    Raises:
        ArgumentError: a shape holds something else than positive whole numbers.
    """

    linear: ClassVar[bool] = False
    exact: ClassVar[tuple[str, ...]] = ()
    fingerprinted: ClassVar[tuple[str, ...] | None] = None
    pointwise: ClassVar[bool] = False
    image_units: ClassVar[Literal["any", "picture", "fixed"]] = "any"

    def __init__(self, image_shape: Shape, measurement_shape: Shape) -> None:
        super().__init__()
        self.image_shape = checked_shape("image_shape", image_shape)
        self.measurement_shape = checked_shape("measurement_shape", measurement_shape)

    # What an author writes.

    @abstractmethod
    def forward(self, image: Images) -> Measured:
        """Measure each image of a batch by itself, without noise.

        Args:
            image: (batch, *image_shape), in [-1, 1] or near it. The batch may be empty.

        Returns:
            The measurements, (batch, *measurement_shape), in the image's dtype.
        """

    @classmethod
    def example(cls) -> "Operator":
        """A small instance, which enters the tests of the contract once the class is registered.

        Returns:
            An operator on images of at most 1,024 elements.

        Raises:
            ContractError: the class does not offer one.
        """
        raise ContractError(
            f"{cls.__name__} offers no example(); write a classmethod that returns a small instance"
        )

    def surrogate(self, image: Images) -> Measured:
        """A differentiable stand-in for a `forward` that has no useful gradient, such as rounding.

        The solver descends through it. By default it is `forward` itself.

        Args:
            image: (batch, *image_shape).

        Returns:
            Measurements or what is near to them, (batch, *measurement_shape).
        """
        return self(image)

    @property
    def smooth(self) -> bool:
        """Whether the gradient of `surrogate` is the gradient of its values; by default it is.

        A straight-through gradient, which takes no notice of rounding, is not.
        """
        return True

    def observed(self) -> Tensor:
        """Which numbers of a measurement show something of the image; by default all of them.

        The others are the same whatever the image: noise spares them, and no mean counts them.

        Returns:
            bool on the CPU: (1, *measurement_shape), or (images, *measurement_shape) where each
            image has an operator of its own.
        """
        return torch.ones(1, *self.measurement_shape, dtype=torch.bool, device="cpu")

    @property
    def measured(self) -> int:
        """How many numbers are observed of an image; no more than by a chain's narrowest part."""
        return int(self.observed().flatten(1).sum(1).min())

    def units(self) -> Tensor | None:
        """What can be left out of a measurement, to judge what is restored from the rest.

        `invprob.operators.units` has the usual labels: pixels, single numbers, places of an axis.

        Returns:
            A label for each number of a measurement, int64 of `measurement_shape`, on the CPU.
            Numbers with the same label can only be left out together. Those labelled -1 are never
            left out: they do not depend on the image, or too much hangs on them. None, which is the
            default: nothing is known of what can be left out.
        """
        return None

    def doubts(self, measurement: Measured) -> tuple[str, ...]:
        """What looks wrong with measurements that were made elsewhere; by default nothing.

        `Measurements.from_array` turns each doubt into a `MeasurementWarning`.

        Args:
            measurement: finite values, (batch, *measurement_shape).

        Returns:
            For each doubt what was seen and what to try, in one line.
        """
        del measurement
        return ()

    @classmethod
    def illustration(cls, image_shape: Shape) -> "Operator":
        """An instance for a picture of what the operator does.

        By default it has the options of the example; override where these show little on images of
        another size.

        Args:
            image_shape: shape of the picture, such as (3, 128, 128).

        Returns:
            An operator on images of this shape, or of a smaller one where it has to be.

        Raises:
            ArgumentError: the operator refuses the shape.
            ShapeError: the same, of an operator that says it so.
        """
        return Operator.from_spec({**cls.example().spec(), "image_shape": list(image_shape)})

    # What every operator can do.

    def __call__(self, image: Images) -> Measured:
        """Apply `forward`, after `check_image`."""
        self.check_image(image)
        measurement: Measured = without_autocast(image, partial(super().__call__, image))
        return measurement

    def __matmul__(self, inner: "Operator") -> "Operator":
        """`(A @ B)(x) = A(B(x))`, linear if both are.

        Raises `ShapeError` if the shapes do not fit, `ArgumentError` if B is no operator.
        """
        from invprob.operators.composition import compose  # which derives from this class

        if not isinstance(inner, Operator):
            raise ArgumentError(
                f"{type(self).__name__} @ … composes operators, got a {type(inner).__name__}; "
                "write A(image) to measure an image, and make a function an operator by a class "
                "with `forward` (see invprob.Operator)"
            )
        # Type checkers see this file under two names, and the classes of one in the other.
        leaves = self.leaves() + inner.leaves()
        return compose(leaves)  # pyright: ignore[reportArgumentType, reportReturnType]

    def leaves(self) -> tuple["Operator", ...]:
        """The operators of a chain, in reading order; an operator that is no chain gives itself."""
        return (self,)

    def for_images(self, rows: slice) -> "Operator":
        """The operator of some images of a batch; by default all have the same.

        Args:
            rows: which images of the batch.

        Returns:
            An operator for a batch of these images.
        """
        del rows
        return self

    @staticmethod
    def from_spec(spec: Spec) -> "Operator":
        """Build the operator that a spec describes, composites included.

        Args:
            spec: what `spec()` returned, perhaps read from a JSON file: `type` and options.

        Returns:
            An operator with the same fingerprint.

        Raises:
            ArgumentError: the spec is no table with a `type`, or an option is refused.
            UnknownNameError: no operator is registered under the `type`.
            ContractError: what is registered under the `type` is no operator.
        """
        from invprob.operators.structure import STRUCTURES  # whose classes derive from this one

        if not isinstance(spec, Mapping):
            raise ArgumentError(f"an operator's spec is a table of settings, got {shown(spec)}")
        settings = dict(spec)
        kind = settings.pop("type", None)
        if not isinstance(kind, str):
            raise ArgumentError(f"an operator's spec names its type as a word, got {shown(kind)}")
        if kind in STRUCTURES:
            return STRUCTURES[kind].rebuilt(settings)  # pyright: ignore[reportReturnType]
        built = build("operator", kind, settings)
        if not isinstance(built, Operator):
            raise ContractError(f"{kind!r} is registered as an operator, but is no Operator")
        return built

    def fingerprint(self) -> str:
        """A sha256 of the spec and of all tensors, by which a measurement knows its operator.

        Numbers enter with sixteen significant bits and without their dtype: neither `.double()`,
        the device, nor the last digits of another machine's FFT change the fingerprint.
        """
        return digest([(leaf.spec(), leaf) for leaf in self.leaves()])

    def extra_repr(self) -> str:
        """The shapes, as they appear in messages; a subclass adds its options."""
        return f"{self.image_shape} -> {self.measurement_shape}"

    def __repr__(self) -> str:
        """One line, fit for messages."""
        if self.leaves() == (self,):
            return f"{type(self).__name__}({self.extra_repr()})"
        return " @ ".join(map(repr, self.leaves()))

    def _repr_html_(self) -> str:
        """The facts, for a notebook."""
        numbers, elements = math.prod(self.measurement_shape), math.prod(self.image_shape)
        return card(
            " of ".join(self.names()),
            {
                "image": " × ".join(map(str, self.image_shape)),
                "measurement": " × ".join(map(str, self.measurement_shape)),
                "numbers measured": f"{numbers} of {elements} ({numbers / elements:.1%})",
                "linear": "yes" if self.linear else "no",
                "gradients": "exact" if self.smooth else "of a stand-in",
                "operator": repr(self),
            },
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Operator":
        kept = {name: self.get_buffer(name) for name in self.exact}
        super()._apply(fn, recurse)
        for name, buffer in kept.items():
            setattr(self, name, buffer.to(self.get_buffer(name).device))
        return self


class LinearOperator(Operator):
    """An operator with A(ax + bz) = aA(x) + bA(z), and therefore an adjoint.

    An author writes `forward` alone; override `adjoint`, `pinv` or `norm` where a faster or closed
    form is known.

    Args:
        image_shape: shape of the images that it reads, such as (3, 128, 128).
        measurement_shape: shape of one measurement, such as (492,).
    """

    linear: ClassVar[bool] = True

    def adjoint(self, measurement: Measured) -> Images:
        """The transpose A'y, for which <Ax, y> = <x, A'y>.

        By default it is found by autograd, in the measurement's dtype and on its device. It can be
        differentiated. `check_operator` compares an override with the default.

        Args:
            measurement: (batch, *measurement_shape).

        Returns:
            Images, (batch, *image_shape), not clipped to [-1, 1].
        """
        return linear_map(measurement, partial(by_autograd, self, self.image_shape), self)

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
        """The normal operator A'A.

        Args:
            image: (batch, *image_shape).

        Returns:
            A'A x, of the same shape.
        """
        return self.adjoint(self(image))

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """The pseudo-inverse A⁺y: of the images with the least ||Ax - y|| the one of least norm.

        By default it is found by conjugate gradients on A'Ax = A'y (CGLS), for half precisions in
        float32. An operator with a closed form takes no notice of the two options.

        Args:
            measurement: (batch, *measurement_shape).
            iterations: the most steps that are taken.
            tolerance: an image is done when ||A'(y - Ax)|| is this share of ||A'y||.

        Returns:
            Images, (batch, *image_shape). Each has its own step sizes and does not depend on the
            others of the batch.
        """
        return least_squares(self, self.adjoint, measurement, iterations, tolerance)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """The largest singular value, ||A||.

        By default it is found by power iteration in float64.

        Args:
            iterations: the most steps that are taken.
            tolerance: the relative change between two steps at which it ends.
            seed: of the random image that it starts from.

        Returns:
            The norm.
        """
        double = copy.deepcopy(self).to(torch.float64)
        device = device_of(self, torch.device("cpu"))
        start = normal((1, *self.image_shape), seeded(seed), torch.float64)
        return largest_singular_value(double.normal, start.to(device), iterations, tolerance)
