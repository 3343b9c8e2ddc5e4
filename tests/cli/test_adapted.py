"""Methods that move weights, from the command line: bad input, and what a run says."""

import json
from pathlib import Path

import pytest

SOLVE = ("--operator", "circulant", "--ratio", "0.3", "--steps", "5")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sphinx-adapted --reference 2", ("reference must be in [0, 1], not 2",)),
        ("sphinx-adapted --weight-rate 0", ("weight_rate must be positive and finite, not 0",)),
        ("sphinx-adapted --learning-rate 0", ("learning_rate must be positive and finite, not 0",)),
        ("sphinx-adapted --variation -1", ("variation", ">= 0, not -1")),
        ("sphinx-adapted --fidelity -1", ("fidelity must be finite and at least 0, not -1",)),
        ("sphinx-adapted --finish pixel", ("--finish", "Did you mean 'pixels'?")),
        ("sphinx-adapted --weights none", ("--weights must be one of auto, free, trained",)),
        ("sphinx-adapted --coarse 12", ("power of two from 8 to 16", "not 12")),
        ("sphinx-adapted --precision bf16", ("--precision float32", "such as sphinx")),
        ("iagan --precision bf16", ("--precision float32",)),
        ("iagan --weight-rate nan", ("weight_rate must be positive and finite, not nan",)),
        ("iagan --space w", ("--space must be one of z, w-plus",)),
        ("iagan --learning-rate 0", ("learning_rate must be positive and finite, not 0",)),
        ("pti --precision bf16", ("--precision float32",)),
        ("pti --radius 0", ("radius must be above 0 and finite, not 0",)),
        ("pti --locality -1", ("locality must be at least 0 and finite, not -1",)),
        ("pti --weight-rate 0", ("weight_rate must be positive and finite, not 0",)),
        ("pti --coarse 64", ("power of two from 8 to 16", "not 64")),
    ],
)
def test_options_that_make_no_sense(refuse, words: str, said: tuple[str, ...]) -> None:
    complaint = refuse("solve", *SOLVE, "--method", *words.split())
    for word in said:
        assert word in complaint


def test_free_pixels_need_a_linear_operator(refuse) -> None:
    jpeg = ("--operator", "jpeg:quality=20", "--steps", 4, "--method", "sphinx-adapted")
    assert "linear operator" in refuse("solve", *jpeg, "--finish", "pixels")


def test_a_run_says_that_there_are_no_free_pixels(call, place: Path) -> None:
    done = call(
        *("solve", "--operator", "jpeg:quality=20", "--steps", 4, "--out", "run"),
        *("--method", "sphinx-adapted"),
    )
    assert done.status == 0, done.err
    choices = json.loads(Path("run/choices.json").read_text())
    assert choices["finish"]["value"] == "none" and "linear operators" in str(choices["finish"])
    assert choices["weights"]["value"] == "free"
