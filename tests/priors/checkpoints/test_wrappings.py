"""One network in whatever a program or a user wraps it in is the same network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_files import write_nvidia, write_nvidia_tf
from foreign_layers import Plan
from foreign_networks import BUILDERS
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from invprob.cli.app import run
from invprob.errors import GeneratorFileError
from invprob.priors import Generator, GeneratorConfig, load_generator, save_generator
from invprob.priors.checkpoints.limits import Limits
from invprob.priors.checkpoints.reading import read_checkpoint
from invprob.priors.generator_files import fingerprint

PLAN = Plan(channels=(3, 2), style_width=4, z_width=4, hidden_width=4)
NOTE = "noise maps: none in the file; drawn from the fixed seed 0"
State = dict[str, Tensor]


def state_of(name: str, seed: int = 0) -> State:
    """A network's tensors, the mean of w among them."""
    if name == "bare":
        generator = own()
        return {key: value + seed for key, value in generator.state_dict().items()}
    return {key: value.float() for key, value in BUILDERS[name](PLAN, seed).tensors.items()}


def own(**config: Any) -> Generator:
    """A random generator of this package, of the plan's sizes."""
    generator = Generator(GeneratorConfig(8, (3, 2), style_width=4, mapping_layers=2, **config))
    rng = torch.Generator().manual_seed(5)
    for value in generator.state_dict().values():
        value.copy_(torch.randn(value.shape, generator=rng))
    return generator


def saved(value: Any, path: Path) -> Path:
    torch.save(value, path)
    return path


def assert_same(path: Path, expected: State) -> None:
    found = read_checkpoint(path).tensors
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def prefixed(prefix: str) -> Callable[[State], Any]:
    return lambda state: {prefix + name: value for name, value in state.items()}


def within(*keys: str, prefix: str = "", **beside: Any) -> Callable[[State], Any]:
    """Dictionaries within dictionaries, the last of which holds the state."""

    def wrap(state: State) -> Any:
        held: Any = prefixed(prefix)(state)
        for key in reversed(keys):
            held = {key: held}
        return {**held, **beside}

    return wrap


WRAPPINGS: dict[str, Callable[[State], Any]] = {
    "bare": prefixed(""),
    "DataParallel": prefixed("module."),
    "DataParallel twice": prefixed("module.module."),
    "torch.compile": prefixed("_orig_mod."),
    "AveragedModel": lambda state: {
        "n_averaged": torch.tensor(7),
        **prefixed("module.")(state),
    },
    "Lightning": within("state_dict", prefix="generator.", epoch=1, callbacks={}),
    "Lightning, averaged": within("state_dict", prefix="g_ema."),
    "BasicSR": within("params_ema"),
    "in DataParallel within an encoder": within("state_dict", prefix="module.decoder."),
    "two levels": within("models", "generator_smooth", iteration=3),
    "three levels": within("a", "b", "c", prefix="d.e."),
    "one network": within("g", d={"convs.0.0.weight": torch.zeros(3)}),
    "a number beside": lambda state: {**state, "epoch": 3},
}


@pytest.mark.filterwarnings("ignore:.*a bare state dict does not say")
@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("name", [*BUILDERS, "bare"])
def test_a_network_is_found_in_any_wrapping(tmp_path: Path, name: str, wrapping: str) -> None:
    state = state_of(name)
    path = saved(WRAPPINGS[wrapping](state), tmp_path / "x.pt")
    assert_same(path, state)
    alone = load_generator(saved(state, tmp_path / "alone.pt"))
    assert fingerprint(load_generator(path)) == fingerprint(alone)
    assert alone.notes == ()


@pytest.mark.filterwarnings("ignore:.*a bare state dict does not say")
@pytest.mark.parametrize("prefix", ["", "module.", "generator.", "state_dict.g_ema."])
@pytest.mark.parametrize("name", [*BUILDERS, "bare"])
def test_safetensors_of_other_programs(tmp_path: Path, name: str, prefix: str) -> None:
    state, path = state_of(name), tmp_path / "x.safetensors"
    save_file({prefix + key: value for key, value in state.items()}, path)
    assert_same(path, state)
    alone = load_generator(saved(state, tmp_path / "alone.pt"))
    assert fingerprint(load_generator(path)) == fingerprint(alone)


def test_our_own_tensors_without_the_header(tmp_path: Path) -> None:
    """What `torch.save(generator.state_dict())` leaves is the generator, with a warning."""
    for generator in (own(), own(labels=3, label_width=5, z_width=6, hidden_width=7)):
        path = saved(generator.state_dict(), tmp_path / "g.pt")
        with pytest.warns(UserWarning, match=r"clamped, so they are not; a file of `save_gen"):
            loaded = load_generator(path)
        assert fingerprint(loaded) == fingerprint(generator)


