"""The gallery: short scripts of `examples/`, run with `--smoke` when the site is built."""

import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

from pages.text import write

DOCS = Path(__file__).resolve().parents[2]
GALLERY = DOCS / "generated" / "scripts"
SHOWN = ("first_solve.py", "many_images.py", "new_operator.py", "new_prior.py", "new_method.py")


def write_pages(target: Path) -> None:
    """Copy the scripts, because they write their pictures into the folder they lie in."""
    del target
    for name in SHOWN:
        write(GALLERY / name, (DOCS.parent / "examples" / name).read_text("utf-8"))
    shutil.copyfile(DOCS / "_ext" / "gallery.rst", GALLERY / "GALLERY_HEADER.rst")


class ShownOrder:
    """Sort the scripts of the gallery as `SHOWN` has them."""

    def __init__(self, folder: str) -> None:
        del folder

    def __call__(self, name: str) -> int:
        """Return the place of a script."""
        return SHOWN.index(name)


def smoke(gallery_conf: dict[str, Any], block_vars: dict[str, Any]) -> list[str]:
    """Return the arguments that every script is run with."""
    del gallery_conf, block_vars
    return ["--smoke"]


def saved_pictures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Move each PNG file that a script saved to the gallery, and return the text that shows it."""
    del block
    moved = []
    for picture in sorted(Path(block_vars["src_file"]).parent.glob("*.png")):
        place = next(block_vars["image_path_iterator"])
        shutil.move(picture, place)
        moved.append(place)
    return figure_rst(moved, gallery_conf["src_dir"]) if moved else ""
