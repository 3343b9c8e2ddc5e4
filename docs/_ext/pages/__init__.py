"""Pages that are written when the site is built, so that nothing has to be listed twice.

Operators, noise, methods and stopping rules come from their registers, commands from the command
line, the reference from the public names. All pages lie in `docs/generated/`, which git ignores.
"""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

from pages import api, bodies, commands, copies, escapes, methods, operators, policy, scripts


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for sources."""
    app.add_directive("body", bodies.Body)
    app.connect("config-inited", _write, priority=1)
    app.connect("autodoc-process-docstring", escapes.escape_docstring, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx, config: Config) -> None:
    del config
    target = Path(app.srcdir) / "generated"
    for writer in (operators, methods, policy, commands, api, copies, scripts):
        writer.write_pages(target)
