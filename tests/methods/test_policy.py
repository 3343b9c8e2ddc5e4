"""The policy, row by row: what invprob chooses, and the reason that it gives.

Figures of the cases are those of the documentation, not the constants of the module, so that a
threshold that moves by accident is seen.
"""

from typing import Any, get_type_hints

import pytest
from fake_distance import FakeDistance

from invprob.methods import Asked, Choices, Problem, choose, open_options
from invprob.methods.choices import ASKED
from invprob.methods.policy import TABLE
from invprob.operators import GaussianNoise, Noise, UniformNoise
from invprob.options import AUTO
from invprob.registry import register

SIDE = 64
NUMBERS = 3 * SIDE * SIDE  # of an image: 12,288


NETWORK = FakeDistance()


def noise(sigma: float) -> Noise:
    return GaussianNoise(sigma=sigma)


def problem(measured: int = NUMBERS, **fields: Any) -> Problem:
    """A problem of which that many numbers are measured, in a row."""
    return Problem((3, SIDE, SIDE), (measured,), **fields)


def stochastic(measured: int = NUMBERS, sigma: float = 0.01) -> Problem:
    return problem(measured, noise=noise(sigma), compare="stochastic")


# A fifth of 12,288 is 2457.6, a half is 6144.
OPTIMISER = [
    (problem(smooth=False), {}, "adam", "the operator rounds"),
    (stochastic(), {}, "adam", "the stochastic data term changes at every step"),
    (problem(), {"learning_rate": 0.003}, "adam", "a learning rate was given"),
    (problem(), {"schedule": True}, "adam", "a schedule was given"),
    (problem(), {"readout": "last"}, "adam", "another readout than mean_w was given"),
    (problem(2457), {}, "adam", "less than 20 % of the image"),
    (problem(123), {}, "adam", "less than 20 % of the image was measured (1 %)"),
    (problem(2458), {}, "l-bfgs", "at least 20 % of the image"),
    (problem(3686), {"readout": "mean_w"}, "l-bfgs", "(30 %)"),
    (problem(noise=noise(1.0)), {}, "l-bfgs", "neither the operator nor an option calls for Adam"),
    (problem(2 * NUMBERS), {}, "l-bfgs", "(200 %)"),
]


@pytest.mark.parametrize(("case", "asked", "value", "words"), OPTIMISER)
def test_the_optimiser(case: Problem, asked: dict[str, Any], value: str, words: str) -> None:
    chosen = choose(case, Asked(optimiser="auto", **asked))
    assert chosen.optimiser == value and words in chosen.reasons["optimiser"]


PARTS: list[tuple[Problem, Any, bool, str]] = [
    (stochastic(), "adam", False, "the stochastic data term"),
    (problem(noise=UniformNoise(width=0.01)), "l-bfgs", False, "the noise is not Gaussian"),
    (problem(noise=noise(0.0501)), "l-bfgs", False, "stronger than a sigma of 0.05"),
    (problem(noise=noise(0.2)), "adam", False, "(sigma 0.2)"),
    (problem(2457), "l-bfgs", False, "L-BFGS needs 20 % of the image"),
    (problem(6143), "adam", False, "Adam needs 50 % of the image"),
    (
        problem(2458),
        "l-bfgs",
        True,
        "enough of the image was measured to determine content and noise maps",
    ),
    (problem(2458, noise=noise(0.05)), "l-bfgs", True, "enough of the image was measured"),
    (problem(6144), "adam", True, "(50 %)"),
    (problem(6144, noise=noise(0.05)), "adam", True, "enough of the image was measured"),
]


@pytest.mark.parametrize(("case", "optimiser", "free", "words"), PARTS)
def test_the_content_and_the_noise_maps(
    case: Problem, optimiser: Any, free: bool, words: str
) -> None:
    chosen = choose(case, Asked(optimiser=optimiser, content="auto", noise_maps="auto"))
    assert chosen.content == ("head" if free else "constant")
    assert chosen.noise_maps == ("free" if free else "stored")
    assert words in chosen.reasons["content"] and words in chosen.reasons["noise_maps"]


NOISE_RATE = [
    (problem(noise=noise(0.01)), 1.0, "the measurement is noisy"),
    (problem(6143), 1.0, "less than 50 % of the image was measured"),
    (problem(6144), 10.0, "at least 50 % of the image was measured (50 %)"),
]


