"""The examples of README and documentation run as they stand, in order, from an empty folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import page_examples
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "docs/start.md",
    "docs/importing.md",
    "docs/scanners.md",
    "docs/medical.md",
    "docs/units.md",
    "docs/auto.md",
    "docs/choosing.md",
    "docs/notebooks.md",
    "docs/runs.md",
    "docs/latents.md",
    "docs/generators.md",
    "docs/directions.md",
    "docs/discovery.md",
    "docs/extend/operator.md",
    "docs/extend/prior.md",
    "docs/extend/method.md",
]


def _run(command: list[str], folder: Path, programs: Path | None = None) -> None:
    path = os.pathsep.join([*([str(programs)] if programs else []), os.environ["PATH"]])
    inherited = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    python_path = os.pathsep.join([str(ROOT), *inherited])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": python_path}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"


def test_the_readme_runs_in_a_shell_from_an_empty_folder(tmp_path: Path) -> None:
    programs, folder = tmp_path / "programs", tmp_path / "work"
    programs.mkdir()
    folder.mkdir()
    program = programs / "invprob"  # so that it runs where the package is not installed
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m invprob "$@"\n')
    program.chmod(0o755)
    shell = shutil.which("bash") or "sh"
    for language, text in page_examples.examples(ROOT / "README.md"):
        if language == "file":
            page_examples.save(text, folder)
        else:
            command = [sys.executable, "-c"] if language == "python" else [shell, "-euc"]
            _run([*command, text], folder, programs)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run_from_an_empty_folder(page: str, tmp_path: Path) -> None:
    _run([sys.executable, page_examples.__file__, str(ROOT / page)], tmp_path)


def test_every_page_with_examples_is_tried() -> None:
    pages = [
        page
        for page in (ROOT / "docs").glob("**/*.md")
        if "generated" not in page.relative_to(ROOT).parts
    ]
    assert {page for page in pages if page_examples.examples(page)} == {ROOT / p for p in PAGES}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_readme_page_and_script_show_the_same_operator() -> None:
    operator = re.compile(r"^@invprob.register.operator\(\"column-means.*?6\)\)$", re.M | re.S)
    shown = {
        operator.findall((ROOT / page).read_text("utf-8"))[0]
        for page in ("README.md", "docs/extend/operator.md", "examples/new_operator.py")
    }
    assert len(shown) == 1


def test_the_table_by_task_is_the_measured_one() -> None:
    readme, measured = (
        [line for line in (ROOT / page).read_text("utf-8").splitlines() if line.startswith("|")]
        for page in ("README.md", "examples/results/tasks.md")
    )
    assert readme == measured


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text("utf-8")):
        assert (ROOT / target).exists(), f"{page} links to {target}"
