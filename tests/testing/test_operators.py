"""`check_operator` must catch bugs: nine that other suites miss in part, and more."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from invprob.errors import ContractError
from invprob.operators import Identity, LinearOperator, Operator, PartialCirculant, Rotate, stack
from invprob.testing import check_operator, dense, examine_operator
from invprob.testing.dense_matrix import Decomposition

SHAPE = (3, 16, 8)
Function = Callable[[Tensor], Tensor]


class Planted(LinearOperator):
    """A linear operator made of two functions that need not belong together."""

    def __init__(self, like: Operator, forward: Function, adjoint: Function) -> None:
        super().__init__(like.image_shape, like.measurement_shape)
        self._functions, self._like = (forward, adjoint), [like]  # a list, so as to be no part

    def observed(self) -> Tensor:
        return self._like[0].observed()

    def forward(self, image: Tensor) -> Tensor:
        return self._functions[0](image)

    def adjoint(self, measurement: Tensor) -> Tensor:
        self.check_measurement(measurement)
        return self._functions[1](measurement)


class Underived(LinearOperator):
    """A function that is declared linear, with the adjoint that autograd finds."""

    def __init__(self, function: Function) -> None:
        super().__init__(SHAPE, SHAPE)
        self._function = function

    def forward(self, image: Tensor) -> Tensor:
        return self._function(image)


class Curved(Operator):
    """A function that is not declared linear."""

    def __init__(self, function: Function) -> None:
        super().__init__(SHAPE, SHAPE)
        self._function = function

    def forward(self, image: Tensor) -> Tensor:
        return self._function(image)


CIRCULANT = PartialCirculant(SHAPE, ratio=0.2)
TURN, BACK = Rotate(SHAPE, degrees=20.0), Rotate(SHAPE, degrees=-20.0)
MASK = (torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) < 0.5).double()


def _circulant_adjoint(y: Tensor, *, conjugate: bool, scale: float, signs: bool) -> Tensor:
    n = CIRCULANT.kernel.numel()
    spectrum = torch.fft.rfft(CIRCULANT.kernel)
    spread = y.new_zeros(len(y), n).index_copy(1, CIRCULANT.indices, y)
    if len(y) == 0:
        return spread.view(0, *SHAPE)
    product = torch.fft.rfft(spread) * (spectrum.conj() if conjugate else spectrum)
    flat = torch.fft.irfft(product, n=n) * scale * (CIRCULANT.signs if signs else 1)
    return flat.view(len(y), *SHAPE).to(y.dtype)


def _fresh_signs(x: Tensor) -> Tensor:
    return x * (torch.randint(0, 2, SHAPE) * 2 - 1)


def _clipped(x: Tensor) -> Tensor:
    return x.clamp(-0.5, 0.5)


def _gamma(x: Tensor) -> Tensor:
    return ((x + 1) / 2) ** 2.2


def _right(y: Tensor) -> Tensor:
    scale = CIRCULANT.scale
    return _circulant_adjoint(y, conjugate=True, scale=scale, signs=True)


BUGS = {
    "the reverse turn as adjoint": (Planted(TURN, TURN, BACK), {"adjoint", "vjp"}),
    "no conjugate": (
        Planted(
            CIRCULANT,
            CIRCULANT,
            lambda y: _circulant_adjoint(y, conjugate=False, scale=CIRCULANT.scale, signs=True),
        ),
        {"adjoint", "vjp"},
    ),
    "no scale": (
        Planted(
            CIRCULANT,
            CIRCULANT,
            lambda y: _circulant_adjoint(y, conjugate=True, scale=1.0, signs=True),
        ),
        {"adjoint", "vjp"},
    ),
    "no signs": (
        Planted(
            CIRCULANT,
            CIRCULANT,
            lambda y: _circulant_adjoint(y, conjugate=True, scale=CIRCULANT.scale, signs=False),
        ),
        {"adjoint", "vjp"},
    ),
    "rolled by a pixel": (
        Planted(CIRCULANT, CIRCULANT, lambda y: _right(y).roll(1, dims=-1)),
        {"adjoint", "vjp"},
    ),
    "a mask's adjoint leaks a little": (
        Planted(
            Identity(SHAPE),
            lambda x: x * MASK.to(x.dtype),
            lambda y: y * MASK.to(y.dtype) + 1e-3 * y.mean((1, 2, 3), keepdim=True),
        ),
        {"adjoint", "vjp"},
    ),
    "affine declared linear": (Underived(lambda x: 2 * x + 1), {"adjoint", "linearity"}),
    "relu declared linear": (Underived(torch.relu), {"adjoint", "linearity", "vjp"}),
    "fresh signs at each call": (
        Underived(_fresh_signs),
        {"determinism", "batch", "adjoint", "linearity", "vjp"},
    ),
}


def _broken(operator: Operator) -> dict[str, str]:
    return {v.law: v.detail for v in examine_operator(operator) if v.kept is False}


@pytest.mark.parametrize("bug", BUGS)
def test_the_nine_planted_bugs_are_caught(bug: str) -> None:
    operator, laws = BUGS[bug]
    assert laws <= set(_broken(operator))


def test_the_error_names_each_broken_law() -> None:
    with pytest.raises(ContractError, match="breaks its contract: ") as caught:
        check_operator(Curved(lambda x: x.square().detach() - x.mean()))
    assert "batch: " in str(caught.value) and "; gradient: " in str(caught.value)


def test_the_same_parts_without_a_bug_pass() -> None:
    check_operator(Planted(CIRCULANT, CIRCULANT, _right))
    check_operator(Planted(TURN, TURN, TURN.adjoint))
    check_operator(Underived(torch.neg))


def test_operators_that_are_not_linear() -> None:
    for function in (torch.sin, _clipped, _gamma):
        check_operator(Curved(function))


def test_a_wrong_gradient_is_caught() -> None:
    def halved(x: Tensor) -> Tensor:
        return x.square().detach() + x.square() / 2 - (x.square() / 2).detach()

    assert "gradient" in _broken(Curved(halved))
    assert "gradient" in _broken(Curved(lambda x: x.square().detach()))


def test_images_that_mix_are_caught() -> None:
    assert "batch" in _broken(Curved(lambda x: x - x.mean()))


def test_an_image_changed_in_place_is_caught() -> None:
    assert "changed in place" in _broken(Curved(lambda x: x.mul_(2)))["shapes"]


def test_a_wrong_shape_and_a_wrong_dtype_are_caught() -> None:
    assert "shapes" in _broken(Curved(lambda x: x[:, :1]))
    assert "float32" in _broken(Curved(lambda x: x.float()))["shapes"]
    assert "float64" in _broken(Curved(lambda x: x.double()))["shapes"]


def test_a_kept_generator_is_caught() -> None:
    operator = Curved(torch.sin)
    operator.rng = torch.Generator()  # type: ignore[assignment]
    assert "torch.Generator" in _broken(operator)["copying"]


def test_a_wrong_norm_and_a_wrong_pseudo_inverse_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PartialCirculant, "norm", lambda self: self.scale**2)
    monkeypatch.setattr(PartialCirculant, "pinv", lambda self, y, **_: self.adjoint(y))
    assert {"norm", "pinv"} <= set(_broken(PartialCirculant(SHAPE, 0.2, spectrum="unit")))


def test_a_forgotten_argument_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {**CIRCULANT.spec(), "seed": 1}
    monkeypatch.setattr(PartialCirculant, "spec", lambda self: spec)
    assert "spec" in _broken(CIRCULANT)


def test_an_operator_that_fails_is_a_verdict_not_a_crash() -> None:
    def fail(x: Tensor) -> Tensor:
        raise RuntimeError("no such file")

    assert "RuntimeError: no such file" in _broken(Curved(fail))["determinism"]


def test_what_cannot_be_examined_says_so() -> None:
    verdicts = {v.law: v for v in examine_operator(Identity((3, 37, 37)))}
    assert verdicts["norm"].kept is None
    assert "4107" in verdicts["norm"].detail
    assert {v.law: v.kept for v in examine_operator(TURN)}.keys() >= {"adjoint", "spec", "pinv"}


class StandIn(Operator):
    """A map without a useful gradient, and a function that stands in for it."""

    def __init__(self, forward: Function, surrogate: Function) -> None:
        super().__init__(SHAPE, SHAPE)
        self._functions = (forward, surrogate)

    def forward(self, image: Tensor) -> Tensor:
        return self._functions[0](image)

    def surrogate(self, image: Tensor) -> Tensor:
        return self._functions[1](image)


def _rounded(x: Tensor) -> Tensor:
    return (4 * x).round() / 4


def _straight_through(x: Tensor) -> Tensor:
    return x + (_rounded(x) - x).detach()


def test_surrogates_are_examined_alone_and_in_chains() -> None:
    for surrogate in (torch.clone, _straight_through):
        good = StandIn(_rounded, surrogate)
        check_operator(good)
        check_operator(good @ TURN)
        check_operator(stack([good, Identity(SHAPE)]))


@pytest.mark.parametrize(
    ("surrogate", "law"),
    [
        (torch.neg, "gradient"),
        (_rounded, "gradient"),
        (lambda x: x * math.nan, "gradient"),
        (lambda x: x - x.mean(), "batch"),
        (lambda x: x + torch.rand(()), "gradient"),
        (lambda x: x[:, :1], "gradient"),
    ],
)
def test_useless_surrogates_are_caught(surrogate: Function, law: str) -> None:
    assert law in _broken(StandIn(_rounded, surrogate))
    assert law in _broken(StandIn(_rounded, surrogate) @ TURN)


class Cached(LinearOperator):
    """Squares its weights once, and does not notice when they change."""

    weights: Tensor

    def __init__(self) -> None:
        super().__init__(SHAPE, SHAPE)
        self.register_buffer("weights", torch.full(SHAPE, 2.0))
        self._squared: Tensor | None = None

    def forward(self, image: Tensor) -> Tensor:
        if self._squared is None:
            self._squared = self.weights.square()
        return image * self._squared.to(image.dtype)

    def load_state_dict(self, *args: Any, **keywords: Any) -> Any:
        loaded = super().load_state_dict(*args, **keywords)
        self(torch.zeros(1, *SHAPE))
        return loaded


def test_a_checkpoint_that_does_not_come_back_is_caught() -> None:
    assert "state_dict" in _broken(Cached())["copying"]


def test_an_adjoint_that_mixes_or_changes_precision_is_caught() -> None:
    mixed = Planted(TURN, TURN, lambda y: TURN.adjoint(y) + 1e-3 * (y - y.flip(0)))
    assert "adjoint of a measurement" in _broken(mixed)["batch"]
    single = Planted(TURN, TURN, lambda y: TURN.adjoint(y).float())
    assert "float64" in _broken(single)["shapes"]
    double = Planted(TURN, TURN, lambda y: TURN.adjoint(y.double()))
    assert "float32" in _broken(double)["shapes"]


def test_the_decomposition_is_that_of_the_whole_matrix() -> None:
    """Blocks, an empty row and an empty column, against NumPy's decomposition of it all."""
    rng = torch.Generator().manual_seed(3)
    matrix = torch.zeros(9, 11, dtype=torch.float64)
    matrix[0:3, 0:5] = torch.randn(3, 5, generator=rng, dtype=torch.float64)
    matrix[3:8, 5:8] = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    shuffle = torch.randperm(11, generator=rng)
    matrix = matrix[torch.randperm(9, generator=rng)][:, shuffle]
    found, y = Decomposition(matrix), torch.randn(4, 9, generator=rng, dtype=torch.float64)
    assert found.norm == pytest.approx(np.linalg.norm(matrix.numpy(), 2), rel=1e-12)
    inverse = np.linalg.pinv(matrix.numpy())
    np.testing.assert_allclose(found.pinv(y).numpy(), y.numpy() @ inverse.T, atol=1e-12)
    assert torch.equal(found.well_determined(y), y)
    assert Decomposition(torch.zeros(3, 4, dtype=torch.float64)).norm == 0


def test_what_is_badly_determined_is_left_out() -> None:
    matrix = torch.diag(torch.tensor([1.0, 0.5, 1e-5, 0.0], dtype=torch.float64))
    kept = Decomposition(matrix).well_determined(torch.ones(1, 4, dtype=torch.float64))
    assert kept.tolist() == [[1.0, 1.0, 0.0, 1.0]]


def test_the_dense_matrix_is_built_by_columns() -> None:
    matrix = dense(CIRCULANT)
    assert matrix.shape == (77, math.prod(SHAPE))
    x = torch.randn(1, *SHAPE, dtype=torch.float64)
    torch.testing.assert_close(matrix @ x.flatten(), CIRCULANT(x)[0])