@pytest.mark.parametrize(("case", "value", "words"), NOISE_RATE)
def test_the_learning_rate_of_noise_maps(case: Problem, value: float, words: str) -> None:
    chosen = choose(case, Asked(noise_rate="auto"))
    assert chosen.noise_rate == value and words in chosen.reasons["noise_rate"]


# λ = 1.8 sigma and at least 0.005; the negative log-likelihood is the misfit / (2 sigma²).
WEIGHT = [
    (problem(), 0.005, "no noise is known"),
    (problem(noise=noise(0.001)), 0.005, "(sigma 0.001)"),
    (problem(noise=noise(0.5)), 0.9, "grows with the sigma of the noise (sigma 0.5)"),
    (problem(noise=noise(0.5), compare="likelihood"), 1.8, "grows with the sigma"),
    (problem(noise=UniformNoise(width=0.7)), 0.18, "is taken for a sigma of 0.1"),
    (problem(noise=UniformNoise(width=0.7), compare="likelihood"), 9.0, "a sigma of 0.1"),
]


@pytest.mark.parametrize(("case", "value", "words"), WEIGHT)
def test_the_weight_of_total_variation(case: Problem, value: float, words: str) -> None:
    chosen = choose(case, Asked(weight="auto"))
    assert chosen.weight == pytest.approx(value, rel=1e-12) and words in chosen.reasons["weight"]


# λ = 1.35 sigma; 0 asks for A x = y.
FIDELITY = [
    (problem(), 0.0, "no noise is known"),
    (problem(noise=noise(0.2)), 0.27, "grows with the sigma of the noise (sigma 0.2)"),
    (problem(noise=UniformNoise(width=0.7)), 0.135, "is taken for a sigma of 0.1"),
]


@pytest.mark.parametrize(("case", "value", "words"), FIDELITY)
def test_how_far_the_image_may_be_from_the_data(case: Problem, value: float, words: str) -> None:
    chosen = choose(case, Asked(fidelity="auto"))
    assert chosen.fidelity == pytest.approx(value, rel=1e-12)
    assert words in chosen.reasons["fidelity"]


# λ = 9 sigma; 0 asks for A x = y.
SMOOTHNESS = [
    (problem(), 0.0, "no noise is known"),
    (problem(noise=noise(0.2)), 1.8, "grows with the sigma of the noise (sigma 0.2)"),
    (problem(noise=UniformNoise(width=0.7)), 0.9, "is taken for a sigma of 0.1"),
]


@pytest.mark.parametrize(("case", "value", "words"), SMOOTHNESS)
def test_how_smooth_an_image_is_made(case: Problem, value: float, words: str) -> None:
    chosen = choose(case, Asked(smoothness="auto"))
    assert chosen.smoothness == pytest.approx(value, rel=1e-12)
    assert words in chosen.reasons["smoothness"]


def open_to(name: str) -> Asked:
    """What is asked where one choice is left to the policy."""
    asked: dict[str, Any] = {name: "auto"}
    return Asked(**asked)


ADAPTATION = [
    ("weights", problem(), "free", "needs weights of its own"),
    ("weights", stochastic(), "trained", "noise that must not be fitted"),
    ("weight_rate", problem(184), 0.001, "less than 1.5 % of the image was measured"),
    ("weight_rate", problem(185), 0.003, "at least 1.5 % of the image was measured (1.51 %)"),
    ("variation", problem(491), 0.03, "less than 4 % of the image was measured"),
    ("variation", problem(492), 0.001, "at least 4 % of the image was measured (4 %)"),
    ("variation", problem(491, noise=noise(0.01)), 0.03, "with the variance of the noise"),
    ("variation", problem(noise=noise(0.01)), 0.001, "with the variance of the noise (sigma 0.01)"),
    ("variation", problem(noise=noise(2.0)), 6.0, "with the variance of the noise (sigma 2)"),
    ("reference", problem(184), 0.5, "less than 1.5 % of the image was measured"),
    ("reference", problem(185), 0.42, "less than 15 % of the image was measured (1.51 %)"),
    ("reference", problem(1843), 0.42, "less than 15 % of the image was measured (15 %)"),
    ("reference", problem(1844), 0.35, "at least 15 % of the image was measured"),
    ("reference", problem(noise=noise(0.06)), 0.35, "at least 15 % of the image was measured"),
    ("reference", problem(noise=noise(0.07)), 0.5, "a sigma of at least 0.07"),
    ("reference", problem(noise=UniformNoise(width=0.7)), 0.35, "at least 15 %"),
    ("reference", problem(observed=9216), 0.5, "a part of the image is hidden"),
    ("finish", problem(), "pixels", "hold as exactly as their noise allows"),
    ("finish", problem(linear=False), "none", "a method for linear operators"),
    ("finish", stochastic(), "none", "another data term was asked for"),
]


