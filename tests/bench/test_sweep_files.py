"""Sweep files: what they mean, and how mistakes in them are reported."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from invprob.bench.plan import Plan, make_plan
from invprob.bench.read import read_sweep
from invprob.errors import ArgumentError, FileError, InvprobError, UnknownNameError
from invprob.run.config import SETTINGS, Named

SWEEPS = Path(__file__).resolve().parents[2] / "examples" / "sweeps"


def plan(path: Path, scale: str | None = None) -> Plan:
    sweep = read_sweep(path)
    return make_plan(sweep if scale is None else sweep.scaled(scale))


def test_everything_is_combined_under_readable_names(write) -> None:
    more = "[[noises]]\nname='none'\n[[noises]]\nlabel='σ 0.1'\nname='gaussian'\nsigma=0.1\n"
    path = write(('samples = ["face"]', 'samples = ["face", "cat"]'), more=more)
    path.write_text("seeds = [0, 3]\n" + path.read_text())
    runs = plan(path).runs
    assert len(runs) == len({run.id for run in runs}) == 2 * 2 * 2 * 2 * 2
    assert runs[0].id == "face_one-half_sphinx_s0"
    assert "cat_all_0.1_w-plus_s3" in {run.id for run in runs}
    assert [run.id for run in plan(path).runs] == [run.id for run in runs]
    one = next(run for run in runs if run.id == "cat_all_0.1_w-plus_s3")
    assert one.config.samples == ("cat",) and one.config.seed == 3 and one.config.steps == 2
    assert one.config.noise == Named("gaussian", {"sigma": 0.1})
    assert one.config.operators == (Named("identity"),)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", run.id) for run in runs)


def test_adding_entries_leaves_the_names_of_runs(write) -> None:
    before = {run.id: run.definition for run in plan(write()).runs}
    more = (
        "[[transforms]]\nname='none'\n[[transforms]]\nname='flip'\n[[methods]]\nname='w-plus-s-b'\n"
    )
    after = {run.id: run.definition for run in plan(write(more=more)).runs}
    assert len(before) == 4 and len(after) == 12
    assert {name: after[name] for name in before} == before


def test_chains_read_like_the_command_line_and_lengths_are_scaled(write) -> None:
    more = """
[[operators]]
chain = [{name = "circulant", ratio = 0.5}, {name = "translate", pixels = {dx = 50, dy = -100}}]
"""
    path = write(more=more)
    path.write_text("pixels_at = 1024\n" + path.read_text())
    run = plan(path).runs[-1]
    assert run.at["operator"] == "circulant ratio 0.5 @ translate dx 50 dy -100"
    # 50 and 100 of 1024 pixels are 1.56 and 3.13 of 32.
    moved = Named("translate", {"dx": 2, "dy": -3})
    assert run.config.operators == (Named("circulant", {"ratio": 0.5}), moved)


def test_own_steps_and_data_terms(write) -> None:
    path = write(
        (
            'name = "w-plus"',
            'name = "w-plus"\nsteps = 7\ncoarse = 16\ndata_term = "likelihood"',
        ),
        more="[[noises]]\nname='gaussian'\nsigma=0.1\n[scale.smoke]\nsteps = 1\n",
    )
    runs = {run.at["method"]: run.config for run in plan(path).runs}
    assert runs["w-plus"].steps == 7 and runs["w-plus"].data_term == "likelihood"
    assert runs["w-plus"].coarse == 16 and runs["sphinx"].coarse is None
    assert runs["sphinx"].steps == 2 and runs["sphinx"].data_term == "misfit"
    assert {run.config.steps for run in plan(path, "smoke").runs} == {1}


def test_scales_and_exclusions(write) -> None:
    more = """
