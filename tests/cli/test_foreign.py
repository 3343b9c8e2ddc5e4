"""Other programs' files on the command line: solved with, converted, exported."""

import filecmp
import json
from pathlib import Path

import foreign_files
import foreign_networks
import pytest
import torch
from foreign_layers import Foreign, Plan
from networks import random_generator

from invprob.priors import load_generator
from invprob.priors.checkpoints.reading import read_checkpoint
from invprob.priors.generator_files import fingerprint, save_generator
from invprob.priors.stylegan.extras import (
    Extras,
    FactorDirection,
    extras_path,
    load_extras,
    save_extras,
)
from invprob.priors.stylegan.statistics import sample_statistics

PLAN = Plan(channels=(8, 6, 5, 4), style_width=8, depth=2)
CLASSES = Plan(channels=(8, 6, 5, 4), labels=3, label_width=4, clamp=256.0)
SOLVE = ("solve", "--operator", "circulant", "--ratio", "0.1", "--steps", "3", "--out", "run")


def single(foreign: Foreign) -> dict[str, torch.Tensor]:
    return {name: value.float() for name, value in foreign.tensors.items()}


def write(folder: Path, kind: str) -> Path:
    """A file of that kind, as its program would have left it."""
    if kind in ("rosinality", "psp"):
        state = single(foreign_networks.rosinality(PLAN))
        latent = state.pop("latent_avg")
        writer = foreign_files.write_psp if kind == "psp" else foreign_files.write_rosinality
        return writer(folder / f"{kind}.pt", state, latent_avg=latent)
    if kind == "genforce":
        return foreign_files.write_genforce(
            folder / "genforce.pth", single(foreign_networks.genforce(PLAN))
        )
    if kind == "nvidia-tf":
        state = single(foreign_networks.tensorflow(PLAN))
        return foreign_files.write_nvidia_tf(folder / "tf.pkl", state, {"resolution": 32})
    foreign = foreign_networks.nvidia(CLASSES if kind == "classes" else PLAN)
    return foreign_files.write_nvidia(folder / f"{kind}.pkl", single(foreign), foreign.attributes)


@pytest.mark.parametrize("kind", ["rosinality", "psp", "genforce", "nvidia", "nvidia-tf"])
def test_a_file_of_each_program_is_solved_with_and_converted(call, place: Path, kind: str) -> None:
    file = write(place.parent, kind)
    assert call(*SOLVE, "--prior", file).status == 0
    config = (place / "run/config.toml").read_text("utf-8")
    assert f'prior = "{file}"' in config and "resolution" not in config and "label" not in config
    done = call("convert", file, "--out", "ours.safetensors", "--draws", "400", "--json")
    about = json.loads(done.out)
    assert about["resolution"] == 32 and about["dropped"] == [] and about["format"] == "native"
    theirs, ours = load_generator(file), load_generator(about["file"])
    assert fingerprint(ours) == fingerprint(theirs)
    assert read_checkpoint(about["file"]).attributes["origin"]["source"] == str(file)
    statistics = load_extras(about["file"], ours).statistics
    w = theirs.mapping(torch.randn(20_000, 8, generator=torch.Generator().manual_seed(3)))
    assert statistics.count == 400
    assert bool(((statistics.mean_w - w.mean(0)).abs() < 5 * w.std(0) / 400**0.5).all())
    assert "400 draws" in call("inspect", "ours.safetensors").out
    assert "none beside the file" in call("inspect", file).out


def test_a_class_is_named_recorded_and_kept(call, refuse, place: Path) -> None:
    file = write(place.parent, "classes")
    assert "one of 3 classes: choose one, --label N" in refuse(*SOLVE, "--prior", file)
    assert "label must be from 0 to 2, not 3" in refuse(*SOLVE, "--prior", file, "--label", "3")
    assert "is not conditional" in refuse(*SOLVE, "--label", "0")
    assert "one of 3 classes" in refuse("sample", "--prior", file)
    assert call(*SOLVE, "--prior", file, "--label", "1").status == 0
    assert "label = 1\n" in (place / "run/config.toml").read_text("utf-8")
    assert json.loads((place / "run/environment.json").read_text())["generator"]["label"] == 1
    assert call("sample", "--prior", file, "--label", "1", "--count", "1").status == 0
    whole = call("convert", file, "--out", "all.safetensors", "--json")
    assert json.loads(whole.out)["statistics"] is None
    assert load_generator("all.safetensors").config.labels == 3
    told = call("convert", file, "--out", "one.safetensors", "--label", "1", "--draws", "100")
    assert "100 draws" in told.out
    one, expected = load_generator("one.safetensors"), load_generator(file, label=1)
    assert fingerprint(one) == fingerprint(expected) and one.config.labels == 0


