"""Arguments that hold several numbers, from constructors, specs and command lines."""

import pytest

from invprob.cli.options import parse, read_parts
from invprob.errors import ArgumentError
from invprob.operators import CT, ChannelMix, Operator
from invprob.operators.lists import read_matrix, read_numbers
from invprob.registry import options_of


def test_numbers_are_read_from_words_and_lists() -> None:
    assert read_numbers("angles", " 0  22.5 -1e1 ") == (0.0, 22.5, -10.0)
    assert read_numbers("angles", [1, 2.5]) == (1.0, 2.5)


def test_matrices_are_read_from_words_and_lists() -> None:
    assert read_matrix("m", "1 2;3 4") == ((1.0, 2.0), (3.0, 4.0))
    assert read_matrix("m", [[1], [2]]) == ((1.0,), (2.0,))


def test_such_arguments_are_options_that_a_command_line_writes_as_words() -> None:
    option = next(option for option in options_of(ChannelMix) if option.name == "matrix")
    assert (option.type, option.required, option.listed) == (str, True, True)
    assert parse(option, "0 1 0; 1 0 0") == "0 1 0; 1 0 0"
    degrees = next(option for option in options_of(CT) if option.name == "degrees")
    assert (degrees.type, degrees.default, degrees.nullable) == (str, None, True)
    assert degrees.read([0.0, 90.0]) == [0.0, 90.0]
    for wrong in (3.0, True, {"a": 1}):
        with pytest.raises(ArgumentError, match="degrees must be a word"):
            degrees.read(wrong)


def test_a_command_line_builds_them() -> None:
    parts = read_parts(
        ["--degrees", "0 45 90"], operators=["channel-mix:matrix=-1 0 0; 0 1 0", "ct"]
    )
    mix, ct = parts.operators
    built = Operator.from_spec({"type": ct.name, "image_shape": (3, 8, 8), **ct.settings})
    assert built.measurement_shape == (3, 3, 12)
    built = Operator.from_spec({"type": mix.name, "image_shape": (3, 8, 8), **mix.settings})
    assert built.measurement_shape == (2, 8, 8)


def test_lists_and_words_come_back_from_json() -> None:
    for degrees in ("0 45", [0, 45], (0.0, 45.0)):
        operator = CT((1, 6, 5), degrees=degrees)
        again = Operator.from_spec(operator.spec())
        assert again.fingerprint() == operator.fingerprint()
