"""What every operator gets from the contract: composition, specs, adjoint, pseudo-inverse."""

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, ContractError, ShapeError, UnknownNameError
from invprob.operators import (
    GaussianNoise,
    Identity,
    LinearOperator,
    Luminance,
    Operator,
    PartialCirculant,
    Rotate,
    Scale,
    Translate,
    compose,
)
from invprob.registry import register
from invprob.testing import check_operator, dense

SHAPE = (3, 8, 8)


class Matrix(LinearOperator):
    """Multiply the flattened image by a matrix; everything else is the contract's."""

    def __init__(self, image_shape: tuple[int, ...], matrix: Tensor) -> None:
        super().__init__(image_shape, (len(matrix),))
        self.register_buffer("matrix", matrix)

    matrix: Tensor

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1) @ self.matrix.T.to(image.dtype)


class Squared(Operator):
    """A map that is not linear."""

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__(image_shape, image_shape)

    def forward(self, image: Tensor) -> Tensor:
        return image.square()


class Rounded(Operator):
    """A map without a useful gradient, and its stand-in."""

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__(image_shape, image_shape)

    def forward(self, image: Tensor) -> Tensor:
        return image.round()

    def surrogate(self, image: Tensor) -> Tensor:
        return image


def _images(batch: int = 2) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(batch, *SHAPE, generator=rng, dtype=torch.float64) - 1


def _matrix(rows: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 192, generator=rng, dtype=torch.float64) / rows**0.5


def test_images_must_fit() -> None:
    operator = Rotate(SHAPE, degrees=10)
    for shape in [(2, 3, 8, 9), (3, 8, 8), (1, 1, 8, 8), ()]:
        with pytest.raises(ShapeError, match=r"reads images of shape \(batch, 3, 8, 8\), got"):
            operator(torch.zeros(shape))
        with pytest.raises(ShapeError, match="reads measurements of shape"):
            operator.adjoint(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(3, -1, 8), (0,), (3, 1.5, 8), "abc", (True, "x")])
def test_shapes_must_be_positive_and_whole(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="image_shape"):
        Identity(shape)


def test_composition_applies_the_last_first() -> None:
    grey, turn = Luminance(SHAPE), Rotate((1, 8, 8), degrees=90)
    both = turn @ grey
    x = _images()
    assert torch.equal(both(x), turn(grey(x)))
    assert (both.image_shape, both.measurement_shape) == (SHAPE, (1, 8, 8))
    assert isinstance(both, LinearOperator)
    np.testing.assert_allclose(dense(both), dense(turn) @ dense(grey), atol=1e-14)


def test_composition_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"reads \(3, 8, 8\), but .* writes \(1, 8, 8\)"):
        compose([Identity(SHAPE), Luminance(SHAPE)])
    with pytest.raises(ArgumentError, match="at least one"):
        compose([])


@pytest.mark.parametrize(
    "other",
    [lambda image: image, torch.zeros(1, *SHAPE), 3],
    ids=["function", "tensor", "number"],
)
def test_only_operators_are_composed(other: object) -> None:
    with pytest.raises(ArgumentError, match=r"^Identity @ … composes operators, got a \w+; write"):
        Identity(SHAPE) @ other  # type: ignore[operator]


