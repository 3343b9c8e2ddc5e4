"""Packages of other people: found by their entry points, harmless where they are broken."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Done:
    """What the program printed, and its exit status."""

    status: int
    out: str
    err: str


# The program, called several times in one new process, in which it has found no packages yet.
CALLS = """
import contextlib, io, json, sys
from invprob.cli.app import main

done = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as end:
            done.append((end.code, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""


def _python(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    inherited = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), *inherited])}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment
    )


def _calls(*commands: str, path: Path) -> list[Done]:
    """Call the program with each command, in one process that sees the packages of a folder."""
    words = json.dumps([command.split() for command in commands])
    process = _python("-c", CALLS, words, path=path)
    assert process.returncode == 0, process.stderr
    return [Done(*each) for each in json.loads(process.stdout)]


def _metadata(folder: Path, package: str, module: str) -> Path:
    """What the installation of a package with one entry point leaves behind."""
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[invprob.operators]\n{module} = {module}\n")
    return folder


def test_an_installed_operator_is_listed_checked_and_used(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "y.safetensors"
    use = "measure --sample face --operator vignette --size 16"
    listed, checked, used, refused = _calls(
        "operators",
        "check vignette --strength 0.25",
        f"{use} --out {file} --json",
        f"{use} --strength 2 --out {file}2",
        path=installed,
    )
    assert listed.status == 0 and listed.err == ""
    assert "vignette\tDarken towards the corners, as a simple lens does." in listed.out
    assert checked.status == 0, checked.out
    assert "kept\tadjoint" in checked.out
    assert json.loads(used.out)["measurement_shape"] == [3, 16, 16]
    assert refused.status == 2 and "strength must be in [0, 1]" in refused.err


def test_tests_of_a_package_find_it(installed: Path) -> None:
    tested = _python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(TEST), path=installed)
    assert tested.returncode == 0, tested.stdout


def test_a_package_is_imported_only_when_it_may_be_needed(tmp_path: Path) -> None:
    _metadata(tmp_path, "loud", "loud")
    (tmp_path / "loud.py").write_text("import sys; print('imported', file=sys.stderr)\n")
    known, helped, unknown, listed = _calls(
        "check rotate", "--help", "check vignette", "operators", path=tmp_path
    )
    assert (known.status, known.err) == (helped.status, helped.err) == (0, "")
    # Without the package its operator is unknown.
    assert unknown.status == 2 and unknown.err.startswith("imported\n")
    assert "no operator is named 'vignette'" in unknown.err
    assert (listed.status, listed.err) == (0, "")  # a package is imported once


BROKEN = {
    "absent": (None, "No module named 'absent'"),
    "needs_more": ("import no_such_package", "No module named 'no_such_package'"),
    "leaves": ("raise SystemExit('no licence')", "no licence"),
    "misspelt": ("def broken(:", "SyntaxError"),
    "takes_a_name": (
        "import invprob\n"
        "@invprob.register.operator('identity')\n"
        "class Mine(invprob.LinearOperator): ...",
        "takes_a_name.Mine",
    ),
}


def test_each_broken_package_is_a_line_that_names_it(tmp_path: Path) -> None:
    for name, (source, _) in BROKEN.items():
        _metadata(tmp_path, f"package_{name}", name)
        if source is not None:
            (tmp_path / f"{name}.py").write_text(source)
    (done,) = _calls("operators", path=tmp_path)
    assert done.status == 0 and "identity\t" in done.out
    lines = done.err.splitlines()
    assert len(lines) == len(BROKEN)
    for name, (_, reason) in BROKEN.items():
        said = f"invprob: warning: the plugin {name!r} of the package 'package_{name}'"
        (line,) = (line for line in lines if line.startswith(said))
        assert reason in line
        assert name != "takes_a_name" or "invprob.operators.identity.Identity" in line
