"""What a run says of the choices that were made for the user, from end to end."""

import filecmp
import json
from pathlib import Path

import pytest

from invprob.run.config import RunConfig

RUN = ("solve", "--steps", 6, "--perceptual", "none", "--threads", 1)
SPHINX = ("--method", "sphinx")
CASES = [
    (
        ("--operator", "circulant", "--ratio", 0.05),
        {
            "weights": "free",
            "weight_rate": 0.003,
            "variation": 0.001,
            "finish": "pixels",
            "reference": 0.42,
            "fidelity": 0.0,
            "coarse": 8,
        },
    ),
    (
        ("--operator", "circulant", "--ratio", 0.05, *SPHINX),
        {"optimiser": "adam", "content": "constant", "noise_maps": "stored", "coarse": 8},
    ),
    (
        ("--operator", "circulant", "--ratio", 0.3, *SPHINX),
        {"optimiser": "l-bfgs", "content": "head", "noise_maps": "free", "coarse": None},
    ),
    (
        ("--operator", "circulant", "--ratio", 0.05, "--stop", "plateau", *SPHINX),
        {"optimiser": "adam", "content": "constant", "noise_maps": "stored", "coarse": None},
    ),
    (("--operator", "identity", "--method", "w-plus-s-b"), {"noise_rate": 10.0, "coarse": None}),
    (
        ("--operator", "identity", "--noise", "gaussian", "--sigma", 0.3, "--method", "tv"),
        {"fidelity": 0.405, "coarse": None},
    ),
]


@pytest.mark.parametrize(("words", "chosen"), CASES, ids=lambda value: str(value)[:40])
def test_a_run_holds_what_was_chosen_and_runs_again_from_it(
    call, place: Path, words: tuple[object, ...], chosen: dict[str, object]
) -> None:
    """The second run is asked for all that was chosen for the first, and ends in the same bits."""
    assert call(*RUN, *words, "--out", "first").status == 0
    config = RunConfig.load(Path("first/config.toml"))
    found = {**config.method.settings, "coarse": config.coarse}
    assert {name: found[name] for name in chosen} == pytest.approx(chosen)
    assert "auto" not in config.method.settings.values()
    recorded = json.loads(Path("first/choices.json").read_text())
    assert recorded.keys() == {"perceptual", *chosen}
    assert all(recorded[name]["value"] == found[name] for name in chosen)
    assert all(one["reason"] not in ("", "asked for") for one in recorded.values())
    assert call("solve", "--config", "first/config.toml", "--out", "again").status == 0
    for name in ("solution.safetensors", "image.png", "trace.jsonl", "config.toml"):
        assert filecmp.cmp(f"first/{name}", f"again/{name}", shallow=False), name
    again = json.loads(Path("again/choices.json").read_text())
    asked = {name for name, one in again.items() if one["reason"] == "asked for"}
    assert asked == {name for name, value in chosen.items() if value is not None}


def test_a_run_says_why_it_took_l_bfgs(call, place: Path) -> None:
    words = ("--operator", "circulant", "--ratio", 0.3, *SPHINX)
    reason = (
        "at least 20 % of the image was measured, and neither the operator nor an option calls "
        "for Adam (30 %)"
    )
    done = call(*RUN, *words)
    assert f"optimiser = l-bfgs, because {reason}" in done.err.splitlines()
    recorded = json.loads((done.last / "choices.json").read_text())
    assert recorded["optimiser"] == {"value": "l-bfgs", "reason": reason}
    quiet = call(*RUN, *words, "--quiet")
    assert "because" not in quiet.err + quiet.out
    as_json = call(*RUN, *words, "--json")
    assert as_json.err == "" and json.loads(as_json.out)["choices"] == recorded
    given = call(*RUN, *words, "--optimiser", "adam")
    assert "optimiser" not in given.err
    recorded = json.loads((given.last / "choices.json").read_text())
    assert recorded["optimiser"] == {"value": "adam", "reason": "asked for"}


def test_a_run_that_is_resumed_keeps_its_reasons(call, place: Path) -> None:
    """Also where no checkpoint was reached and all else is written anew."""
    assert call(*RUN, "--operator", "circulant", "--ratio", 0.3, "--out", "run").status == 0
    recorded = Path("run/choices.json").read_text()
    for name in ("scores.json", "solution.safetensors", "environment.json"):
        Path("run", name).unlink()
    done = call("resume", "run", "--json")
    assert Path("run/choices.json").read_text() == recorded
    assert json.loads(done.out)["choices"] == json.loads(recorded)


def test_numbers_too_may_be_left_to_the_program(call, place: Path, refuse) -> None:
    words = ("--operator", "identity", "--method", "w-plus-s-b")
    left = call(*RUN, *words, "--noise-rate", "auto")
    assert RunConfig.load(left.last / "config.toml").method.settings["noise_rate"] == 10.0
    assert "noise_rate = 10, because the measurement is not noisy" in left.err
    given = call(*RUN, *words, "--noise-rate", 2)
    assert RunConfig.load(given.last / "config.toml").method.settings["noise_rate"] == 2.0
    assert "--noise-rate must be auto or a number" in refuse(*RUN, *words, "--noise-rate", "fast")