def test_a_lower_resolution_is_recorded_and_kept(call, refuse, place: Path) -> None:
    assert "from 8 to 32" in refuse(*SOLVE, "--resolution", "64")
    assert "not 24" in refuse(*SOLVE, "--resolution", "24")
    assert call(*SOLVE, "--resolution", "16").status == 0
    assert "resolution = 16\n" in (place / "run/config.toml").read_text("utf-8")
    told = json.loads((place / "run/environment.json").read_text())["generator"]
    assert told["dropped"] == ["layers.5", "layers.6", "to_rgb.3"] and told["resolution"] == 16
    again = call("solve", "--config", "run/config.toml", "--out", "again")
    assert again.status == 0
    for name in ("scores.json", "solution.safetensors", "image.png"):
        Path("run", name).unlink()
    assert call("resume", "run").status == 0
    for name in ("solution.safetensors", "image.png", "trace.jsonl"):
        assert filecmp.cmp(Path("run", name), Path("again", name), shallow=False)
    assert call("sample", "--prior", "../tiny.safetensors", "--resolution", "8").status == 0
    small = call(*SOLVE[:-1], "tiny", "--resolution", "8")  # no room for the windows of SSIM
    assert small.status == 0
    assert json.loads(Path("tiny/scores.json").read_text())["ssim"] is None


def test_directions_and_a_cut_are_converted_along(call, place: Path) -> None:
    generator = random_generator()
    path = place.parent / "edited.safetensors"
    save_generator(generator, path)
    rng = torch.Generator().manual_seed(0)
    smile = FactorDirection("smile", torch.arange(16.0), (1, 2, 7), 1.0, 0.0)
    extras = Extras(sample_statistics(generator, rng, count=100), {"smile": smile})
    save_extras(extras, generator, extras_path(path))
    done = call(
        "convert",
        path,
        "--out",
        "cut.safetensors",
        "--resolution",
        "16",
        "--draws",
        "50",
        "--dtype",
        "half",
    )
    assert done.status == 0 and "without 3 upper layers" in done.out
    cut = load_generator("cut.safetensors")
    found = load_extras("cut.safetensors", cut)
    assert found.directions["smile"].rows == (1, 2) and found.statistics.count == 50
    assert cut.resolution == 16 and cut.dropped == ()
    assert Path("cut.safetensors").stat().st_size < 0.75 * path.stat().st_size


def test_exported_to_rosinality_and_back(call, refuse, place: Path) -> None:
    file = write(place.parent, "rosinality")
    assert call("convert", file, "--out", "ours.safetensors", "--draws", "0").status == 0
    assert not extras_path(Path("ours.safetensors")).exists()
    done = call("convert", "ours.safetensors", "--to", "rosinality", "--out", "back.pt")
    assert done.status == 0
    assert "Generator(size=32, style_dim=8, n_mlp=2), after self.channels" in done.out
    assert "is set to {4: 8, 8: 6, 16: 5, 32: 4}" in done.out
    before, after = (torch.load(p, weights_only=True) for p in (file, "back.pt"))
    assert list(map(type, after)) == [str, str]
    assert set(after["g_ema"]) == set(before["g_ema"])
    for name, value in before["g_ema"].items():
        torch.testing.assert_close(after["g_ema"][name], value, rtol=3e-7, atol=0)
    assert torch.equal(after["latent_avg"], before["latent_avg"])
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    first, again = load_generator(file)(z), load_generator("back.pt")(z)
    torch.testing.assert_close(again, first, rtol=1e-5, atol=1e-5)
    classes = write(place.parent, "classes")
    message = refuse("convert", classes, "--to", "rosinality", "--out", "x.pt")
    assert "cannot hold a clamp (256.0), labels (3 classes" in message


def test_what_cannot_be_written_is_refused_before_the_work(refuse, place: Path) -> None:
    Path("there.safetensors").write_text("precious")
    tiny = "../tiny.safetensors"
    assert "exists; choose another --out" in refuse("convert", tiny, "--out", "there.safetensors")
    Path("fine-extras.npz").write_text("precious")
    assert "'fine-extras.npz' exists" in refuse("convert", tiny, "--out", "fine.safetensors")
    assert "must end in .safetensors" in refuse("convert", tiny, "--out", "x.pt")
    assert "must end in .pt" in refuse("convert", tiny, "--out", "x.pth", "--to", "rosinality")
    assert "make the folder" in refuse("convert", tiny, "--out", "no/x.safetensors")
    assert "--to must be" in refuse("convert", tiny, "--out", "x.pt", "--to", "keras")
    assert "--dtype must be" in refuse("convert", tiny, "--out", "x.safetensors", "--dtype", "int")
    assert "--draws must be" in refuse("convert", tiny, "--out", "x.safetensors", "--draws", "1")
    assert "no generator file" in refuse("convert", "no.pkl", "--out", "x.safetensors")
