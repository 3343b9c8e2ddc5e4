"""Operators by the everyday names of tasks."""

import re

import pytest

from invprob.cli.everyday import TASKS
from invprob.registry import register


def test_what_is_suggested_is_registered_and_what_is_registered_has_no_suggestion() -> None:
    for beginnings, use in TASKS.items():
        named = re.split(r", | or |,? with ", re.sub(r" \(.*\)", "", use))
        for name in named:
            assert name in register.operator or name == "--noise gaussian", name
        for name in register.operator:
            assert name not in beginnings


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("inpainting", ("random-mask", "box-mask", "stroke-mask", " mask")),
        ("denoise", ("identity", "--noise gaussian")),
        ("super-resolution", ("bicubic-downsample", "area-downsample")),
        ("Super_Resolution", ("bicubic-downsample",)),
        ("deblurring", ("gaussian-blur", "motion-blur")),
        ("compressed-sensing", ("circulant",)),
        ("tomography", (" ct",)),
    ],
)
def test_the_task_is_answered_with_operators(refuse, word: str, names: tuple[str, ...]) -> None:
    for command in (("solve", "--operator", word), ("operators", word), ("check", word)):
        said = refuse(*command)
        assert f"no operator is named '{word}'; for this task use" in said
        for name in names:
            assert name in said


def test_a_slip_of_the_pen_is_still_suggested(refuse) -> None:
    assert "Did you mean 'circulant'" in refuse("solve", "--operator", "circulent")
