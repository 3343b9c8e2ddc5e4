"""Files that ask for calls, for too much, or are broken: refused in one line, nothing is called."""

import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import called
import pytest
import torch
from foreign_files import write_each, write_nvidia
from foreign_networks import BUILDERS
from refused_files import CASES, NAMES, Case
from refused_writers import PLAN

from invprob.cli.app import run
from invprob.errors import GeneratorFileError, InvprobError
from invprob.priors import Generator, load_generator
from invprob.priors.checkpoints.limits import USUAL, Limits
from invprob.priors.checkpoints.pickles import Record, check_tree
from invprob.priors.checkpoints.reading import read_checkpoint
from invprob.priors.generator_files import NotFinite, build_generator

CALLING = (
    "a call, protocol 0",
    "a call, protocol 2",
    "a call, protocol 4",
    "an object",
    "INST with text",
    "OBJ",
    "inside an allowed dictionary",
)
FORMATS = (
    "native",
    "rosinality",
    "rosinality stream",
    "psp",
    "genforce",
    "nvidia 4",
    "nvidia-tf 4",
)


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """What the pickles' functions have noted."""
    called.calls.clear()
    yield called.calls
    called.calls.clear()


def build(path: Path, limits: Limits = USUAL) -> Generator:
    raw = read_checkpoint(path, limits=limits)
    bad = NotFinite()
    return build_generator(raw, path, source=str(path), on_tensor=bad, limits=limits)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_it_is_refused_in_one_line_and_nothing_is_called(
    tmp_path: Path, calls: list[str], case: Case
) -> None:
    path = tmp_path / "file.pkl"
    case.write(path)
    calls.clear()  # writing may make an object
    with pytest.raises(GeneratorFileError) as caught:
        build(path, case.limits)
    said = str(caught.value)
    assert case.words in said
    assert said.startswith((str(path), repr(str(path)))) and "\n" not in said and len(said) < 500
    assert calls == []


@pytest.mark.parametrize("name", CALLING)
def test_a_call_would_be_seen(tmp_path: Path, calls: list[str], name: str) -> None:
    """Python's own unpickler calls what these files ask for."""
    path = tmp_path / "file.pkl"
    NAMES[name].write(path)
    calls.clear()
    pickle.loads(path.read_bytes())
    assert len(calls) == 1


def test_the_command_line_refuses_all_of_them(
    tmp_path: Path, calls: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for index, (name, case) in enumerate(CASES.items()):
        path = tmp_path / f"{index}.pkl"
        case.write(path)
        calls.clear()
        assert run(["inspect", str(path)]) == 2, name
        said = capfd.readouterr().err
        assert said.startswith("invprob: ") and said.count("\n") == 1, name
        assert calls == []


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.limits != USUAL])
def test_a_limit_is_what_refuses(tmp_path: Path, name: str) -> None:
    """With the usual limits, the same file is not refused for its size."""
    case, path = CASES[name], tmp_path / "file.pkl"
    case.write(path)
    with pytest.raises(GeneratorFileError) as caught:
        build(path)
    assert case.words not in str(caught.value)


def test_a_value_within_itself_is_refused() -> None:
    """Code that follows such a value would not end."""
    held: list[Any] = [{"a": 1}]
    held.append({"b": (held,)})
    network = Record("network", ({"state": {}},))
    network.arguments[0]["state"]["a"] = network
    for value in (held, network):
        with pytest.raises(GeneratorFileError, match="contains itself"):
            check_tree(value, 9)


def test_depth_is_counted_along_the_longest_way() -> None:
    shared: Any = [[[]]]
    value = {"a": shared, "b": [shared], "c": [[shared]]}
    check_tree(value, 6)
    with pytest.raises(GeneratorFileError, match="more than 5 deep"):
        check_tree(value, 5)


def test_source_text_in_a_pickle_is_never_run(tmp_path: Path, calls: list[str]) -> None:
    path, foreign = tmp_path / "n.pkl", BUILDERS["nvidia"](PLAN)
    source = "import called\ncalled.seen('source text')\n"
    write_nvidia(path, foreign.tensors, foreign.attributes, source=source)
    assert load_generator(path).resolution == 8
    assert calls == []


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_each(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("name", FORMATS)
def test_cut_files_are_refused(files: dict[str, Path], tmp_path: Path, name: str) -> None:
    content, path = files[name].read_bytes(), tmp_path / "cut"
    for part in range(16):
        path.write_bytes(content[: len(content) * part // 16])
        with pytest.raises(GeneratorFileError):
            build(path)
    path.write_bytes(content[:-1])
    with pytest.raises(GeneratorFileError):
        build(path)


@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bytes_are_refused_or_change_values_alone(
    files: dict[str, Path], tmp_path: Path, name: str
) -> None:
    content, path = files[name].read_bytes(), tmp_path / "flipped"
    whole = build(files[name])
    refused = 0
    for seed in range(200):
        draws, flipped = random.Random(seed), bytearray(content)
        flipped[draws.randrange(len(content))] ^= draws.randrange(1, 256)
        path.write_bytes(flipped)
        try:
            found = build(path)
        except InvprobError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert found.config == whole.config
    assert refused > 5


def test_not_a_number_is_told_by_inspect_and_refused_by_solve(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    foreign = BUILDERS["nvidia"](PLAN)
    for value in (torch.nan, torch.inf):
        foreign.tensors["synthesis.b8.conv0.bias"][1] = value
        write_nvidia(tmp_path / "n.pkl", foreign.tensors, foreign.attributes)
        with pytest.warns(UserWarning, match="NaN or infinite values in layers.1.bias"):
            assert run(["inspect", "n.pkl"]) == 0
        assert "StyleGAN2 of NVIDIA's PyTorch code" in capfd.readouterr().out
        assert run(["solve", "--operator", "identity", "--steps", "1", "--prior", "n.pkl"]) == 2
        said = capfd.readouterr().err
        assert "NaN or infinite" in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["n.pkl"]