@pytest.mark.parametrize(("name", "case", "value", "words"), ADAPTATION)
def test_how_the_generator_adapts(name: str, case: Problem, value: Any, words: str) -> None:
    chosen = choose(case, open_to(name))
    assert getattr(chosen, name) == value and words in chosen.reasons[name]


def test_no_last_stage_where_the_loss_has_terms_beside_those_of_the_method() -> None:
    chosen = choose(problem(), Asked(finish="auto", terms=True))
    assert chosen.finish == "none" and "are found without them" in chosen.reasons["finish"]


LEFT = {"content": "auto", "noise_maps": "auto", "optimiser": "auto"}
COARSE = [
    (problem(123), LEFT, 16, "Adam searches, and less than 50 % of the image was measured (1 %"),
    (problem(6143), {**LEFT, "optimiser": "adam"}, 16, "Adam searches, and less than 50 %"),
    (problem(6144), {**LEFT, "optimiser": "adam"}, None, "at least 50 % of the image was measured"),
    (
        problem(123),
        {**LEFT, "optimiser": "l-bfgs"},
        None,
        "L-BFGS does better at the full size from the beginning",
    ),
    (problem(), {"weights": "auto"}, 16, "the weights adapt later"),
    (problem(), {"weights": "trained", "init": "encoder"}, None, "finds a start at the full size"),
    (problem(3000), LEFT, None, "L-BFGS does better at the full size from the beginning"),
    (
        problem(123),
        {**LEFT, "content": "constant"},
        None,
        "the content or the noise maps are not left",
    ),
    (
        problem(123),
        {**LEFT, "noise_maps": "stored"},
        None,
        "the content or the noise maps are not left",
    ),
    (problem(123), {}, None, "the content or the noise maps are not left"),
    (problem(123), {**LEFT, "init": "encoder"}, None, "the encoder finds a start at the full size"),
    (problem(123), {**LEFT, "may_stop": True}, None, "the run may stop early"),
    (Problem((3, 32, 32), (30,)), LEFT, 8, "Adam searches"),
    (Problem((3, 16, 16), (7,)), LEFT, None, "a quarter of the size is below 8 pixels"),
]


@pytest.mark.parametrize(("case", "asked", "value", "words"), COARSE)
def test_coarse_to_fine(
    case: Problem, asked: dict[str, Any], value: int | None, words: str
) -> None:
    chosen = choose(case, Asked(**asked))
    assert chosen.coarse == value and words in chosen.reasons["coarse"]


IMAGE = (3, SIDE, SIDE)
PERCEPTUAL = [
    (Problem(IMAGE, IMAGE), None, "there is no perceptual network"),
    (Problem(IMAGE, (NUMBERS,), NETWORK), "scores only", "not a colour image of 32 pixels or more"),
    (Problem(IMAGE, (1, SIDE, SIDE), NETWORK), "scores only", "not a colour image"),
    (Problem(IMAGE, (3, 31, 32), NETWORK), "scores only", "not a colour image"),
    (Problem(IMAGE, IMAGE, NETWORK, noise(0.01)), "scores only", "the measurement is noisy"),
    (Problem(IMAGE, IMAGE, NETWORK, observed=6143), "scores only", "edges of what is hidden"),
    (Problem(IMAGE, IMAGE, NETWORK, observed=6144), "available", "images of the same kind"),
    (Problem(IMAGE, (3, 32, 32), NETWORK), "available", "images of the same kind"),
    (
        Problem(IMAGE, IMAGE, NETWORK, noise(0.01), "stochastic"),
        "available",
        "images of the same kind",
    ),
]


