"""What `pip` installs: under a name of its own, whole, and working far from the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import invprob
from invprob.version import DISTRIBUTION, install_command

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("invprob", "operators", "priors")
TAKEN = "invprob"  # on the Python Package Index, somebody else's
TEXT = {"", ".cfg", ".html", ".ipynb", ".md", ".py", ".rst", ".sh", ".toml", ".txt", ".yml"}


def _project(file: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))["project"]
    return project


def _texts() -> Iterator[Path]:
    folders = (*PACKAGES, "docs", "examples", "tests", ".ci")
    found = [path for path in ROOT.iterdir() if path.is_file()]
    found += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return (path for path in found if path.suffix in TEXT)


def _installed_by(text: str) -> Iterator[str]:
    """The names that the `pip install` commands of a text ask for."""
    for command in re.findall(r"pip3? install\s+([^`;&|\n]*)", text):
        for word in re.split(r"[\s'\",\\()]+", command):
            yield re.split(r"[\[=<>!~]", word)[0]


def test_the_name_is_written_once() -> None:
    project = _project(ROOT / "pyproject.toml")
    assert project["name"] == DISTRIBUTION != TAKEN
    for extra in project["optional-dependencies"]:
        assert install_command(extra) == f"pip install '{DISTRIBUTION}[{extra}]'"
    assert project["scripts"] == {"invprob": "invprob.cli.app:main"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("run `pip install 'invprob[bench]'`;", ["invprob"]),
        ("pip install -U invprob==0.0.14 && invprob solve", ["invprob"]),
        ('pip install -e ".[test]" && invprob solve', []),
        ("pip install examples/operator_package", []),
        ("pip install invprob-toolkit", []),
    ],
)
def test_install_commands_are_understood(text: str, names: list[str]) -> None:
    assert [name for name in _installed_by(text) if name == TAKEN] == names


def test_no_file_tells_anybody_to_install_the_other_project() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in _texts()
        if path != Path(__file__) and TAKEN in _installed_by(path.read_text("utf-8"))
    ]
    assert not wrong
    for file in ROOT.glob("examples/**/pyproject.toml"):
        names = [re.split(r"[\[=<>!~ ;]", line)[0] for line in _project(file)["dependencies"]]
        assert DISTRIBUTION in names and TAKEN not in names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the checkout, built from a copy because building leaves files behind."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    unneeded = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", "runs")
    for folder in PACKAGES:
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=unneeded)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(base)]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = base.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Code and data: the published weights' list, sample images, generators, py.typed."""
    with ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        (about,) = [name for name in inside if name.endswith(".dist-info/METADATA")]
        headers = HeaderParser().parsestr(archive.read(about).decode())
    expected = set()
    for folder in PACKAGES:
        place = Path(folder) if folder == "invprob" else Path("invprob", folder)
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add((place / path.relative_to(ROOT / folder)).as_posix())
    assert len(expected) > 150 and expected == {name for name in inside if "dist-info" not in name}
    assert headers["Name"] == DISTRIBUTION and headers["Version"] == invprob.__version__
    assert not any(
        re.match(rf"{TAKEN}\b(?!-)", line) for line in headers.get_all("Requires-Dist", [])
    )


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and, through a .pth file, what it depends on.

    Python does not read the .pth files of a folder that a .pth file names, so that an editable
    installation of the checkout stays out.
    """
    folder = tmp_path_factory.mktemp("far") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    others = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    Path(own.stdout.strip(), "dependencies.pth").write_text("\n".join(others) + "\n", "utf-8")
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command += ["--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, env=_without_python())
    assert done.returncode == 0, done.stderr
    return folder


def _without_python() -> dict[str, str]:
    """The environment variables, but for those that lead Python to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _run(environment: Path, folder: Path, *words: str) -> str:
    """What a command of the environment prints, run in a folder and without the checkout."""
    clean = _without_python() | {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "COLUMNS": "200",
    }
    command = [str(environment / "bin" / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_does_the_main_job_in_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    version = _run(environment, tmp_path, "python", "-m", "invprob", "--version")
    assert version == f"invprob {invprob.__version__}\n"
    code = (
        "import invprob, invprob.operators.base, invprob.priors.base as priors; "
        "print(invprob.__file__, invprob.operators.__file__, priors.__file__, sep='\\n')"
    )
    for file in _run(environment, tmp_path, "python", "-c", code).splitlines():
        assert Path(file).is_relative_to(environment.resolve())
    command = ("solve", "--operator", "circulant", "--ratio", "0.01", "--steps", "3")
    printed = _run(environment, tmp_path, "invprob", *command, "--threads", "1")
    run = tmp_path / printed.splitlines()[-1]
    assert run.parent == tmp_path / "runs"
    for name in ("config.toml", "solution.safetensors", "image.png", "comparison.png"):
        assert (run / name).stat().st_size > 0
    assert 0 < json.loads((run / "scores.json").read_text("utf-8"))["psnr"] < 40
