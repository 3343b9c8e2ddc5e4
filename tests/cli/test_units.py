"""`--image-range`, `--gain`, `--offset`, `--data-weights` and `--noise-covariance`."""

import json
from pathlib import Path

import numpy as np
import pytest

from invprob.measurements import Measurements
from invprob.operators import Identity, Saturate
from invprob.run.samples import load_sample

SIDE = 32
QUICK = ("--method", "tv", "--steps", 5)


def levels() -> np.ndarray:
    """A camera's levels of a picture, (3, SIDE, SIDE)."""
    return ((load_sample("cat", size=SIDE)[0].double().numpy() + 1) * 127.5).round()


def test_the_same_measurements_are_imported_as_from_python(call, place: Path) -> None:
    y = 2 * levels() + 5
    np.save("y.npy", y)
    done = call(
        *("import-measurements", "y.npy", "--operator", "identity", "--size", SIDE),
        *("--image-range", "0 255", "--gain", 2, "--offset", 5, "--out", "y.st"),
    )
    assert done.status == 0 and "black is 0 and white 255" in done.err
    expected = Measurements.from_array(
        y, Identity((3, SIDE, SIDE)), image_range=(0, 255), gain=2.0, offset=5.0
    )
    taken = Measurements.load("y.st")
    assert np.array_equal(taken.values, expected.values) and taken.units == expected.units


def test_a_run_names_range_offset_and_errors(call, place: Path) -> None:
    size = SIDE
    picture = load_sample("cat", size=size)[0].double().numpy()
    np.save("y.npy", (picture + 1) * 127.5 + 20)
    np.save("w.npy", np.ones((3, size, size)))
    done = call(
        *("solve", "--measured", "y.npy", "--operator", "identity", "--image-range", "0 255"),
        *("--offset", "auto", "--data-weights", "w.npy", *QUICK, "--out", "run"),
    )
    assert done.status == 0, done.err
    assert "offset will be estimated" in done.err and "offset " in done.out and "±" in done.out
    scores = json.loads(Path("run/scores.json").read_text("utf-8"))
    assert scores["image_range"] == [0, 255] and scores["offset_error"] > 0
    assert scores["gain"] == 1 and scores["gain_error"] == 0
    operator = Measurements.load("run/measurements.safetensors").operator()
    assert operator.names() == ("weigh", "identity")


def test_the_gain_of_an_operator_stays_its_own(call, place: Path) -> None:
    shape = (3, SIDE, SIDE)
    np.save("y.npy", Saturate(shape, gain=1.5)(load_sample("cat", size=SIDE))[0].numpy())
    rest = ("--size", SIDE, "--out")
    short = ("--operator", "saturate", "--gain", 1.5)
    assert call("import-measurements", "y.npy", *short, *rest, "short.st").status == 0
    assert Measurements.load("short.st").operator().spec()["gain"] == 1.5
    assert Measurements.load("short.st").units.usual
    both = ("--operator", "saturate:gain=1.5", "--gain", 2, "--offset", 0.5)
    assert call("import-measurements", "y.npy", *both, *rest, "both.st").status == 0
    taken = Measurements.load("both.st")
    assert taken.operator().spec()["gain"] == 1.5 and taken.units.gain == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--image-range", "0 255 7"), ("--image-range", "0 255")),
        (("--image-range", "9 1"), ("--image-range", "9 1")),
        (("--gain", "some"), ("--gain", "auto")),
        (("--gain", "0"), ("--gain", "0")),
        (("--offset", "inf"), ("--offset", "inf")),
        (("--data-weights", "none.npy"), ("none.npy",)),
        (("--noise-covariance", "y.npy"), ("covariance", "square")),
        (("--gain", "auto", "--method", "tv"), ("tv", "gain", "sphinx-adapted")),
        (("--image-range", "0 1", "--operator", "image-range"), ("twice",)),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    call, place: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    np.save("y.npy", np.zeros((3, SIDE, SIDE)))
    done = call("solve", "--measured", "y.npy", "--operator", "identity", *options, "--out", "run")
    assert done.status == 2 and len(done.err.strip().splitlines()) == 1
    assert all(word in done.err for word in words)
    assert not Path("run").exists()


def test_units_are_not_given_twice(call, place: Path) -> None:
    np.save("y.npy", levels())
    identity = ("--operator", "identity", "--size", SIDE)
    taken = ("import-measurements", "y.npy", *identity, "--image-range", "0 255", "--out", "y.st")
    assert call(*taken).status == 0
    for given, word in (
        (("--measurements", "y.st", "--image-range", "0 255"), "already settles"),
        (("--sample", "cat", "--operator", "identity", "--offset", "auto"), "simulated"),
    ):
        done = call("solve", *given, *QUICK, "--out", "run")
        assert done.status == 2 and word in done.err and not Path("run").exists()
