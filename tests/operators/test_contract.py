"""The laws of the contract for everything registered, and for random compositions of it."""

import functools
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from invprob.errors import ArgumentError, ShapeError
from invprob.operators import Operator, compose
from invprob.registry import register
from invprob.testing import check_operator


@pytest.mark.parametrize("name", register.operator)
def test_examples_keep_the_contract(name: str) -> None:
    example = register.operator[name].example()
    assert math.prod(example.image_shape) <= 1024
    check_operator(example)


@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8)], ids=str)
@pytest.mark.parametrize("name", register.operator)
def test_the_contract_at_awkward_shapes(name: str, shape: tuple[int, ...]) -> None:
    """An operator may refuse a shape, by an error that its docstring names."""
    try:
        operator = _rebuilt(name, shape)
    except (ArgumentError, ShapeError) as refusal:
        documented = f"{register.operator[name].__doc__} {register.operator[name].__init__.__doc__}"
        assert type(refusal).__name__ in documented, refusal
        pytest.skip(f"{name} refuses {shape}: {refusal}")
    check_operator(operator)


def _rebuilt(name: str, shape: tuple[int, ...]) -> Operator:
    """The operator with its example's options, for images of another shape."""
    return Operator.from_spec({**_example_spec(name), "image_shape": shape})


@functools.cache
def _example_spec(name: str) -> dict[str, object]:
    return register.operator[name].example().spec()


@st.composite
def _compositions(draw: st.DrawFn) -> Operator:
    """Two or three operators, each reading what the one before it writes."""
    shape: tuple[int, ...] = draw(st.sampled_from([(3, 6, 5), (1, 16, 8), (2, 3, 5), (3, 8, 8)]))
    names = draw(st.permutations(list(register.operator)))
    length = draw(st.integers(2, 3))
    chain: list[Operator] = []
    for name in names:
        try:
            chain.insert(0, _rebuilt(name, shape))
        except (ArgumentError, ShapeError):
            continue  # it reads images only, or other ones
        shape = chain[0].measurement_shape
        if len(chain) == length:
            break
    assume(len(chain) == length)
    return compose(chain)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(_compositions())
def test_compositions_keep_the_contract(operator: Operator) -> None:
    assert len(operator.leaves()) in (2, 3)
    check_operator(operator)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(_compositions())
def test_descriptions_of_compositions_are_short(operator: Operator) -> None:
    leaves = operator.leaves()
    text = operator.describe()
    assert text == " @ ".join(leaf.describe() for leaf in leaves)
    assert len(text) <= 60 * len(leaves) and len(text.splitlines()) == 1 and "array:" not in text
    assert operator.names() == tuple(str(leaf.spec()["type"]) for leaf in leaves)
