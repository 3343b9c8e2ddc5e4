"""The laws of an operator's contract, as functions that authors run on their own operators.

Everything is examined in float64 with seeded inputs. Small linear operators are compared with their
dense matrix, which has a column for each basis image.
"""

import copy
import functools
import json
import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ContractError, ShapeError, UnknownNameError
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.structure import Composite
from invprob.operators.units import NEVER, depends
from invprob.testing.dense_matrix import Decomposition
from invprob.testing.dense_matrix import dense as dense
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
from invprob.testing.observation import observation
from invprob.testing.priors import check_prior as check_prior
from invprob.testing.tensors import dtypes, functional, memory, precisions

DENSE_LIMIT = 4096  # image elements, above which the dense matrix takes too long


@dataclass(frozen=True)
class Verdict:
    """What became of one law.

    Args:
        law: its name, such as "adjoint".
        kept: whether the operator keeps it; None where it could not be examined.
        detail: what was found, or why it could not be examined.
    """

    law: str
    kept: bool | None
    detail: str


@checked
@undisturbed()
def check_operator(operator: Operator) -> None:
    """Examine all laws of an operator's contract.

    Every operator: shapes and dtypes are those declared; two calls agree; images of a batch do not
    mix; copies, checkpoints and specs give the same operator; what is not observed is the same
    whatever the image; units, if it offers some, label every number, and each depends on the image;
    what is no tensor of floating-point numbers is refused; half precisions give the same up to
    their digits, or are refused; results share no memory with what was read; `vmap`, `jvp` and
    `vjp` of `torch.func` agree. A linear one: A(2x - 3z) = 2Ax - 3Az, <Ax, y> = <x, A'y>, `adjoint`
    is the transpose by autograd and can be differentiated, `norm` and `pinv` agree with the dense
    matrix. Any other: the gradient is that of the values, or, where a `surrogate` stands in, steps
    along its gradient help.

    Args:
        operator: an operator, best with images of at most 1,024 elements.

    Raises:
        ContractError: a law is broken; the message names each one.
    """
    broken = [verdict for verdict in examine_operator(operator) if verdict.kept is False]
    if broken:
        reasons = "; ".join(f"{verdict.law}: {verdict.detail}" for verdict in broken)
        raise ContractError(f"{operator!r} breaks its contract: {reasons}")


@checked
def examine_operator(operator: Operator) -> Iterator[Verdict]:
    """Examine the laws of an operator's contract one after the other; see `check_operator`.

    Args:
        operator: an operator, best with images of at most 1,024 elements.

    Yields:
        The verdict on each law.
    """
    linear = isinstance(operator, LinearOperator)
    laws = _LAWS | (_linear_laws(operator) if linear else _CURVED_LAWS)
    for name, law in laws.items():
        try:
            detail = law(operator)
        except NotExamined as reason:
            yield Verdict(name, None, str(reason))
        except ContractError as broken:
            yield Verdict(name, False, str(broken))
        except Exception as error:  # an author's operator may fail in any way
            yield Verdict(name, False, f"{type(error).__name__}: {error}")
        else:
            yield Verdict(name, True, detail)


def _shapes(operator: Operator) -> str:
    """Shapes and dtypes are as declared, for an empty batch too; other shapes are refused."""
    double = double_of(operator)
    for batch in (0, 1, 2):
        image = images_of(operator, batch)
        before = image.clone()
        measured = double(image)
        demand(
            tuple(measured.shape) == (batch, *operator.measurement_shape),
            f"{batch} images give {tuple(measured.shape)}, not {operator.measurement_shape} each",
        )
        demand(measured.dtype == image.dtype, f"float64 images give {measured.dtype}")
        demand(torch.equal(image, before), "the image is changed in place")
        if isinstance(double, LinearOperator):
            back = double.adjoint(measurements_of(operator, batch))
            demand(
                tuple(back.shape) == (batch, *operator.image_shape),
                f"the adjoint of {batch} measurements gives {tuple(back.shape)}",
            )
            demand(back.dtype == image.dtype, f"the adjoint gives {back.dtype} for float64")
    plain = copy.deepcopy(operator).to("cpu", torch.float32)
    single = plain(images_of(operator, 1).to(torch.float32))
    demand(single.dtype == torch.float32, f"float32 images give {single.dtype}")
    if isinstance(plain, LinearOperator):
        back = plain.adjoint(single)
        demand(back.dtype == torch.float32, f"the adjoint gives {back.dtype} for float32")
    shape = (1, *operator.image_shape[:-1], operator.image_shape[-1] + 1)
    wrong = torch.zeros(shape, dtype=torch.float32, device="cpu")
    try:
        operator(wrong)
    except ShapeError:
        return f"{operator.image_shape} to {operator.measurement_shape}"
    raise ContractError(f"images of shape {tuple(wrong.shape)} are not refused")


