"""Configuration of the documentation: `sphinx-build -W --keep-going docs build/docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from invprob.version import __version__  # noqa: E402
from pages.scripts import GALLERY  # noqa: E402

project = "invprob"
author = "the invprob authors"
copyright = "the invprob authors, Apache-2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "pages",
]
exclude_patterns = [
    "_ext",
    "generated/scripts",
    "generated/policy-table.md",
    "generated/auto-table.md",
]
default_role = "code"
smartquotes = False
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist", "attrs_block", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_rtype = False

sphinx_gallery_conf = {
    "examples_dirs": str(GALLERY),
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "pages.scripts.ShownOrder",
    "reset_argv": "pages.scripts.smoke",
    "image_scrapers": ("pages.scripts.saved_pictures",),
    "reset_modules": (),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e6,
    "copyfile_regex": "",
}

html_theme = "furo"
html_title = "invprob"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"
