"""The directive `body`: a function as it stands in the code, or a class's fields, undocumented.

A page that explains code line by line so never shows lines that are no longer there, whatever is
written into docstrings.
"""

import ast
import inspect
import pkgutil
import textwrap

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Body(SphinxDirective):
    """Show what `module:name` says, without its docstring; of a class, its fields alone."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the code as a block."""
        entry = pkgutil.resolve_name(self.arguments[0])
        code = undocumented(inspect.getsource(entry))
        return [nodes.literal_block(code, code, language="python")]


def undocumented(source: str) -> str:
    """Return a function without its docstring, or a class with nothing but its fields."""
    source = textwrap.dedent(source)
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    lines = source.splitlines()
    statements = [item for item in node.body if not _is_docstring(item)]
    if isinstance(node, ast.ClassDef):
        fields = [item for item in statements if isinstance(item, ast.AnnAssign)]
        last = fields[-1].end_lineno
    else:
        last = len(lines)
    head = lines[: node.body[0].lineno - 1]
    return "\n".join([*head, *lines[statements[0].lineno - 1 : last]])


def _is_docstring(item: ast.stmt) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
