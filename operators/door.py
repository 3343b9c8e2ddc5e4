"""The door of an operator: which tensors it takes as images and as measurements.

Operators cast their weights to the dtype of what they read. An integer image would turn weights of
0.25 into 0 without a word, so only real floating-point numbers come in. A caller's autocast stays
outside: it would round a float32 measurement to eight bits.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from invprob.errors import ArgumentError, ShapeError
from invprob.types import Images, Measured, Shape

T = TypeVar("T")
What: TypeAlias = Literal["image", "measurement"]

PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# The methods that an author may override, and what they check first.
_CHECKS = {
    "surrogate": "check_image",
    "normal": "check_image",
    "adjoint": "check_measurement",
    "pinv": "check_measurement",
    "fbp": "check_measurement",
    "doubts": "check_measurement",
}

# What turns the whole numbers of a picture into [-1, 1].
_TO_RANGE = {"bool": " * 2 - 1", "uint8": " / 127.5 - 1", "uint16": " / 32767.5 - 1"}


def check_numbers(value: object, what: What, reader: object) -> Tensor:
    """Refuse what is no tensor of real floating-point numbers.

    Args:
        value: what was passed.
        what: what it should be.
        reader: the operator or the noise, for the message.

    Returns:
        The tensor.

    Raises:
        ArgumentError: it is none. The message says how to make one.
    """
    if isinstance(value, Tensor) and value.dtype in PRECISIONS:
        return value
    got, remedy = _explained(value, what)
    raise ArgumentError(
        f"{reader!r} takes {what}s as torch tensors of floating-point numbers, got {got}; {remedy}"
    )


def check_tensor(value: object, what: What, shape: Shape, operator: object) -> None:
    """Refuse what an operator cannot read.

    Args:
        value: what was passed.
        what: what it should be.
        shape: shape of one image or measurement.
        operator: who reads it, for the message.

    Raises:
        ArgumentError: it is no tensor of real floating-point numbers.
        ShapeError: it has another shape than (batch, *shape).
    """
    found = tuple(check_numbers(value, what, operator).shape)
    if not found or found[1:] != shape:
        does = "reads" if what == "image" else "has an adjoint that reads"
        expected = ", ".join(map(str, ("batch", *shape)))
        raise ShapeError(f"{operator!r} {does} {what}s of shape ({expected}), got {found}")


class Guarded:
    """A base class of operators, whose methods check what they read before anything else.

    Attributes:
        image_shape: shape of one image.
        measurement_shape: shape of one measurement.
    """

    image_shape: Shape
    measurement_shape: Shape

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name, check in _CHECKS.items():
            if name in vars(cls):
                setattr(cls, name, _guarded(vars(cls)[name], check))

    def check_image(self, image: Images) -> None:
        """Check what is passed as images; `__call__` and `surrogate` do so by themselves.

        Args:
            image: anything.

        Raises:
            ArgumentError: it is no tensor of float16, bfloat16, float32 or float64.
            ShapeError: it is not (batch, *image_shape).
        """
        check_tensor(image, "image", self.image_shape, self)

    def check_measurement(self, measurement: Measured) -> None:
        """Check what is passed as measurements; `adjoint` and `pinv` do so by themselves.

        Args:
            measurement: anything.

        Raises:
            ArgumentError: it is no tensor of float16, bfloat16, float32 or float64.
            ShapeError: it is not (batch, *measurement_shape).
        """
        check_tensor(measurement, "measurement", self.measurement_shape, self)


def _guarded(method: Callable[..., T], check: str) -> Callable[..., T]:
    name = list(inspect.signature(method).parameters)[1]

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **options: Any) -> T:
        value = args[0] if args else options.get(name)
        getattr(self, check)(value)
        return without_autocast(value, functools.partial(method, self, *args, **options))

    return checked


def without_autocast(value: Any, call: Callable[[], T]) -> T:
    """Make a call outside of the caller's autocast, if one is at work on the value's device."""
    kind = value.device.type
    if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return call()
    with torch.autocast(kind, enabled=False):
        return call()


def _explained(value: object, what: What) -> tuple[str, str]:
    """What the value is, and what to write in its place."""
    if isinstance(value, np.ma.MaskedArray):
        return (
            "a masked array",
            f"write torch.from_numpy({what}.filled(0)), and leave the masked values out by an "
            "operator such as `mask`",
        )
    if isinstance(value, np.ndarray):
        kind = value.dtype.name
        return f"a NumPy array of {kind}", _remedy(f"torch.from_numpy({what})", kind, what)
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return str(value.dtype), _remedy(what, kind, what)
    shown = "None" if value is None else f"a {type(value).__name__}"
    return shown, f"the first axis counts the {what}s of a batch"


def _remedy(tensor: str, kind: str, what: What) -> str:
    if kind.startswith("complex"):
        if what == "image":
            return f"images are real: write {tensor}.real or {tensor}.abs()"
        return f"write torch.view_as_real({tensor}), whose last axis has real and imaginary part"
    if kind in ("float32", "float64", "float16"):
        return f"write {tensor}"
    if kind.startswith("float"):
        return f"write {tensor}.float()"
    if what == "measurement":
        return f"write {tensor}.float(), in the units that images in [-1, 1] lead to"
    if kind in _TO_RANGE:
        return f"write {tensor}.float(){_TO_RANGE[kind]}, which is in [-1, 1]"
    return f"write {tensor}.float(), and bring the values to [-1, 1]"
