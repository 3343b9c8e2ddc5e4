"""Laws about the tensors that an operator reads and gives: dtypes, memory, transforms."""

import copy
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator, Operator
from invprob.testing.inputs import (
    EXACT,
    NotExamined,
    demand,
    double_of,
    foreign,
    gradient_of,
    images_of,
    linear_of,
    measurements_of,
    small,
)

HALVES = {torch.float16: 2e-2, torch.bfloat16: 1e-1}  # allowed relative error
OUTSIDE = "it wraps what another package made"
OTHERS = (torch.bool, torch.uint8, torch.int64, torch.complex64)


def dtypes(operator: Operator) -> str:
    """Whole numbers, truth values, complex numbers and NumPy arrays are refused."""
    for method, read, value in _doors(operator, torch.float32):
        wrong: list[Any] = [value.to(dtype) for dtype in OTHERS]
        for given in [*wrong, value.numpy()]:
            kind = given.dtype if isinstance(given, Tensor) else "a NumPy array"
            demand(_refuses(read, given), f"{method} does not refuse {kind} by an ArgumentError")
    return "only floating-point tensors are read"


def precisions(operator: Operator) -> str:
    """float16 and bfloat16 give the same up to their digits, or are refused."""
    if foreign(operator):
        raise NotExamined(OUTSIDE)
    kept = []
    for dtype, allowed in HALVES.items():
        for method, read, value in _doors(operator, dtype):
            try:
                result = read(value)
            except (ArgumentError, NotImplementedError):
                continue
            except RuntimeError as trouble:
                # PyTorch has no half precision for every function; it says so in these words.
                demand("not implemented" in str(trouble), f"{method} in {dtype}: {trouble}")
                continue
            demand(result.dtype == dtype, f"{method} gives {result.dtype} for {dtype}")
            demand(bool(result.isfinite().all()), f"{method} is not finite in {dtype}")
            if operator.linear:
                reference = read(value.float())
                error = (result.float() - reference).norm()
                small(error, reference.norm(), allowed)
            kept.append(f"{method} in {str(dtype).removeprefix('torch.')}")
    return ", ".join(kept) or "half precisions are refused"


def memory(operator: Operator) -> str:
    """Results share no memory with what was read, so that neither changes with the other."""
    for dtype in (torch.float32, torch.float64):
        for method, read, value in _doors(operator, dtype):
            place = value.untyped_storage().data_ptr()
            shared = read(value).untyped_storage().data_ptr() == place
            demand(not shared, f"{method} gives a view of what it read; return a copy (`clone`)")
    return "results are copies"


def functional(operator: Operator) -> str:
    """`torch.func`: vmap is a loop, jvp is the derivative, and vjp its transpose."""
    if foreign(operator):
        raise NotExamined(OUTSIDE)
    double, x, along = double_of(operator), images_of(operator), images_of(operator, seed=1)
    _vmap("a call", double, x, along)
    y = measurements_of(operator)
    tangent = _jvp(double.surrogate, x, along)
    pullback: Any = torch.func.vjp(double.surrogate, x)[1]
    (gradient,) = pullback(y)
    error = (tangent * y).sum() - (along * gradient).sum()
    small(error, tangent.norm() * y.norm(), EXACT)
    small((gradient - gradient_of(double.surrogate, x, y)).norm(), gradient.norm(), EXACT)
    if operator.linear:
        linear, other = linear_of(operator), y.flip(0)
        small((tangent - linear(along)).norm(), tangent.norm(), EXACT)
        _vmap("the adjoint", linear.adjoint, y, other)
        back = _jvp(linear.adjoint, y, other)
        small((back - linear.adjoint(other)).norm(), back.norm(), EXACT)
    return "vmap, jvp and vjp agree"


def _doors(
    operator: Operator, dtype: torch.dtype
) -> Iterator[tuple[str, Callable[[Any], Tensor], Tensor]]:
    """Each method that reads images or measurements, and something for it to read."""
    exact = torch.promote_types(dtype, torch.float32)
    plain = copy.deepcopy(operator).to("cpu", exact)
    images = images_of(operator).to(dtype)
    yield "a call", plain, images
    yield "the surrogate", plain.surrogate, images
    if isinstance(plain, LinearOperator):
        measurements = measurements_of(operator).to(dtype)
        yield "the adjoint", plain.adjoint, measurements
        yield "the pseudo-inverse", partial(plain.pinv, iterations=2), measurements


def _refuses(read: Callable[[Any], Tensor], value: object) -> bool:
    try:
        read(value)
    except ArgumentError:
        return True
    except Exception:  # a raw error says nothing of the remedy
        return False
    return False


def _jvp(function: Callable[[Tensor], Tensor], at: Tensor, along: Tensor) -> Tensor:
    """The derivative of a function along a direction."""
    with warnings.catch_warnings():
        # PyTorch 2.14 warns of what its own forward differentiation still uses.
        warnings.simplefilter("ignore", FutureWarning)
        derivative: Tensor = torch.func.jvp(function, (at,), (along,))[1]
    return derivative


def _vmap(what: str, function: Callable[[Tensor], Tensor], *batches: Tensor) -> None:
    together = torch.func.vmap(function)(torch.stack(batches))
    for mapped, batch in zip(together, batches, strict=True):
        alone = function(batch)
        error = float((mapped - alone).norm() / (float(alone.norm()) or 1.0))
        demand(error < EXACT, f"{what} under torch.func.vmap differs by {error:.1e}")
