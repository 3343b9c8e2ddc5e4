"""Hostile and broken files end in one line, in bounded time and memory, and nothing runs."""

import json
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from foreign_files import write_each, write_nvidia
from foreign_networks import BUILDERS
from hostile_files import CASES
from hostile_writers import PLAN, Nested

from invprob.cli.app import run
from invprob.errors import GeneratorFileError, InvprobError
from invprob.priors import Generator, load_generator
from invprob.priors.checkpoints.reading import read_checkpoint
from invprob.priors.generator_files import NotFinite, build_generator

LIVE = (
    "system, protocol 2",
    "system, protocol 0",
    "eval",
    "INST",
    "OBJ",
    "names out of the memo",
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

# Every file is given to the command line in one process that may grow by 1 GiB over what it is
# before the first, and is killed by the alarm after 10 s with one file.
LIMITED = """
import json, resource, signal, sys
from invprob.cli.app import run
import invprob.priors.describe
size = 4096 * int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30), size + (1 << 30)))
codes = {}
for path in json.load(sys.stdin):
    signal.alarm(10)
    codes[path] = run(["inspect", path])
signal.alarm(0)
json.dump(codes, sys.stdout)
"""


def build(path: Path) -> Generator:
    return build_generator(read_checkpoint(path), path, source=str(path), on_tensor=NotFinite())


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_in_one_line_and_nothing_runs(tmp_path: Path, name: str) -> None:
    canary, path = tmp_path / "canary", tmp_path / "file.pkl"
    CASES[name].write(path, f"touch {canary}")
    with pytest.raises(GeneratorFileError) as caught:
        build(path)
    said = str(caught.value)
    assert CASES[name].words in said
    assert said.startswith((str(path), repr(str(path)))) and "\n" not in said and len(said) < 500
    assert not canary.exists()


@pytest.mark.parametrize("name", LIVE)
def test_the_canary_would_have_sung(tmp_path: Path, name: str) -> None:
    """Python's own unpickler does what these files ask for."""
    canary, path = tmp_path / "canary", tmp_path / "file.pkl"
    CASES[name].write(path, f"touch {canary}")
    pickle.loads(path.read_bytes())
    assert canary.exists()


def test_a_nested_storage_would_have_run_too(tmp_path: Path) -> None:
    """Not only by the outer pickle: torch's own reader of nested storages allows everything."""
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(Nested(f"touch {canary}")))
    assert canary.exists()


def test_the_command_line_refuses_all_within_bounds(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    paths = [tmp_path / f"{index}.pkl" for index in range(len(CASES))]
    for path, case in zip(paths, CASES.values(), strict=True):
        case.write(path, f"touch {canary}")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        input=json.dumps(list(map(str, paths))),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert json.loads(done.stdout) == {str(path): 2 for path in paths}
    lines = done.stderr.splitlines()
    assert len(lines) == len(paths) >= 40
    assert all(line.startswith("invprob: ") and "MemoryError" not in line for line in lines)
    assert not canary.exists()


def test_source_text_in_a_pickle_is_never_run(tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "n.pkl"
    foreign = BUILDERS["nvidia"](PLAN)
    source = f"import pathlib; pathlib.Path({str(canary)!r}).touch()"
    write_nvidia(path, foreign.tensors, foreign.attributes, source=source)
    assert load_generator(path).resolution == 8
    assert not canary.exists()


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
