"""Files of other programs become their tensors, bit for bit, and plain attributes."""

import hashlib
import json
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from foreign_files import NEVER_RUN, write_each, write_genforce, write_nvidia, write_nvidia_tf
from foreign_layers import Plan
from foreign_networks import BUILDERS
from refused_writers import large, zipped
from safetensors.torch import save_file
from torch import Tensor

from invprob.cli.app import run
from invprob.errors import GeneratorFileError
from invprob.priors import load_generator
from invprob.priors.checkpoints.limits import USUAL
from invprob.priors.checkpoints.reading import read_checkpoint
from invprob.priors.checkpoints.zips import members
from invprob.priors.describe import FORMATS

PLAN = Plan(channels=(3, 2), style_width=4, z_width=4, hidden_width=4)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value) and found[name].dtype == value.dtype, name
        assert found[name].is_contiguous()


def test_every_way_of_writing_is_recognised_and_loads(tmp_path: Path) -> None:
    files = write_each(tmp_path)
    for name, path in files.items():
        hidden = path.rename(tmp_path / "no-suffix")
        assert read_checkpoint(hidden).format == name.split()[0]
        assert load_generator(hidden).resolution == 8
    assert len(files) == 16


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nvidia_networks(tmp_path: Path, protocol: int) -> None:
    foreign = BUILDERS["nvidia"](PLAN)
    attributes = {**foreign.attributes, "": {"z_dim": 4, "img_channels": 3, "epoch": [1, 2]}}
    state = dict(foreign.tensors)
    # As a network in half precision is saved: strides of channels_last.
    name = "synthesis.b8.conv1.weight"
    state[name] = state[name].half().to(memory_format=torch.channels_last)
    path = write_nvidia(tmp_path / "n.pkl", state, attributes, protocol=protocol)
    raw = read_checkpoint(path)
    assert_same(dict(raw.tensors), state)
    root = raw.attributes[""]
    assert (root["z_dim"], root["epoch"], root["class_name"]) == (4, [1, 2], "Generator")
    assert root["source_sha256"] == hashlib.sha256(NEVER_RUN.encode()).hexdigest()
    for place, held in foreign.attributes.items():
        assert raw.attributes[place].items() >= held.items()
    assert raw.attributes["synthesis.b8.conv0"]["class_name"] == "SynthesisLayer"
    assert raw.notes == ("G", "D", "augment_pipe", "training_set_kwargs")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensorflow_networks(tmp_path: Path, protocol: int) -> None:
    state = BUILDERS["nvidia-tf"](PLAN).tensors
    path = write_nvidia_tf(
        tmp_path / "t.pkl", state, {"resolution": 8, "nonlinearity": "lrelu"}, protocol=protocol
    )
    raw = read_checkpoint(path)
    assert_same(dict(raw.tensors), state)
    assert raw.attributes[""]["nonlinearity"] == "lrelu"
    assert raw.attributes["synthesis"]["name"] == "G_synthesis"


def test_arrays_in_the_order_of_fortran(tmp_path: Path) -> None:
    state = dict(BUILDERS["nvidia-tf"](PLAN).tensors)
    state["mapping/Dense0/weight"] = torch.arange(20.0).reshape(4, 5).t()
    path = write_nvidia_tf(tmp_path / "t.pkl", state, {})
    assert_same(dict(read_checkpoint(path).tensors), state)


def test_torch_files_hold_views_and_other_types(tmp_path: Path) -> None:
    base = torch.arange(60, dtype=torch.float32)
    state = {
        "view": base[10:40].reshape(5, 6).t(),
        "tail": base[55:],
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "double": torch.randn(2, 0).double(),
        "count": torch.tensor(7),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "synthesis.early_layer.const": torch.randn(1, 2, 4, 4),
    }
    assert_same(dict(read_checkpoint(write_genforce(tmp_path / "g", state)).tensors), state)


def test_the_directory_of_a_large_zip_file(tmp_path: Path) -> None:
    """Small here, but written as that of more than 4 GB; Python's own module reads it too."""
    path = tmp_path / "large.zip"
    large(zipped(b"first", ("archive/data/0", b"second")))(path)
    with ZipFile(path) as theirs, path.open("rb") as file:
        found = members(file, path.stat().st_size, USUAL)
        expected = {name: theirs.read(name) for name in theirs.namelist()}
        assert {name: span.read() for name, span in found.items()} == expected
        assert list(expected.values()) == [b"first", b"second"]


@pytest.mark.parametrize("name", ["rosinality", "genforce", "nvidia"])
def test_bare_state_dicts_are_known_by_their_names(tmp_path: Path, name: str) -> None:
    state = {key: value.clone() for key, value in BUILDERS[name](PLAN).tensors.items()}
    torch.save(state, tmp_path / "bare.pt")
    save_file(state, tmp_path / "bare.safetensors")
    for path in (tmp_path / "bare.pt", tmp_path / "bare.safetensors"):
        raw = read_checkpoint(path)
        assert raw.format == name
        assert_same(dict(raw.tensors), state)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    files = write_each(tmp_path)
    assert read_checkpoint(files["psp"]).notes == ("encoder", "opts")
    assert read_checkpoint(files["genforce"]).notes == ("generator",)
    told = read_checkpoint(files["rosinality training"]).notes
    assert set(told) == {"g", "d", "g_optim", "args", "ada_aug_p"}


def test_inspect_tells_every_format(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, path in write_each(tmp_path).items():
        assert run(["inspect", str(path), "--json"]) == 0
        told = json.loads(capfd.readouterr().out)
        assert told["format"] == FORMATS[name.split()[0]]
        assert (told["resolution"], told["style_width"], told["style_rows"]) == (8, 4, 4)
        assert told["parameters"] == 355 and told["precision"] == ["float32"]
        assert told["bytes"] == path.stat().st_size
        assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        mean = "measured" if name == "rosinality training" else "in the file"
        assert told["mean of W"].startswith(mean)


def module(path: str, **attributes: object) -> dict[str, dict[str, object]]:
    return {path: attributes}


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (module("synthesis.b4", class_name="SynthesisInput"), "StyleGAN3"),
        (module("", class_name="TriPlaneGenerator"), "EG3D"),
        (module("", class_name="SuperresGenerator"), "StyleGAN-XL"),
        (module("synthesis.b8", class_name="Transformer"), "'Transformer' at 'synthesis.b8'"),
        (module("synthesis.b8", architecture="resnet"), "'resnet'; only 'skip'"),
        (module("synthesis.b8", architecture="orig"), "'orig'; only 'skip'"),
        (module("", class_name="MappingNetwork"), "not a whole Generator"),
    ],
)
def test_other_networks_are_refused_by_name(
    tmp_path: Path, attributes: dict[str, dict[str, object]], words: str
) -> None:
    path = write_nvidia(tmp_path / "other.pkl", BUILDERS["nvidia"](PLAN).tensors, attributes)
    with pytest.raises(GeneratorFileError, match=words):
        read_checkpoint(path)


def test_stylegan1_is_refused_by_its_version(tmp_path: Path) -> None:
    state = BUILDERS["nvidia-tf"](PLAN).tensors
    path = write_nvidia_tf(tmp_path / "old.pkl", state, {}, version=3)
    with pytest.raises(GeneratorFileError, match="StyleGAN1"):
        read_checkpoint(path)
