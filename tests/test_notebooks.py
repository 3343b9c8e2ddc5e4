"""The notebooks of the examples are converted, run in a kernel, and show what they should."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from scripts import EXAMPLES

NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.py"))
STEPS = "steps = None"


def converted(script: Path, folder: Path) -> Any:
    """The notebook of a script, by the command that the documentation names."""
    copy = folder / script.name
    text = script.read_text("utf-8")
    assert text.count(STEPS) == 1
    copy.write_text(text.replace(STEPS, "steps = 6"), "utf-8")
    command = Path(sys.executable).with_name("sphinx_gallery_py2jupyter")
    subprocess.run([command, copy], check=True, capture_output=True)
    return nbformat.read(copy.with_suffix(".ipynb"), as_version=4)


def shown(notebook: Any, kind: str) -> list[str]:
    """What the cells show, of one MIME type."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output["data"][kind] for output in outputs if kind in output.get("data", {})]


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda script: script.stem)
def test_a_notebook_runs(script: Path, tmp_path: Path) -> None:
    notebook = converted(script, tmp_path)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    cards = "".join(shown(notebook, "text/html"))
    assert "<b>Measurements</b>" in cards
    assert re.search(r"<progress value='\d+' max='\d+'>", cards)
    assert "data:image/png;base64," in cards
    assert len(list(tmp_path.glob("*.png"))) == 1
    said = "".join(
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream" and output["name"] == "stderr"
    )
    assert said == ""
