"""Lists of numbers as a command line has them."""

import numpy as np
import pytest

from invprob.cli.numbers import read_numbers, read_rows, read_strengths
from invprob.errors import ArgumentError


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("3", (3,)),
        ("0-3", (0, 1, 2, 3)),
        ("0-3,5", (0, 1, 2, 3, 5)),
        (" 5 , 0-1, 1-2 ", (0, 1, 2, 5)),
        ("7-7", (7,)),
    ],
)
def test_rows(text: str, rows: tuple[int, ...]) -> None:
    assert read_rows(text) == rows


@pytest.mark.parametrize("text", ["", ",", "3-1", "-1", "0-", "a", "1.5", "0--3", "0..3", "9999"])
def test_what_is_no_list_of_rows(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"rows must be numbers and ranges such as 0-3,5, got"):
        read_rows(text)


@pytest.mark.parametrize(
    ("text", "strengths"),
    [
        ("-2 -1 0 1 2", (-2, -1, 0, 1, 2)),
        ("-2,0,2", (-2, 0, 2)),
        ("-2, .5,  +3.", (-2, 0.5, 3)),
        ("1.5", (1.5,)),
        ("-2..2:5", (-2, -1, 0, 1, 2)),
        ("2..-2:3", (2, 0, -2)),
        ("1..3", (1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3)),
        ("-1.5..2.5:2", (-1.5, 2.5)),
    ],
)
def test_strengths(text: str, strengths: tuple[float, ...]) -> None:
    assert read_strengths(text) == strengths


@pytest.mark.parametrize(("first", "last"), [(-2, 2), (-3, 3), (0, 5), (4, 1), (-0.7, 0.7)])
def test_a_range_alone_has_nine_equal_steps(first: float, last: float) -> None:
    np.testing.assert_allclose(
        read_strengths(f"{first}..{last}"), np.linspace(first, last, 9), rtol=1e-15, atol=1e-15
    )


@pytest.mark.parametrize("text", ["-2..2", "-0.1..0.2:4", "-1..2", "2..-1", "-0.3..0.6:10"])
def test_zero_is_exactly_zero(text: str) -> None:
    """Of an edit of strength 0 the image is the solution's own, bit for bit."""
    found = read_strengths(text)
    assert found.count(0.0) == 1
    assert list(found) == sorted(found, reverse=found[0] > found[-1])


def test_zero_is_added_between_steps_alone() -> None:
    assert len(read_strengths("-1..2")) == 10
    assert len(read_strengths("-1..2:9")) == 9 and 0 not in read_strengths("-1..2:9")
    assert len(read_strengths("1..2")) == 9


@pytest.mark.parametrize(
    "text", ["", "a", "1..", "..1", "nan", "inf", "1e400", "1..2..3", "1/3", "-2..2:", "-", "1;2"]
)
def test_what_is_no_list_of_strengths(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"strengths must be numbers such as -2,0,2 or a range"):
        read_strengths(text)


def test_numbers_have_the_name_that_they_are_given() -> None:
    assert read_numbers("40 30,-2.5", "snr") == (40, 30, -2.5)
    with pytest.raises(ArgumentError, match=r"^snr must be numbers such as -2,0,2, got '4 dB'$"):
        read_numbers("4 dB", "snr")


@pytest.mark.parametrize("text", ["1..1", "-2..2:1", "-2..2:0", "-2..2:9999"])
def test_a_range_that_cannot_be(text: str) -> None:
    with pytest.raises(ArgumentError, match="two different ends and from 2 to 101 numbers"):
        read_strengths(text)
