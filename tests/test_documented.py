"""The public surface is documented: purpose, parameters, what is returned, what is raised.

Checked are the names of `invprob`, the methods of the contracts that authors implement, and
everything registered.
"""

import ast
import builtins
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import invprob
from invprob import errors
from invprob.errors import InvprobError
from invprob.registry import register

CONTRACTS = {
    "Recorded": "invprob.specs",
    "Operator": "invprob.operators.base",
    "LinearOperator": "invprob.operators.base",
    "Noise": "invprob.operators.noise",
    "Prior": "invprob.priors.base",
    "Code": "invprob.priors.base",
    "Part": "invprob.priors.parts.base",
    "StartedPart": "invprob.priors.parts.base",
    "Constraint": "invprob.priors.parts.constraints",
    "Penalty": "invprob.priors.parts.penalties",
    "Term": "invprob.losses",
    "Optimiser": "invprob.solver.optimisers",
    "Stepper": "invprob.solver.optimisers",
    "Callback": "invprob.callbacks",
    "Rule": "invprob.solver.rule",
    "Recipe": "invprob.methods",
    "Setting": "invprob.methods",
    "Problem": "invprob.methods",
}

SECTION = re.compile(
    r"^(Args|Attributes|Returns|Yields|Raises|Examples?|Notes?|References):$", re.MULTILINE
)


@dataclass(frozen=True)
class Subject:
    """A class or function, and whether its class documents its purpose already."""

    name: str
    entry: Any
    is_property: bool = False

    @property
    def function(self) -> Callable[..., Any]:
        """What takes the parameters."""
        if self.is_property:
            return inspect.unwrap(self.entry.fget)
        if inspect.isclass(self.entry):
            return inspect.unwrap(self.entry.__init__)
        return inspect.unwrap(self.entry)

    @property
    def text(self) -> str:
        """The docstring."""
        return inspect.cleandoc(self.entry.__doc__ or "")


def subjects() -> Iterator[Subject]:
    """Everything that has to be documented."""
    for name in invprob.__all__:
        entry = getattr(invprob, name)
        if inspect.isclass(entry) or inspect.isfunction(entry):
            yield Subject(name, entry)
    for contract, module in CONTRACTS.items():
        yield from methods(contract, getattr(importlib.import_module(module), contract))
    for kind in vars(register):
        for name, entry in register.of(kind).items():
            if kind != "generator":
                yield Subject(f"{kind} {name}", entry)


def methods(contract: str, entry: type) -> Iterator[Subject]:
    """The public methods and properties that a class adds to those of its contract."""
    bases = [base for base in entry.__mro__[1:] if base.__module__.startswith("invprob")]
    for name, member in vars(entry).items():
        if name.startswith("_") or name == "extra_repr" or any(name in vars(b) for b in bases):
            continue
        if isinstance(member, property):
            yield Subject(f"{contract}.{name}", member, is_property=True)
        elif isinstance(member, staticmethod | classmethod):
            yield Subject(f"{contract}.{name}", member.__func__)
        elif inspect.isfunction(member):
            yield Subject(f"{contract}.{name}", member)


SUBJECTS = {subject.name: subject for subject in subjects()}


def test_every_kind_of_subject_is_found() -> None:
    assert {"solve", "Operator.forward", "operator circulant", "noise gaussian"} <= set(SUBJECTS)


@pytest.mark.parametrize("name", SUBJECTS)
def test_it_is_documented(name: str) -> None:
    assert not list(_problems(SUBJECTS[name]))


def _problems(subject: Subject) -> Iterator[str]:
    """What a docstring lacks."""
    sections = _sections(subject.text)
    purpose = subject.text.partition("\n\n")[0].rstrip()
    if not purpose.endswith("."):
        yield f"the purpose is not a sentence: {purpose!r}"
    parameters = _parameters(subject)
    described = _names(sections.get("Args", ""))
    for missing in set(parameters) - described - _names(sections.get("Attributes", "")):
        yield f"Args lacks {missing}"
    for unknown in described - set(parameters):
        yield f"Args describes {unknown}, which it does not take"
    if parameters and _returns_something(subject) and not {"Returns", "Yields"} & set(sections):
        yield "what it returns is missing"
    raises = _names(sections.get("Raises", ""))
    for error in _raised(subject.function) - raises:
        yield f"Raises lacks {error}"
    for error in raises:
        if not hasattr(errors, error) and not hasattr(builtins, error):
            yield f"Raises names {error}, which is no error"


def _sections(text: str) -> dict[str, str]:
    """The sections of a docstring in Google style, by their names."""
    _, *parts = SECTION.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _names(section: str) -> set[str]:
    """What a section describes, line by line."""
    return set(re.findall(r"^ {4}(\w+)(?: \([^)]*\))?: \S", section, re.MULTILINE))


def _parameters(subject: Subject) -> list[str]:
    """The names of what is passed in."""
    if inspect.isclass(subject.entry) and issubclass(subject.entry, BaseException):
        return []
    try:
        parameters = inspect.signature(subject.function).parameters.values()
    except ValueError:  # a class that takes nothing, such as `object`
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.name not in ("self", "cls") and parameter.kind not in variable
    ]


def _returns_something(subject: Subject) -> bool:
    if subject.is_property or inspect.isclass(subject.entry):
        return False
    annotation = subject.function.__annotations__.get("return")
    return annotation not in (None, "None", inspect.Signature.empty)


def _raised(function: Callable[..., Any]) -> set[str]:
    """The errors of this package that a function raises in its own lines."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        return set()
    found = set()
    for node in _own_nodes(tree.body[0]):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            called = node.exc.func
            error = function.__globals__.get(called.id) if isinstance(called, ast.Name) else None
            if inspect.isclass(error) and issubclass(error, InvprobError):
                found.add(error.__name__)
    return found


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from _own_nodes(child)
