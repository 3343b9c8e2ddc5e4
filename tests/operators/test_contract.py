"""The laws of the contract for everything registered, and for random compositions of it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invprob.errors import ArgumentError
from invprob.operators import Operator, compose
from invprob.registry import register
from invprob.testing import check_operator


@pytest.mark.parametrize("name", register.operator)
def test_examples_keep_the_contract(name: str) -> None:
    example = register.operator[name].example()
    assert math.prod(example.image_shape) <= 1024
    check_operator(example)


@pytest.mark.parametrize("shape", [(3, 37, 31), (1, 16, 8)], ids=str)
@pytest.mark.parametrize("name", register.operator)
def test_the_contract_at_awkward_shapes(name: str, shape: tuple[int, ...]) -> None:
    spec = register.operator[name].example().spec()
    try:
        operator = Operator.from_spec({**spec, "image_shape": shape})
    except ArgumentError as refusal:
        pytest.skip(f"{name} refuses {shape}: {refusal}")
    check_operator(operator)


def _examples(shape: tuple[int, ...]) -> list[Operator]:
    """Every registered operator that reads this shape, with its example's options."""
    found = []
    for name in register.operator:
        try:
            spec = register.operator[name].example().spec()
            found.append(Operator.from_spec({**spec, "image_shape": shape}))
        except ArgumentError:
            continue
    return found


@st.composite
def _compositions(draw: st.DrawFn) -> Operator:
    """Two or three operators, each reading what the one before it writes."""
    shape: tuple[int, ...] = draw(st.sampled_from([(3, 6, 5), (1, 4, 4), (2, 3, 5)]))
    chain: list[Operator] = []
    for _ in range(draw(st.integers(2, 3))):
        chain.insert(0, draw(st.sampled_from(_examples(shape))))
        shape = chain[0].measurement_shape
    return compose(chain)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(_compositions())
def test_compositions_keep_the_contract(operator: Operator) -> None:
    check_operator(operator)
