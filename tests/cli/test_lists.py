"""Lists, help and the small commands."""

import inspect
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import invprob
from invprob.cli.app import run
from invprob.cli.parts_help import described
from invprob.methods import needs_generator
from invprob.registry import options_of, register
from invprob.run.samples import samples

PLUGIN = '''
import torch
import invprob

@invprob.register.operator("{name}")
class Dim(invprob.LinearOperator):
    """Halve the light."""

    def __init__(self, image_shape, *, factor: float = 0.5):
        super().__init__(image_shape, image_shape)
        self.factor = factor

    def forward(self, image):
        return {body}

    @classmethod
    def example(cls):
        return cls((3, 4, 4))
'''


@pytest.mark.parametrize("arguments", [["--help"], ["solve", "--help"], ["--version"], []])
def test_help_needs_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from invprob.cli.app import run; status = run(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'PIL', 'scipy'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_program_is_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "invprob", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"invprob {invprob.__version__}\n"


@pytest.mark.parametrize("kind", ["operator", "noise", "method", "stop"])
def test_help_describes_what_is_registered(kind: str) -> None:
    """What is read from the source is what the registers say."""
    read = {entry.name: entry for entry in described(kind)}
    entries = {
        name: entry
        for name, entry in register.of(kind).items()
        if entry.__module__.startswith("invprob.")
    }
    assert read.keys() == entries.keys()
    for name, entry in entries.items():
        assert read[name].purpose == (entry.__doc__ or "").strip().partition("\n")[0]
        options = {option.name for option in options_of(entry)} - {"steps"}
        assert set(read[name].options) == options


@pytest.mark.parametrize("command", ["operators", "priors", "methods", "samples"])
def test_lists_are_lines_for_programs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.count("\t") == 1 for line in lines)
    assert run([command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [line.split("\t")[0] for line in lines] == [row["name"] for row in rows]
    assert all({"name", "purpose", "options", "source"} <= row.keys() for row in rows)


def test_what_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run(["operators"])
    listed = {line.split("\t")[0] for line in capsys.readouterr().out.splitlines()}
    assert {*register.operator, "gaussian-noise", "--noise gaussian"} <= listed
    run(["samples"])
    assert capsys.readouterr().out.splitlines()[0].startswith("face\t")
    assert set(samples()) == {"face", "astronaut", "retina", "cat"}


def test_the_list_says_what_is_linear(capsys: pytest.CaptureFixture[str]) -> None:
    run(["operators", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    for name, entry in register.operator.items():
        assert rows[name]["linear"] is entry.linear
        assert len(rows[name]["options"]) == len(options_of(entry))
    assert "linear" not in rows["--noise gaussian"]
    (ratio, *_) = rows["circulant"]["options"]
    assert "--ratio NUMBER" in ratio and "(required)" in ratio


@pytest.mark.parametrize("name", [*register.operator, *register.noise])
def test_each_is_described(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["operators", name]) == 0
    text = capsys.readouterr().out
    entry = register.operator.get(name) or register.noise[name]
    about = inspect.cleandoc(entry.__doc__ or "")
    for section in ("Args", "Returns", "Raises"):  # the options, which follow, say it
        about = about.partition(f"\n{section}:")[0]
        assert f"{section}:" not in text
    assert about.strip() in text
    for option in options_of(entry):
        assert f"--{option.name.replace('_', '-')} " in text
    assert f"{entry.__module__}.{entry.__qualname__}" in text
    assert run(["operators", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == name
    assert [option["name"] for option in told["options"]] == [o.name for o in options_of(entry)]


@pytest.mark.parametrize("name", [name for name in register.method if name != "auto"])
def test_each_method_says_where_it_comes_from_and_what_it_frees(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["methods", name]) == 0
    text = capsys.readouterr().out
    purpose = text.splitlines()[2]
    assert purpose.count(" × ") >= 2 or not needs_generator(name)
    assert any(year in text for year in map(str, range(1920, 2030))) or "arXiv" in purpose
    assert f"--method {name}" in text


@pytest.mark.parametrize("name", register.operator)
def test_example_commands_work(call, place: Path, name: str) -> None:
    command = json.loads(call("operators", name, "--json").out)["example"]
    words = shlex.split(command)
    assert words[:2] == ["invprob", "solve"]
    if "FILE" in words:
        pytest.skip("needs a file of the user's")
    example = register.operator[name].example()
    settings = [word for word in words[4:] if not (len(word) > 60)]
    checked = json.loads(call("check", name, *settings, "--json").out)
    assert checked["spec"] == example.spec()


def test_what_is_not_there_is_not_described(refuse) -> None:
    assert "Did you mean 'rotate'" in refuse("operators", "rotat")
    assert "Did you mean 'sphinx'" in refuse("methods", "sphynx")


def test_the_gallery_shows_every_operator(call, refuse, place: Path) -> None:
    Path("bent.py").write_text(PLUGIN.format(name="bent", body="image + [][0]"))
    done = call("gallery", "--out", "pictures", "--size", 32, "--plugin", "bent.py")
    assert done.status == 0, done
    assert done.last == Path("pictures/gallery.png")
    assert "bent was left out: IndexError" in done.err
    left_out = {line.split()[1] for line in done.err.splitlines()}
    names = set(register.operator) - {"bent"}
    assert left_out == {"bent"}
    assert {path.stem for path in Path("pictures").iterdir()} == {*names, "gallery"}
    for path in Path("pictures").iterdir():
        with Image.open(path) as picture:
            assert len(set(picture.convert("L").tobytes())) > 8, path
    assert "--overwrite" in refuse("gallery", "--out", "pictures")
    assert "smple" in refuse("gallery", "--out", "new", "--sample", "smple")
    assert call("gallery", "../picture.png", "--out", "pictures", "--overwrite", "-q").status == 0


def test_the_gallery_shows_what_an_operator_does(place: Path) -> None:
    """The pictures are what the operator computes: grey, turned, A⁺y of a vector."""
    from invprob.operators import Luminance, PartialCirculant, Rotate
    from invprob.report.gallery import exhibit
    from invprob.run.samples import load_sample

    image = load_sample(size=32)
    assert torch.equal(exhibit("luminance", image).shown, Luminance((3, 32, 32))(image)[0])
    assert torch.equal(exhibit("rotate", image).shown, Rotate((3, 32, 32), 30)(image)[0])
    few = PartialCirculant((3, 32, 32), 0.2)
    shown = exhibit("circulant", image)
    assert torch.equal(shown.shown, few.pinv(few(image), iterations=50)[0])
    assert shown.title.startswith("pseudo-inverse")
    small = exhibit("luminance", image[:, :1])  # refused, so shown on the example's shape
    assert small.image.shape == (3, 8, 8) and small.shown.shape == (1, 8, 8)


@pytest.mark.parametrize("name", ["circulant", "rotate"])
def test_check_says_what_holds(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("kept\t", "not examined\t")) for line in lines[1:])


def test_check_takes_options_a_shape_and_a_seed(call, refuse, place: Path) -> None:
    from invprob.operators import PartialCirculant

    done = call("check", "circulant", "--ratio", 0.05, "--shape", "3,37,31", "--spectrum", "unit")
    assert done.status == 0, done
    expected = PartialCirculant((3, 37, 31), ratio=0.05, spectrum="unit")
    assert done.out.splitlines()[0] == repr(expected)
    assert "kept\tpinv" in done.out and "kept\tnorm" in done.out
    told = json.loads(call("check", "circulant", "--operator-seed", 3, "--json").out)
    assert told["spec"] == PartialCirculant((3, 8, 8), ratio=0.2, seed=3).spec()
    assert call("check", "rotate:degrees=90", "-q").out == ""
    assert "whole numbers" in refuse("check", "rotate", "--shape", "big")
    assert "positive" in refuse("check", "rotate", "--shape", "3,0,8")
    assert "(3, height, width)" in refuse("check", "luminance", "--shape", "1,8,8")
    assert "'--ratio'" in refuse("check", "circulant", "--ratoi", 1)
    assert "ratio" in refuse("check", "circulant", "--ratio", 0)
    assert "one too many" in refuse("check", "circulant", "rotate")
    assert "not random" in refuse("check", "rotate", "--operator-seed", 1)
    assert "name the operator first" in refuse("check", "--ratio", 0.1, "circulant")


def test_check_takes_a_saved_operator(call, refuse, place: Path) -> None:
    from invprob.operators import Luminance, PartialCirculant, Rotate, stack

    both = stack([PartialCirculant((3, 8, 8), 0.3), Luminance((3, 8, 8)) @ Rotate((3, 8, 8), 10)])
    Path("op.json").write_text(json.dumps(both.spec()))
    done = call("check", "--spec", "op.json")
    assert done.status == 0 and done.out.splitlines()[0] == repr(both)
    assert "nothing beside it" in refuse("check", "rotate", "--spec", "op.json")
    assert "nowhere.json" in refuse("check", "--spec", "nowhere.json")
    for text, words in (
        ("{", "not the JSON"),
        ("[]", "names its type"),
        ('{"type": "rotate", "image_shape": [3, 8, 8]}', "needs a value for 'degrees'"),
        ('{"type": "rotatt"}', "Did you mean 'rotate'"),
        ('{"type": "stack"}', "'operators'"),
        ('{"type": "adjoint"}', "names its type"),
        ('{"type": "identity", "image_shape": 5}', "image_shape"),
    ):
        Path("bad.json").write_text(text)
        said = refuse("check", "--spec", "bad.json")
        assert words in said, said


def test_a_plugin_is_listed_checked_and_used(call, place: Path) -> None:
    Path("dim.py").write_text(PLUGIN.format(name="dim", body="self.factor * image"))
    plugin = ("--plugin", "dim.py")
    assert "dim\tHalve the light." in call("operators", *plugin).out
    assert call("check", "dim", *plugin).status == 0
    done = call("solve", "--operator", "dim", "--factor", "0.25", "--steps", 2, *plugin)
    assert done.status == 0, done
    assert 'name = "dim"' in (done.last / "config.toml").read_text()


def test_check_finds_a_broken_law(call, place: Path) -> None:
    Path("bent.py").write_text(PLUGIN.format(name="bent", body="self.factor * image + 1"))
    done = call("check", "bent", "--plugin", "bent.py")
    assert done.status == 1
    assert any(line.startswith("BROKEN\t") for line in done.out.splitlines())
    told = json.loads(call("check", "bent", "--plugin", "bent.py", "--json").out)
    assert any(law["kept"] is False for law in told["laws"])


def test_samples_are_drawn_on_a_sheet(call, refuse, place: Path) -> None:
    draw = ("sample", "--prior", "../tiny.safetensors", "--count", 5)
    assert call(*draw, "--out", "sheet.png").last == Path("sheet.png")
    with Image.open("sheet.png") as sheet:
        assert sheet.size == (3 * 134 + 6, 2 * 134 + 6)
    assert "exists" in refuse(*draw, "--out", "sheet.png")
    assert ".png" in refuse(*draw, "--out", "sheet.jpg")
    assert "count" in refuse("sample", "--prior", "../tiny.safetensors", "--count", 0)
    assert "truncation" in refuse(*draw, "--truncation", "nan", "--out", "other.png")


def test_inspect_counts(call, place: Path) -> None:
    told = json.loads(call("inspect", "../tiny.safetensors", "--json").out)
    assert told["resolution"] == 32 and told["style_rows"] == 8
    assert "style_width\t16" in call("inspect", "../tiny.safetensors").out
