"""Laws about tensors must catch operators that break them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from invprob.errors import ContractError
from invprob.operators import LinearOperator, Operator
from invprob.operators.door import check_numbers
from invprob.testing import check_operator, examine_operator

SHAPE = (3, 4, 4)


class Planted(LinearOperator):
    """A linear operator with a bug in one of its methods."""

    def __init__(self, forward: Callable[[Tensor], Tensor] = torch.neg) -> None:
        super().__init__(SHAPE, SHAPE)
        self._function = forward

    def forward(self, image: Tensor) -> Tensor:
        return self._function(image)


class Lenient(Planted):
    """Lets whole numbers in."""

    def check_image(self, image: Tensor) -> None:
        if not image.is_complex():
            return
        check_numbers(image, "image", self)


class Shared(Planted):
    """Gives what it was given."""

    def adjoint(self, measurement: Tensor) -> Tensor:
        return -measurement

    def pinv(self, measurement: Tensor, *, iterations: int = 0, tolerance: float = 0) -> Tensor:
        return measurement.view(measurement.shape)


class _Halved(torch.autograd.Function):
    """An old form, which `torch.func` refuses."""

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        return image / 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] / 2


def _broken(operator: Operator) -> dict[str, str]:
    return {v.law: v.detail for v in examine_operator(operator) if v.kept is False}


def _coarse(image: Tensor) -> Tensor:
    return -image if image.dtype in (torch.float32, torch.float64) else image


def _mixed(image: Tensor) -> Tensor:
    """In the image's dtype, but for float16."""
    return -image.float() if image.dtype == torch.float16 else -image


def _uncast(image: Tensor) -> Tensor:
    """Weights that were never cast to the dtype of what is read."""
    double = image.dtype == torch.float64
    return image @ torch.eye(image.shape[-1], dtype=torch.float64 if double else torch.float32)


@pytest.mark.parametrize(
    ("operator", "law", "detail"),
    [
        (Lenient(), "dtypes", "a call does not refuse torch.bool"),
        (Planted(lambda x: x), "memory", "a call gives a view of what it read"),
        (Shared(), "memory", "the pseudo-inverse gives a view"),
        (Planted(_coarse), "precisions", "relative error 2.0e+00"),
        (Planted(_mixed), "precisions", "a call gives torch.float32 for torch.float16"),
        (Planted(_uncast), "precisions", "a call in torch.float16: expected"),
        (Planted(_Halved.apply), "torch.func", "setup_context"),
    ],
    ids=["integers", "view", "view of the pseudo-inverse", "halves", "mixed", "uncast", "old form"],
)
def test_planted_bugs_are_caught(operator: Operator, law: str, detail: str) -> None:
    assert detail in _broken(operator)[law]


def _single(image: Tensor) -> Tensor:
    if image.dtype in (torch.float16, torch.bfloat16):
        raise NotImplementedError("no half precision here")
    return -image


def test_an_operator_without_half_precisions_may_refuse_them() -> None:
    check_operator(Planted(_single))


def test_a_wrong_directional_derivative_is_caught() -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(image: Tensor) -> Tensor:
            return image / 2

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None: ...

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return gradients[0] / 2

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Tensor:
            return tangents[0] / 3

        generate_vmap_rule = True

    with pytest.raises(ContractError, match=r"torch\.func: relative error"):
        check_operator(Planted(Wrong.apply))