@pytest.mark.parametrize(
    ("entry", "given", "named", "message"),
    [
        (GaussianNoise, (0.05,), {}, r"too many positional.*; write GaussianNoise\(sigma=…\)$"),
        (Rotate, (SHAPE,), {}, r"'degrees'; write Rotate\(image_shape, degrees=…\)$"),
        (Rotate, (SHAPE, 3), {"fill": 0}, r"'fill'; write Rotate\(image_shape, degrees=…\)$"),
    ],
)
def test_a_wrong_call_is_told_the_right_one(
    entry: Any, given: tuple[Any, ...], named: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        entry(*given, **named)


def test_composition_is_linear_only_if_both_are() -> None:
    linear, curved = Identity(SHAPE), Squared(SHAPE)
    assert not (curved @ linear).linear
    assert not (linear @ curved).linear
    assert (linear @ linear).linear
    assert not isinstance(linear @ curved, LinearOperator)


def test_composition_does_not_depend_on_brackets() -> None:
    a, b, c = Rotate(SHAPE, 5), Scale(SHAPE, 1.5), Translate(SHAPE, dx=1)
    left, right, flat = (a @ b) @ c, a @ (b @ c), compose([a, b, c])
    assert left.spec() == right.spec() == flat.spec()
    assert left.fingerprint() == right.fingerprint() == flat.fingerprint()
    assert torch.equal(left(_images()), right(_images()))
    assert repr(left) == f"{a!r} @ {b!r} @ {c!r}"
    assert compose([a]) is a


def test_a_shared_leaf_counts_twice() -> None:
    once, twice = Rotate(SHAPE, 10), Rotate(SHAPE, 10)
    shared, apart = once @ Identity(SHAPE) @ once, once @ Identity(SHAPE) @ twice
    assert shared.fingerprint() == apart.fingerprint()
    assert Operator.from_spec(shared.spec()).fingerprint() == shared.fingerprint()
    assert copy.deepcopy(shared).fingerprint() == shared.fingerprint()


def test_a_surrogate_stands_in_within_a_composition() -> None:
    both = Rounded(SHAPE) @ Rotate(SHAPE, 10)
    x = _images()
    assert torch.equal(both(x), Rotate(SHAPE, 10)(x).round())
    assert torch.equal(both.surrogate(x), Rotate(SHAPE, 10)(x))
    check_operator(both)


def test_specs_hold_every_argument() -> None:
    operator = PartialCirculant(SHAPE, 0.25)
    assert operator.spec() == {
        "type": "circulant",
        "image_shape": [3, 8, 8],
        "ratio": 0.25,
        "seed": 0,
        "spectrum": "gaussian",
    }
    both = operator @ Scale(SHAPE, factor=2)
    assert both.spec() == {
        "type": "compose",
        "operators": [
            operator.spec(),
            {
                "type": "scale",
                "image_shape": [3, 8, 8],
                "factor": 2.0,
                "sampling": "bilinear",
            },
        ],
    }
    rebuilt = Operator.from_spec(json.loads(json.dumps(both.spec())))
    assert rebuilt.spec() == both.spec()
    assert torch.equal(rebuilt(_images()), both(_images()))


def test_specs_of_adjoints() -> None:
    operator = PartialCirculant(SHAPE, 0.25)
    gram = operator.H @ operator
    rebuilt = Operator.from_spec(json.loads(json.dumps(gram.spec())))
    assert rebuilt.fingerprint() == gram.fingerprint()
    assert torch.equal(rebuilt(_images()), operator.normal(_images()))
    check_operator(gram)


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({}, ArgumentError, "names its type"),
        ({"type": "circulent"}, UnknownNameError, "Did you mean 'circulant'"),
        (
            {"type": "rotate", "image_shape": [3, 8, 8]},
            ArgumentError,
            "needs a value for 'degrees'",
        ),
        ({"type": "compose", "operators": []}, ArgumentError, "at least one"),
    ],
)
def test_specs_that_cannot_be_built(
    spec: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Operator.from_spec(spec)


def test_unregistered_and_unwritable_operators_have_no_spec(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(register.operator._entries, "matrix", Matrix)
    with pytest.raises(ArgumentError, match="built with a Tensor as 'matrix'"):
        Matrix(SHAPE, _matrix(4)).spec()
    with pytest.raises(UnknownNameError, match="not registered"):
        Squared(SHAPE).spec()
    with pytest.raises(ContractError, match="offers no example"):
        Squared.example()


def test_numbers_from_numpy_are_written_as_json() -> None:
    operator = Translate(torch.zeros(SHAPE).shape, dx=np.float32(0.5))  # type: ignore[arg-type]
    spec = {
        "type": "translate",
        "image_shape": [3, 8, 8],
        "dx": 0.5,
        "dy": 0.0,
        "sampling": "bilinear",
    }
    assert json.loads(json.dumps(operator.spec())) == spec


def test_fingerprints_tell_operators_apart() -> None:
    others = [
        PartialCirculant(SHAPE, 0.25),
        PartialCirculant(SHAPE, 0.25, seed=1),
        PartialCirculant(SHAPE, 0.26),
        PartialCirculant(SHAPE, 0.25, spectrum="unit"),
        Rotate(SHAPE, 10),
        Rotate(SHAPE, 10.001),
        Rotate(SHAPE, 10) @ Identity(SHAPE),
        Identity(SHAPE) @ Rotate(SHAPE, 10),
    ]
    prints = [operator.fingerprint() for operator in others]
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 64 for text in prints)


def test_fingerprints_see_the_buffers() -> None:
    operator = PartialCirculant(SHAPE, 0.25)
    before = operator.fingerprint()
    operator.kernel[3] *= 1.001
    assert operator.fingerprint() != before


def test_fingerprints_do_not_see_dtype_cache_or_spelling() -> None:
    operator = Rotate(SHAPE, 10) @ PartialCirculant(SHAPE, 0.25).H @ PartialCirculant(SHAPE, 0.25)
    before = operator.fingerprint()
    operator(_images())
    assert operator.fingerprint() == before
    assert operator.double().fingerprint() == before
    assert Rotate(SHAPE, 10).fingerprint() == Rotate([3, 8, 8], degrees=10.0).fingerprint()  # type: ignore[arg-type]


def test_fingerprints_do_not_see_the_last_digits() -> None:
    operator = PartialCirculant(SHAPE, 0.25)
    before = operator.fingerprint()
    operator.kernel.mul_(1 + 2e-16)
    assert operator.fingerprint() == before


def test_the_adjoint_is_free_and_differentiable() -> None:
    matrix = _matrix(20)
    operator = Matrix(SHAPE, matrix)
    y = torch.randn(2, 20, dtype=torch.float64, requires_grad=True)
    image = operator.adjoint(y)
    torch.testing.assert_close(image.flatten(1), y @ matrix, rtol=0, atol=1e-12)
    x = _images()
    (gradient,) = torch.autograd.grad((image * x).sum(), y)
    torch.testing.assert_close(gradient, operator(x), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(operator.adjoint, (y,))
    assert torch.autograd.gradgradcheck(lambda v: operator.adjoint(v).square(), (y,))


def test_the_adjoint_works_without_gradients_and_in_inference_mode() -> None:
    operator = Rotate(SHAPE, 10)
    expected = operator.adjoint(_images())
    with torch.no_grad():
        assert torch.equal(operator.adjoint(_images()), expected)
    with torch.inference_mode():
        assert torch.equal(operator.adjoint(_images()), expected)


def test_double_adjoint_is_the_operator() -> None:
    operator = PartialCirculant(SHAPE, 0.25)
    assert operator.H.H is operator
    assert torch.equal(operator.H(operator(_images())), operator.normal(_images()))
    assert torch.equal(operator.H.adjoint(_images()), operator(_images()))
    moved = operator.H.to(torch.float64)
    assert isinstance(moved, nn.Module)
    check_operator(operator.H)


@pytest.mark.parametrize("rows", [40, 192, 300])
def test_the_pseudo_inverse_is_the_dense_one(rows: int) -> None:
    matrix = _matrix(rows) + (0 if rows != 192 else 2 * torch.eye(192))
    operator = Matrix(SHAPE, matrix)
    y = torch.randn(3, rows, dtype=torch.float64)  # not in the range where rows exceed columns
    image = operator.pinv(y, iterations=2000, tolerance=1e-12)
    reference = y.numpy() @ np.linalg.pinv(matrix.numpy()).T
    np.testing.assert_allclose(image.flatten(1), reference, atol=1e-6)


def test_the_pseudo_inverse_of_a_batch_is_that_of_its_images() -> None:
    operator = PartialCirculant(SHAPE, 0.3)
    y = operator(_images(3)) * torch.tensor([1.0, 1e-3, 0.0])[:, None]
    together = operator.pinv(y)
    for b in range(3):
        torch.testing.assert_close(together[b], operator.pinv(y[b : b + 1])[0], rtol=1e-9, atol=0)
    assert float(together[2].abs().max()) == 0
    assert float((operator(together) - y).norm() / y.norm()) < 1e-5


def test_the_pseudo_inverse_takes_no_more_iterations_than_allowed() -> None:
    operator = PartialCirculant(SHAPE, 0.3)
    y = operator(_images())
    assert float(operator.pinv(y, iterations=0).abs().max()) == 0
    few, many = (operator(operator.pinv(y, iterations=k)).sub(y).norm() for k in (2, 20))
    assert few > 10 * many


@pytest.mark.parametrize("rows", [40, 300])
def test_the_norm_is_the_largest_singular_value(rows: int) -> None:
    matrix = _matrix(rows)
    operator = Matrix(SHAPE, matrix.float())
    assert operator.norm() == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-3)
    assert operator.matrix.dtype == torch.float32
    assert Matrix(SHAPE, torch.zeros(4, 192)).norm() == 0.0


def test_luminance_is_rec_601_and_needs_colour() -> None:
    grey = Luminance((3, 2, 2))(torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2))
    torch.testing.assert_close(grey, torch.full((1, 1, 2, 2), 0.299 - 0.114))
    white = Luminance((3, 2, 2))(torch.ones(1, 3, 2, 2))
    torch.testing.assert_close(white, torch.ones(1, 1, 2, 2))
    with pytest.raises(ArgumentError, match="three channels"):
        Luminance((1, 8, 8))