[[exclude]]
method = "sphinx"
operator = ["all"]
[scale.smoke]
most = 1
seeds = [5]
operators = ["all"]
"""
    path = write(('samples = ["face"]', 'samples = ["face", "cat"]'), more=more)
    assert {run.id for run in plan(path).runs} == {
        f"{image}_{rest}"
        for image in ("face", "cat")
        for rest in ("one-half_sphinx_s0", "one-half_w-plus_s0", "all_w-plus_s0")
    }
    assert [run.id for run in plan(path, "smoke").runs] == ["face_all_w-plus_s5"]
    with pytest.raises(ArgumentError, match=r"no scale 'smok'. Did you mean 'smoke'"):
        read_sweep(path).scaled("smok")


def test_pictures_come_from_files_folders_and_patterns(write, tmp_path: Path) -> None:
    for name in ("a/one.png", "a/two.png", "a/b/two.png", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), "red" if "one" in name else "blue").save(
            tmp_path / name, format="PNG"
        )
    entry = ('samples = ["face"]', "PLACE")

    def names(paths: str) -> list[str]:
        found = plan(write(entry, ("PLACE", paths))).runs
        return list(dict.fromkeys(run.at["image"] for run in found))

    assert names('paths = ["a"]') == ["one", "two"]
    assert names('paths = ["a"]\nmost = 1') == ["one"]
    assert names('paths = ["a/two.png", "a/b/two.png", "a"]') == ["two", "two-2", "one"]
    assert names('paths = ["a/**/t*.png"]') == ["two", "two-2"]
    assert names('paths = ["a/[!t]*"]') == ["one"]
    with pytest.raises(FileError, match=r"line \d+.*no file or folder.*optional = true"):
        names('paths = ["nowhere"]')
    left_out = write(more="[[images]]\npaths = ['nowhere']\noptional = true\nlabel = 'mine'\n")
    found = plan(left_out)
    assert len(found.runs) == 4
    assert len(found.skipped) == 1 and "'mine' were left out: there is no file" in found.skipped[0]


BAD: list[tuple[str, str, str, int, str]] = [
    # what is replaced, by what, the error says, of this line, and what to do
    ('name = "w-plus"', 'name = "w-plsu"', "no method is named 'w-plsu'", 26, "mean 'w-plus'"),
    ('name = "circulant"', 'name = "circlant"', "no operator is named", 13, "mean 'circulant'"),
    ("ratio = 0.5", "ration = 0.5", "is no option of the operator 'circulant'", 14, "mean 'ratio'"),
    ("ratio = 0.5", 'ratio = "half"', "ratio must be a number, got 'half'", 14, ""),
    ("ratio = 0.5", "", "needs a value for 'ratio'", 11, "add ratio ="),
    ('samples = ["face"]', 'samples = ["fase"]', "names no sample 'fase'", 9, "mean 'face'"),
    ('samples = ["face"]', "", "these images name nothing", 8, "samples = [...]"),
    ("steps = 2", "steps = 0", "steps must be at least 1, got 0", 5, ""),
    ("steps = 2", "steps = true", "steps must be a whole number, got True", 5, ""),
    ("steps = 2", "stepps = 2", "stepps is not known here", 5, "mean 'steps'"),
    ("steps = 2", "seeds = [1, 1]", "seeds must be different whole numbers", 5, "from 0 on"),
    ("steps = 2", "seconds = -1", "seconds must be a number above 0", 5, "above 0"),
    ("steps = 2", 'data_term = "misfitt"', "data_term must be one of", 5, "mean 'misfit'"),
    ("steps = 2", 'group_by = ["methods"]', "names no axis 'methods'", 5, "mean 'method'"),
    ('label = "all"', 'label = "one half"', "two operators have the label 'one half'", 17, "label"),
    ('name = "w-plus"', 'name = "w-plus"\nx = "far"', "methods.x must be a number", 27, "x = 0.5"),
    ('name = "w-plus"', 'name = "w-plus"\nrate = 1', "is no option of the method", 27, "Options:"),
    ('name = "identity"', "", "this entry names no operator", 17, "chain = "),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says", "line", "remedy"), BAD, ids=[b[1] for b in BAD])
def test_mistakes_are_named_with_their_line(
    write, old: str, new: str, says: str, line: int, remedy: str
) -> None:
    path = write((old, new))
    with pytest.raises((ArgumentError, UnknownNameError)) as caught:
        read_sweep(path)
    told = str(caught.value)
    assert told.startswith(f"{path}, line {line}: "), told
    assert says in told and remedy in told


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[[exclude]]\nmethod = 'ilo'\n", "line 28: exclude.method names no method 'ilo'"),
        ("[[exclude]]\n", "line 27: this excludes everything"),
        ("[scale.smoke]\nmethods = ['wplus']\n", "line 28: scale.smoke.methods names no method"),
        ("[scale.smoke]\nmoost = 1\n", "line 28: scale.smoke.moost is not known here. Did you"),
        ("[[noises]]\nname = 'gaussian'\n", "line 27: the noise 'gaussian' needs a value for"),
        ("[[transforms]]\nname = 'circulant'\n", "line 27: the operator 'circulant' needs"),
    ],
)
def test_mistakes_further_down(write, more: str, says: str) -> None:
    with pytest.raises(InvprobError, match=re.escape(says)):
        read_sweep(write(more=more))


def test_what_cannot_be_built_is_told_before_anything_runs(write) -> None:
    with pytest.raises(ArgumentError, match=r"line 11: 'one half': .*ratio"):
        plan(write(("ratio = 0.5", "ratio = 2.0")))
    with pytest.raises(
        InvprobError, match=r"line 27.*'circulant ratio 0.1'.*a truth keeps its shape"
    ):
        plan(write(more="[[transforms]]\nname = 'circulant'\nratio = 0.1\n"))
    beside = ('name = "w-plus"', 'name = "sphinx"\nlabel = "odd"\nd = -1')
    with pytest.raises(InvprobError, match="line 25: 'odd'"):
        plan(write(beside))
    found = plan(write((beside[0], beside[1] + "\noptional = true")))
    assert {run.at["method"] for run in found.runs} == {"sphinx"}
    assert "the method 'odd' was left out" in found.skipped[0]


def test_what_is_no_sweep(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    for text, says in (
        ("steps = ", "is not TOML"),
        ("steps = 2", "must begin with format = 'invprob-sweep'"),
        ('format = "invprob-sweep"\nversion = 1', "there are no images"),
    ):
        path.write_text(text)
        with pytest.raises(ArgumentError, match=says):
            read_sweep(path)
    with pytest.raises(FileError, match="no such file"):
        read_sweep(tmp_path / "y.toml")


# --------------------------------------------------------------------------- the sweeps that ship


SIZES: dict[str, tuple[int, Callable[[Plan], bool]]] = {
    # runs in all, counted by hand, and what each has to show
    "fig1-robustness": (3 * 2 * 2 * 2, lambda full: full.sweep.studies[0].label == "perturb"),
    "fig7-editing": (3 * 3, lambda full: full.sweep.studies[0].label == "edit"),
    "fig8-interpolation": (
        2 * 4 * 3,
        lambda full: (
            full.sweep.studies[0].label == "interpolate" and len(full.sweep.transforms) == 4
        ),
    ),
    "fig12-discovery": (
        2 * 2,
        lambda full: (
            [one.label for one in full.sweep.studies] == ["rotation", "brightness", "zoom"]
        ),
    ),
    "fig5-shifts": (
        11 * 8 * 2 * 2,
        lambda full: (
            [one.x for one in full.sweep.transforms]
            == [0, 50, 100, 150, 10, 20, 30, 0.75, 0.875, 1.125, 1.25]
        ),
    ),
    "fig9-reconstruction": (9 * 2 * 2, lambda full: "set" in full.sweep.group_by),
    "fig10-denoising": (
        6 * 14 * 2 * 2,
        lambda full: [one.x for one in full.sweep.noises] == [0.2, 0.3, 0.4, 0.6, 0.8, 1.0],
    ),
    "fig11-compressed-sensing": (
        5 * 12 * 2 * 2,
        lambda full: (
            [one.chain[0].settings["ratio"] for one in full.sweep.operators]
            == [0.01, 0.02, 0.03, 0.04, 0.05]
        ),
    ),
    "fig2-fig4-ablations": (7 * 3 * 2, lambda full: len(full.sweep.exclude) == 1),
    "appendix-d-bottleneck": (
        4 * 4 * 2,
        lambda full: (
            [one.chain[0].settings["d"] for one in full.sweep.methods] == [16, 32, 64, 128]
        ),
    ),
    "board-measurements": (
        6 * 12 * 4 * 2,
        lambda full: (
            [one.chain[0].settings["ratio"] for one in full.sweep.operators]
            == [0.01, 0.02, 0.03, 0.05, 0.1, 0.2]
        ),
    ),
    "board-denoising": (
        6 * 12 * 4 * 2,
        lambda full: [one.x for one in full.sweep.noises] == [0.05, 0.1, 0.2, 0.4, 0.6, 1.0],
    ),
    "board-tasks": (
        8 * 12 * 4 * 2,
        lambda full: (
            [run.at["operator"] for run in full.runs if run.at["noise"] != "none"]
            == ["blur"] * 12 * 4 * 2
        ),
    ),
}


def test_every_shipped_sweep_is_listed() -> None:
    assert {path.stem for path in SWEEPS.glob("*.toml")} == set(SIZES)
    read_me = (SWEEPS / "README.md").read_text("utf-8")
    assert all(f"`{name}.toml`" in read_me for name in SIZES)


def test_every_setting_that_a_sweep_may_hold_is_listed() -> None:
    read_me = (SWEEPS / "README.md").read_text("utf-8")
    keys = [one.name for one in SETTINGS.values() if one.about.scope != "run"]
    assert [key for key in keys if f"`{key}`" not in read_me] == []


def test_the_boards_compare_the_same_methods() -> None:
    boards = [read_sweep(path) for path in sorted(SWEEPS.glob("board-*.toml"))]
    rows = [[(one.label, one.family, one.chain) for one in board.methods] for board in boards]
    assert len(boards) == 3 and rows == rows[:1] * 3
    assert all(set(board.scales) == set(boards[0].scales) for board in boards)


@pytest.mark.parametrize("name", SIZES)
def test_a_shipped_sweep_can_be_built(name: str) -> None:
    count, shows = SIZES[name]
    full = plan(SWEEPS / f"{name}.toml")
    assert len(full.runs) == count and not full.skipped
    assert shows(full)
    smoke = plan(SWEEPS / f"{name}.toml", "smoke")
    assert len(smoke.runs) <= 24
    assert all((run.config.steps or 999) <= 10 and run.config.seed == 0 for run in smoke.runs)
