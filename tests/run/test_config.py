"""Settings of a run, and their file."""

from typing import Any

import pytest

from invprob.errors import ArgumentError
from invprob.run.config import Named, RunConfig

FULL = RunConfig(
    images=("/a.png", "/b c.png"),
    operators=(Named("circulant", {"ratio": 0.01, "spectrum": "unit"}), Named("rotate")),
    noise=Named("gaussian", {"sigma": 0.1}),
    grey=True,
    fit="pad",
    prior="/g.safetensors",
    method=Named("sphinx", {"readout": "last"}),
    steps=12,
    restarts=2,
    stop=Named("held-out", {"patience": 5}),
    seed=3,
    operator_seed=4,
    perceptual="alex",
    lpips_weights="/alex.pth",
    device="cpu",
    threads=2,
    plugins=("/p.py",),
)


@pytest.mark.parametrize(
    "config",
    [
        FULL,
        RunConfig(samples=("face",), operators=(Named("identity"),)),
        RunConfig(measurements="/y.safetensors"),
    ],
)
def test_what_is_written_is_read(config: RunConfig) -> None:
    assert RunConfig.from_toml(config.to_toml()) == config


def test_none_is_left_out() -> None:
    named = Named("sphinx", {"d": None, "readout": "last"})
    assert named.to_table() == {"name": "sphinx", "readout": "last"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stpes = 3", "Did you mean 'steps'"),
        ("steps = 0", "steps must be at least 1"),
        ("restarts = 0", "restarts must be at least 1"),
        ("seconds = 0", "seconds must be a number above 0, got 0"),
        ("seconds = inf", "seconds must be a number above 0, got inf"),
        ("stop = 'held-out'", "stop must be a table"),
        ("steps = true", "steps must be a whole number"),
        ("grey = 1", "grey must be true or false"),
        ("images = 'a.png'", "images must be a list"),
        ("images = [1]", r"images\[0\] must be a string"),
        ("noise = 'gaussian'", "noise must be a table"),
        ("fit = 'corp'", "Did you mean 'crop'"),
        ("seed = -1", "seed"),
        ("=", "not TOML"),
    ],
)
def test_mistakes_are_named(line: str, said: str) -> None:
    text = 'format = "invprob-run"\nversion = 1\n' + line + '\noperators = [{name = "identity"}]'
    with pytest.raises(ArgumentError, match=said):
        RunConfig.from_toml(text)


@pytest.mark.parametrize(
    "extra", [{"operators": (Named("identity"),)}, {"grey": True}, {"images": ("a.png",)}]
)
def test_measurements_settle_what_was_measured(extra: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="already settles"):
        RunConfig(measurements="y.safetensors", **extra)