def _determinism(operator: Operator) -> str:
    """Two calls give the same, and leave the global random generator alone."""
    double, image = double_of(operator), images_of(operator)
    state = torch.get_rng_state()
    demand(torch.equal(double(image), double(image)), "two calls differ")
    demand(torch.equal(state, torch.get_rng_state()), "a call draws from the global generator")
    return "two calls agree"


def _batch(operator: Operator) -> str:
    """An image of a batch is measured as it would be alone."""
    double, image = double_of(operator), images_of(operator)
    _independent("an image measured", double, image)
    if isinstance(double, LinearOperator):
        _independent("the adjoint of a measurement", double.adjoint, measurements_of(operator))
    elif _stands_in(operator):
        _independent("the surrogate of an image", double.surrogate, image)
    return "images do not mix"


def _copying(operator: Operator) -> str:
    """Copies, pickles, checkpoints and `.to(dtype)` keep the operator and its fingerprint."""
    double, image = double_of(operator), images_of(operator)
    expected, fingerprint = double(image), operator.fingerprint() if _named(operator) else ""
    copies = {"deepcopy": copy.deepcopy(operator), ".to(float64)": double}
    copies["state_dict"] = _reloaded(operator)
    outside = foreign(operator)  # the parts of other packages have laws of their own
    kept = [value for part in operator.modules() for value in vars(part).values()]
    demand(
        outside or not any(isinstance(value, torch.Generator) for value in kept),
        "it keeps a torch.Generator; keep the integer seed, and the tensors drawn",
    )
    local = any("<locals>" in type(part).__qualname__ for part in operator.modules())
    if not (local or outside):
        copies["pickle"] = pickle.loads(pickle.dumps(operator))
    for how, copied in copies.items():
        demand(torch.equal(double_of(copied)(image), expected), f"{how} measures differently")
        demand(not _named(copied) or copied.fingerprint() == fingerprint, f"{how}: fingerprint")
    return ", ".join(copies)


def _spec(operator: Operator) -> str:
    """The spec is JSON and builds an equal operator."""
    try:
        spec = operator.spec()
    except UnknownNameError as error:
        raise NotExamined(str(error)) from error
    if foreign(operator):
        raise NotExamined("it wraps what another package made, which no file can rebuild")
    rebuilt = Operator.from_spec(json.loads(json.dumps(spec)))
    image = images_of(operator)
    demand(rebuilt.fingerprint() == operator.fingerprint(), "the rebuilt fingerprint differs")
    demand(
        torch.equal(double_of(rebuilt)(image), double_of(operator)(image)), "it rebuilds another"
    )
    return operator.fingerprint()[:12]


def _units(operator: Operator) -> str:
    """Each number has a label, those of one unit can be left out, and each unit says something."""
    units = operator.units()
    if units is None:
        raise NotExamined("it offers no units, so that --method auto cannot judge by them")
    demand(
        units.dtype == torch.int64 and tuple(units.shape) == operator.measurement_shape,
        f"units are {units.dtype} of shape {tuple(units.shape)}, not int64 of shape "
        f"{operator.measurement_shape}",
    )
    demand(int(units.min()) >= NEVER, f"there is a label of {int(units.min())}, below {NEVER}")
    plain = copy.deepcopy(operator).to("cpu", torch.float32)
    offered, varies = units != NEVER, depends(plain)
    labels = units[offered].unique()
    silent = labels[~torch.isin(labels, units[offered & varies])]
    demand(
        len(silent) == 0,
        f"{len(silent)} of {len(labels)} units do not depend on the image; label them {NEVER}",
    )
    return f"{len(labels)} units of {int(offered.sum())} numbers"


def _linearity(operator: Operator) -> str:
    """A(2x - 3z) = 2Ax - 3Az."""
    demand(operator.linear, "a LinearOperator says that it is not linear")
    double, x, z = double_of(operator), images_of(operator), images_of(operator, seed=1)
    error = (double(2 * x - 3 * z) - 2 * double(x) + 3 * double(z)).norm()
    return small(error, double(x).norm(), EXACT)


def _adjoint(operator: Operator) -> str:
    """<Ax, y> = <x, A'y>."""
    double, x, y = linear_of(operator), images_of(operator), measurements_of(operator)
    measured = double(x)
    demand(torch.equal(double.H.H(x), measured), "A.H.H is not A")
    error = ((measured * y).sum() - (x * double.adjoint(y)).sum()).abs()
    return small(error, measured.norm() * y.norm(), EXACT)


def _vjp(operator: Operator) -> str:
    """The gradient of <Ax, y> in x is A'y."""
    double, y = linear_of(operator), measurements_of(operator)
    gradient = gradient_of(double, images_of(operator), y)
    return small((gradient - double.adjoint(y)).norm(), gradient.norm(), EXACT)


def _adjoint_gradient(operator: Operator) -> str:
    """The gradient of <x, A'y> in y is Ax."""
    double, x = linear_of(operator), images_of(operator)
    gradient = gradient_of(double.adjoint, measurements_of(operator), x)
    return small((gradient - double(x)).norm(), gradient.norm(), EXACT)


