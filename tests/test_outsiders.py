"""Packages of other people: found by their entry points, harmless where they are broken."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "examples" / "operator_package"
TEST = PACKAGE / "test_invprob_vignette.py"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the example package was installed, without a network."""
    base = tmp_path_factory.mktemp("outsiders")
    source = base / "source"  # building leaves files behind
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    target = base / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check"]
    command += ["--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def _run(*arguments: str, path: list[Path]) -> subprocess.CompletedProcess[str]:
    inherited = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), *inherited])}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment
    )


def _metadata(folder: Path, package: str, module: str) -> Path:
    """What the installation of a package with one entry point leaves behind."""
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[invprob.operators]\ntheirs = {module}\n")
    return folder


def test_an_installed_operator_is_listed_checked_and_used(installed: Path, tmp_path: Path) -> None:
    listed = _run("-m", "invprob", "operators", path=[installed])
    assert listed.returncode == 0 and listed.stderr == ""
    assert "vignette\tDarken towards the corners, as a simple lens does." in listed.stdout
    checked = _run("-m", "invprob", "check", "vignette", "--strength", "0.25", path=[installed])
    assert checked.returncode == 0, checked.stdout
    assert "kept\tadjoint" in checked.stdout
    file = tmp_path / "y.safetensors"
    use = ("measure", "--sample", "face", "--operator", "vignette", "--size", "16")
    used = _run("-m", "invprob", *use, "--out", str(file), "--json", path=[installed])
    assert json.loads(used.stdout)["measurement_shape"] == [3, 16, 16]
    refused = _run("-m", "invprob", *use, "--strength", "2", "--out", f"{file}2", path=[installed])
    assert refused.returncode == 2 and "strength must be in [0, 1]" in refused.stderr
    tested = _run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(TEST), path=[installed])
    assert tested.returncode == 0, tested.stdout


def test_without_the_package_its_name_is_unknown() -> None:
    done = _run("-m", "invprob", "check", "vignette", path=[])
    assert done.returncode == 2 and "no operator is named 'vignette'" in done.stderr


def test_a_package_is_imported_only_when_it_may_be_needed(tmp_path: Path) -> None:
    _metadata(tmp_path, "loud", "loud")
    (tmp_path / "loud.py").write_text("import sys; print('imported', file=sys.stderr)\n")
    assert _run("-m", "invprob", "check", "rotate", path=[tmp_path]).stderr == ""
    assert _run("-m", "invprob", "--help", path=[tmp_path]).stderr == ""
    assert _run("-m", "invprob", "operators", path=[tmp_path]).stderr == "imported\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "No module named 'theirs'"),
        ("import no_such_package", "No module named 'no_such_package'"),
        ("raise SystemExit('no licence')", "no licence"),
        ("def broken(:", "SyntaxError"),
        (
            "import invprob\n"
            "@invprob.register.operator('identity')\n"
            "class Mine(invprob.LinearOperator): ...",
            "theirs.Mine",
        ),
    ],
)
def test_a_broken_package_is_a_line_that_names_it(
    tmp_path: Path, source: str | None, reason: str
) -> None:
    _metadata(tmp_path, "their-package", "theirs")
    if source is not None:
        (tmp_path / "theirs.py").write_text(source)
    done = _run("-m", "invprob", "operators", path=[tmp_path])
    assert done.returncode == 0 and "identity\t" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("invprob: warning: the plugin 'theirs' of the package 'their-package'")
    assert reason in line
    if reason == "theirs.Mine":
        assert "invprob.operators.identity.Identity" in line