@pytest.mark.parametrize(("case", "value", "words"), PERCEPTUAL)
def test_the_perceptual_network(case: Problem, value: str | None, words: str) -> None:
    chosen = choose(case, Asked())
    assert chosen.perceptual == value and words in chosen.reasons["perceptual"]


GIVEN: dict[str, Any] = {
    "perceptual": "available",
    "optimiser": "l-bfgs",
    "content": "head",
    "noise_maps": "free",
    "noise_rate": 3.0,
    "weight": 0.1,
    "fidelity": 0.2,
    "coarse": 32,
}


def test_what_the_user_asked_for_wins() -> None:
    hard = problem(1, noise=UniformNoise(width=0.5), smooth=False)
    given = choose(hard, Asked(**GIVEN, may_stop=True, readout="last"))
    assert given == Choices(**GIVEN, reasons=dict.fromkeys(GIVEN, ASKED))
    assert given.sentences() == []


def test_a_choice_that_the_method_does_not_have_is_not_made() -> None:
    chosen = choose(problem(), Asked(coarse=None, perceptual=None))
    assert chosen == Choices() and chosen.to_json() == {}


def test_every_row_decides_some_case_of_this_file() -> None:
    """Rows are known by their words."""
    cases: list[tuple[str, Problem, Asked]] = [
        *(("optimiser", case, Asked(optimiser="auto", **more)) for case, more, *_ in OPTIMISER),
        *(
            (name, case, Asked(optimiser=by, content="auto", noise_maps="auto"))
            for case, by, *_ in PARTS
            for name in ("content", "noise_maps")
        ),
        *(("noise_rate", case, Asked(noise_rate="auto")) for case, *_ in NOISE_RATE),
        *(("weight", case, Asked(weight="auto")) for case, *_ in WEIGHT),
        *(("fidelity", case, Asked(fidelity="auto")) for case, *_ in FIDELITY),
        *(("smoothness", case, Asked(smoothness="auto")) for case, *_ in SMOOTHNESS),
        *((name, case, open_to(name)) for name, case, *_ in ADAPTATION),
        ("finish", problem(), Asked(finish="auto", terms=True)),
        *(("coarse", case, Asked(**more)) for case, more, *_ in COARSE),
        *(("perceptual", case, Asked()) for case, *_ in PERCEPTUAL),
    ]
    decided = {
        (name, choose(case, asked).reasons[name].split(" (")[0]) for name, case, asked in cases
    }
    assert decided == {(name, row.because) for name, rows in TABLE.items() for row in rows}


def test_every_choice_of_the_table_can_be_asked_for_and_recorded() -> None:
    asked, made = get_type_hints(Asked), get_type_hints(Choices)
    for name in TABLE:
        assert name in asked and name in made
    assert set(made) == {*TABLE, "reasons"}
    assert all(AUTO in str(asked[name]) for name in TABLE)


def test_a_run_says_what_was_chosen_and_why() -> None:
    asked = Asked(optimiser="auto", content="auto", noise_maps="auto")
    chosen = choose(problem(3686), asked)
    assert chosen.sentences() == [
        "optimiser = l-bfgs, because at least 20 % of the image was measured, and neither the "
        "operator nor an option calls for Adam (30 %)",
        "content = head, noise_maps = free, because enough of the image was measured to determine "
        "content and noise maps (30 %)",
    ]
    assert chosen.to_json()["coarse"] == {
        "value": None,
        "reason": "L-BFGS does better at the full size from the beginning",
    }
    begun_small = choose(problem(123), asked).sentences()
    assert begun_small[-1].startswith("coarse = 16, because Adam searches")


def test_every_method_that_leaves_something_open_says_what_becomes_of_it() -> None:
    explained = set()
    for name, method in register.method.items():
        about = " ".join((method.__doc__ or "").split())
        for choice in open_options(name):
            explained.add(choice)
            assert f"`{choice}`" in about
            assert all(row.because in about and row.shown in about for row in TABLE[choice])
    assert explained == set(TABLE) - {"perceptual", "coarse"}
    about = " ".join((register.method["sphinx"].__doc__ or "").split())
    assert all(row.because in about for row in TABLE["coarse"])