def test_our_own_file_with_a_prefix(tmp_path: Path) -> None:
    generator, path = own(), tmp_path / "g.safetensors"
    save_generator(generator, path)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    state = {f"prior.generator.{key}": value for key, value in generator.state_dict().items()}
    save_file(state, path, header)
    assert fingerprint(load_generator(path)) == fingerprint(generator)
    save_file({**state, "more": torch.zeros(1)}, path, header)
    with pytest.raises(GeneratorFileError, match="mean_w is missing"):
        load_generator(path)


@pytest.mark.parametrize(
    ("plain", "averaged"),
    [
        ("g", "g_ema"),
        ("G", "G_ema"),
        ("G", "Gs"),
        ("generator", "generator_smooth"),
        ("params", "params_ema"),
        ("state_dict", "ema_state_dict"),
        ("model", "modelEMA"),
        ("g", "g_running"),
        ("net", "swa"),
        ("ema_run.generator", "ema_run.generator_smooth"),
    ],
)
@pytest.mark.parametrize("name", ["rosinality", "nvidia", "genforce"])
def test_the_averaged_network_comes_first(
    tmp_path: Path, name: str, plain: str, averaged: str
) -> None:
    first, second = state_of(name), state_of(name, 1)
    for order in ((plain, averaged), (averaged, plain)):
        states = {plain: first, averaged: second}
        assert_same(saved({key: states[key] for key in order}, tmp_path / "x.pt"), second)
        flat = {f"{key}.{n}": value for key in order for n, value in states[key].items()}
        assert_same(saved({"state_dict": flat}, tmp_path / "y.pt"), second)


def test_a_network_within_a_network_is_apart(tmp_path: Path) -> None:
    first, second = state_of("rosinality"), state_of("rosinality", 1)
    path = saved({**first, **prefixed("ema.")(second)}, tmp_path / "x.pt")
    assert_same(path, second)
    assert read_checkpoint(path).notes[:2] == ("style", "input")
    saved({"old": first, "old.inner": second}, path)
    with pytest.raises(GeneratorFileError, match=r"'old' and 'old\.inner'"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("one", "two"), "'one' and 'two', and no name says which is the averaged one: save"),
        (("g_ema", "params_ema"), "'g_ema' and 'params_ema', all of them averaged: save the one"),
    ],
)
def test_two_networks_and_no_sign_which(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], names: tuple[str, str], words: str
) -> None:
    states = {name: state_of("rosinality", seed) for seed, name in enumerate(names)}
    path = saved(states, tmp_path / "x.pt")
    assert run(["inspect", str(path)]) == 2
    said = capfd.readouterr().err
    assert words in said and said.count("\n") == 1


def test_networks_of_nvidia_in_dictionaries(tmp_path: Path) -> None:
    foreign, path = BUILDERS["nvidia"](PLAN), tmp_path / "x.pt"
    state = {name: value.float() for name, value in foreign.tensors.items()}
    for arranged in (
        lambda network: {"g_ema": network, "step": 3},
        lambda network: {"models": {"generator_ema": network, "generator": network}},
        lambda network: {"G": network, "D": None},
    ):
        write_nvidia(path, state, foreign.attributes, arranged=arranged)
        assert_same(path, state)
        assert read_checkpoint(path).format == "nvidia"
    write_nvidia(path, state, foreign.attributes, arranged=lambda n: {"one": n, "two": n})
    with pytest.raises(GeneratorFileError, match="'one' and 'two'"):
        read_checkpoint(path)


def test_networks_of_tensorflow_in_other_arrangements(tmp_path: Path) -> None:
    state, path = state_of("nvidia-tf"), tmp_path / "x.pkl"
    for arranged in (
        lambda g, d, gs: gs,
        lambda g, d, gs: {"G": g, "D": d, "Gs": gs},
        lambda g, d, gs: {"generator": g, "discriminator": d},
    ):
        write_nvidia_tf(path, state, {}, arranged=arranged)
        assert_same(path, state)
        assert read_checkpoint(path).format == "nvidia-tf"


@pytest.mark.parametrize("level", ["", "state_dict.", "state_dict.module.", "state_dict.module.g."])
def test_the_mean_of_w_is_found_beside_and_above(tmp_path: Path, level: str) -> None:
    state = state_of("rosinality")
    latent = state.pop("latent_avg")
    flat = {f"state_dict.module.g.{name}": value for name, value in state.items()}
    path = tmp_path / "x.safetensors"
    save_file({**flat, f"{level}latent_avg": latent}, path)
    raw = read_checkpoint(path)
    assert torch.equal(raw.tensors["latent_avg"], latent) and raw.notes == ()
    saved({"g_ema": state, "latent_avg": [0.0]}, tmp_path / "x.pt")
    with pytest.raises(GeneratorFileError, match="latent_avg is not a tensor"):
        read_checkpoint(tmp_path / "x.pt")


