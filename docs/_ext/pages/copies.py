"""Notes that live elsewhere in the repository, beside the scripts that measured them."""

import shutil
from pathlib import Path

from pages.text import write

ROOT = Path(__file__).resolve().parents[3]


def write_pages(target: Path) -> None:
    """Copy notes and figures at their own relative places, so that links among them hold."""
    for note in [
        "CONTRIBUTING.md",
        "findings/README.md",
        "examples/SETTINGS.md",
        "examples/sweeps/README.md",
        *(str(path.relative_to(ROOT)) for path in (ROOT / "examples/results").glob("*.md")),
    ]:
        text = (ROOT / note).read_text("utf-8").replace("](docs/", "](/")
        write(target / "repository" / note, text)
    for folder in ("examples/figures", "examples/results"):
        for picture in (ROOT / folder).rglob("*.*"):
            if picture.suffix in {".png", ".webp"}:
                copy = target / "repository" / picture.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(picture, copy)