def _norm(operator: Operator, oracle: Callable[[], Decomposition]) -> str:
    """The norm is the largest singular value of the dense matrix."""
    reference, value = oracle().norm, linear_of(operator).norm()
    return small(value - reference, reference, 1e-3)


def _pinv(operator: Operator, oracle: Callable[[], Decomposition]) -> str:
    """The pseudo-inverse is that of the dense matrix, as far as it is well determined."""
    decomposed, shape = oracle(), operator.measurement_shape
    flat = decomposed.well_determined(measurements_of(operator).flatten(1))
    image = linear_of(operator).pinv(flat.view(-1, *shape), iterations=8000, tolerance=1e-12)
    reference = decomposed.pinv(flat)
    return small((image.flatten(1) - reference).norm(), reference.norm(), 1e-4)


def _differentiable(operator: Operator) -> str:
    """The gradient of <A(x), y> is its slope by central differences, in three directions."""
    demand(not operator.linear, "it says that it is linear, but is no LinearOperator")
    double, x, y = double_of(operator), images_of(operator), measurements_of(operator)
    gradient = gradient_of(double.surrogate, x, y)
    demand(bool(gradient.isfinite().all()), "the gradient is not finite")
    if _stands_in(operator):
        return _ascends(double, x, y, gradient)
    step, detail = 1e-6, ""
    for seed in range(3):
        direction = images_of(operator, seed=10 + seed)
        ahead, behind = double(x + step * direction), double(x - step * direction)
        slope = ((ahead - behind) * y).sum() / (2 * step)
        scale = (ahead - behind).norm() * y.norm() / (2 * step)
        # Where almost nothing changes, the difference of two rounded numbers has this error itself.
        rounding = 2**-50 * (ahead.norm() + behind.norm()) * y.norm() / (2 * step)
        error = (slope - (gradient * direction).sum()).abs()
        detail = small((error - rounding).clamp(min=0), scale, 1e-6)
    return detail


def _ascends(operator: Operator, x: Tensor, y: Tensor, gradient: Tensor) -> str:
    """Steps along the surrogate's gradient change the measurement as they should."""
    demand(bool(gradient.any()), "the surrogate's gradient is zero")
    measured = operator.surrogate(x)
    demand(measured.shape == operator(x).shape, f"the surrogate gives {tuple(measured.shape)}")
    demand(torch.equal(measured, operator.surrogate(x)), "two calls of the surrogate differ")
    step = 0.3 * gradient / gradient.square().mean().sqrt()
    rise = float(((operator(x + step) - operator(x - step)) * y).sum())
    demand(rise > 0, f"steps along the surrogate's gradient change <A x, y> by {rise:.1e}")
    return "steps along the surrogate's gradient raise what they should"


_LAWS: dict[str, Callable[[Operator], str]] = {
    "shapes": _shapes,
    "determinism": _determinism,
    "batch": _batch,
    "copying": _copying,
    "spec": _spec,
    "observed": observation,
    "units": _units,
    "dtypes": dtypes,
    "precisions": precisions,
    "memory": memory,
    "torch.func": functional,
}
_CURVED_LAWS: dict[str, Callable[[Operator], str]] = {"gradient": _differentiable}


def _linear_laws(operator: Operator) -> dict[str, Callable[[Operator], str]]:
    """The laws of linear operators, of which two share one decomposition of the dense matrix."""
    oracle = functools.cache(lambda: _decomposed(operator))
    return {
        "linearity": _linearity,
        "adjoint": _adjoint,
        "vjp": _vjp,
        "adjoint-gradient": _adjoint_gradient,
        "norm": functools.partial(_norm, oracle=oracle),
        "pinv": functools.partial(_pinv, oracle=oracle),
    }


def _decomposed(operator: Operator) -> Decomposition:
    elements = math.prod(operator.image_shape)
    if elements > DENSE_LIMIT:
        raise NotExamined(f"{elements} image elements; the dense matrix stops at {DENSE_LIMIT}")
    return Decomposition(dense(operator))


def _independent(what: str, function: Callable[[Tensor], Tensor], batch: Tensor) -> None:
    together, alone = function(batch)[1:], function(batch[1:])
    demand(
        torch.allclose(together, alone, rtol=EXACT, atol=1e-12),
        f"{what} in a batch and alone differ by {float((together - alone).abs().max()):.1e}",
    )


def _stands_in(operator: Operator) -> bool:
    """Whether any part has a surrogate of its own."""
    return any(
        type(part).surrogate is not Operator.surrogate
        for part in operator.modules()
        if isinstance(part, Operator) and not isinstance(part, Composite)
    )


def _reloaded(operator: Operator) -> Operator:
    """A copy whose state was set to zero and then loaded from a checkpoint."""
    state = {name: value.clone() for name, value in operator.state_dict().items()}
    copied = copy.deepcopy(operator)
    copied.load_state_dict({name: torch.zeros_like(value) for name, value in state.items()})
    copied.load_state_dict(state)
    return copied


def _named(operator: Operator) -> bool:
    try:
        operator.spec()
    except UnknownNameError:
        return False
    return True