def test_what_is_beside_is_told_the_nearest_first(tmp_path: Path) -> None:
    state = prefixed("generator.")(state_of("rosinality"))
    held = {"discriminator.convs.0.weight": torch.zeros(2), **state, "loss": 0.5}
    path = saved({"epoch": 3, "state_dict": held, "optimizer_states": [], "none": {}},
                 tmp_path / "x.pt")  # fmt: skip
    told = ("discriminator", "loss", "epoch", "optimizer_states", "none")
    assert read_checkpoint(path).notes == told


def test_only_so_many_entries_and_one_of_each_name(tmp_path: Path) -> None:
    path = saved({"a": {"b": 1}, "a.b": 2, "c": 3}, tmp_path / "x.pt")
    with pytest.raises(GeneratorFileError, match=r"two things are named 'a\.b'"):
        read_checkpoint(path)
    saved({"a": {"b": 1}, "c": 3}, path)
    with pytest.raises(GeneratorFileError, match="more things than any generator's file"):
        read_checkpoint(path, limits=Limits(entries=1))
    saved({"a" * 201: {"b": 1}}, path)
    with pytest.raises(GeneratorFileError, match="something is named 'aaa"):
        read_checkpoint(path)


def without_maps(state: State) -> State:
    """The network without its noise maps, in each format's names."""
    endings = (".noise_const", ".noise")
    return {
        key: value
        for key, value in state.items()
        if not (key.startswith(("noises.", "synthesis/noise")) or key.endswith(endings))
    }


@pytest.mark.filterwarnings("ignore:.*a bare state dict does not say")
@pytest.mark.parametrize("name", [*BUILDERS, "bare"])
def test_noise_maps_that_a_file_lacks_are_drawn(tmp_path: Path, name: str) -> None:
    state = state_of(name)
    less = without_maps(state)
    assert len(less) == len(state) - 3
    whole = load_generator(saved(state, tmp_path / "whole.pt"))
    path = saved(less, tmp_path / "less.pt")
    first, again = load_generator(path), load_generator(path)
    assert first.notes == (NOTE,) and whole.notes == ()
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
        if not key.endswith(".noise"):
            assert torch.equal(value, whole.state_dict()[key])
    maps = torch.cat([value.reshape(-1) for value in first.noise_maps()])
    assert abs(float(maps.mean())) < 5 / len(maps) ** 0.5
    assert abs(float(maps.var()) - 1) < 5 * (2 / len(maps)) ** 0.5
    styles = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(1))
    noise = whole.noise_maps()
    assert torch.equal(first.synthesis(styles, None, noise), whole.synthesis(styles))
    assert not torch.equal(first.synthesis(styles), whole.synthesis(styles))


def test_some_noise_maps_are_not_enough(tmp_path: Path) -> None:
    state = state_of("rosinality")
    del state["noises.noise_1"]
    with pytest.raises(GeneratorFileError, match=r"noises\.noise_1 is missing"):
        load_generator(saved(state, tmp_path / "x.pt"))


def test_our_own_file_without_noise_maps(tmp_path: Path) -> None:
    generator, path = own(), tmp_path / "g.safetensors"
    save_generator(generator, path)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    save_file(without_maps(generator.state_dict()), path, header)
    loaded = load_generator(path)
    assert loaded.notes == (NOTE,)
    assert torch.equal(loaded.constant, generator.constant)


def test_drawn_noise_maps_are_told_everywhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    less = without_maps(state_of("rosinality"))
    saved({"g_ema": less}, tmp_path / "early.pt")
    assert run(["inspect", "early.pt", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["notes"] == [NOTE]
    assert run(["convert", "early.pt", "--out", "g.safetensors", "--draws", "0"]) == 0
    assert NOTE in capfd.readouterr().out.splitlines()
    assert read_checkpoint("g.safetensors").attributes["origin"]["notes"] == [NOTE]
    loaded = load_generator("g.safetensors")
    assert loaded.notes == () and fingerprint(loaded) == fingerprint(load_generator("early.pt"))
    words = ["--operator", "identity", "--steps", "1", "--out", "run", "--prior", "early.pt"]
    assert run(["solve", *words]) == 0
    assert NOTE in "".join(capfd.readouterr())
    told = json.loads((tmp_path / "run/environment.json").read_text("utf-8"))
    assert told["generator"]["notes"] == [NOTE]


def test_a_cut_generator_has_the_first_of_the_drawn_maps(tmp_path: Path) -> None:
    plan = Plan(channels=(3, 2, 2), style_width=4, z_width=4, hidden_width=4)
    state = {key: value.float() for key, value in BUILDERS["rosinality"](plan).tensors.items()}
    path = saved({"g_ema": without_maps(state)}, tmp_path / "early.pt")
    whole, cut = load_generator(path), load_generator(path, resolution=8)
    assert cut.notes == (NOTE,) and len(cut.noise_maps()) == 3
    for ours, theirs in zip(cut.noise_maps(), whole.noise_maps(), strict=False):
        assert torch.equal(ours, theirs)
