"""The choice of a method by the data.

`TABLE` says which methods `auto` tries, when, and why. `invprob.methods.contest` has the contest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from invprob.errors import ArgumentError
from invprob.methods.problem import Problem, Setting
from invprob.methods.recipe import Candidate, Contest, Recipe
from invprob.registry import register

# The method that searches the generator, the best one of those that do.
GENERATOR = "sphinx-adapted"


@dataclass(frozen=True)
class Row:
    """A method that is tried.

    Args:
        method: its registered name.
        because: why it is tried, as a clause that follows "because".
        when: the problems for which it is tried.
    """

    method: str
    because: str
    when: Callable[[Problem], bool]


def _always(problem: Problem) -> bool:
    del problem
    return True


TABLE = (
    Row(GENERATOR, "its generator knows what pictures of its kind look like", _always),
    Row(
        "tv",
        "most pictures are smooth between edges, and the operator is linear",
        lambda problem: problem.linear,
    ),
    Row(
        "tv-descent",
        "most pictures are smooth between edges, and the operator is not linear",
        lambda problem: not problem.linear,
    ),
    Row(
        "wavelet",
        "most pictures have few details on smooth ground, and the operator is linear",
        lambda problem: problem.linear,
    ),
    Row("deep-image-prior", "an untrained network draws pictures sooner than noise", _always),
)

F = TypeVar("F", bound=Callable[..., Recipe])


def _lists_candidates(method: F) -> F:
    """Add the rows of the table to the docstring of the method."""
    rows = "\n".join(f"    - `{row.method}`: {row.because}." for row in TABLE)
    about, raises, errors = (method.__doc__ or "").partition("    Raises:\n")
    method.__doc__ = f"{about}    Tried are:\n\n{rows}\n\n{raises}{errors}"
    return method


@register.method("auto")
@_lists_candidates
def auto(
    setting: Setting,
    *,
    candidates: Annotated[
        str | None, "methods to try, such as 'sphinx tv'; by default those listed above"
    ] = None,
    held_out: Annotated[
        float | None,
        "share of the measurements that is held out and judges, in (0, 1); by default what makes "
        "200 numbers and 3 units, but from 0.05 to 0.2",
    ] = None,
) -> Recipe:
    """Try several methods, and take the one that predicts held-out measurements best.

    Each method restores from a part of the measurements, and is judged by the misfit of the others.
    The winner then restores from all of them. Where the mean of the best images has a lower
    held-out misfit than the best alone, these methods restore from all measurements, and the result
    is their mean. The true image plays no part. The images of one run get the same method: the one
    whose held-out misfit has the lowest geometric mean over the images.

    Raises:
        ArgumentError: the share is outside (0, 1), or the candidates name no method.
        UnknownNameError: no method has the name of a candidate.
    """
    if held_out is not None and not 0 < held_out < 1:
        raise ArgumentError(f"held_out must be a share in (0, 1), got {held_out}; try 0.1")
    return Recipe((), contest=Contest(_named(candidates) or candidates_for(setting), held_out))


def candidates_for(problem: Problem) -> tuple[Candidate, ...]:
    """Return the methods that are tried for a problem, in the order of the table.

    Args:
        problem: what is to be solved; not what was measured, nor the truth.
    """
    return tuple(Candidate(row.method, row.because) for row in TABLE if row.when(problem))


def _named(candidates: str | None) -> tuple[Candidate, ...]:
    """The methods that the user names, each once."""
    if candidates is None:
        return ()
    names = dict.fromkeys(candidates.replace(",", " ").split())
    if not names or "auto" in names:
        raise ArgumentError(
            f"candidates must name methods other than auto, such as 'sphinx tv', got {candidates!r}"
        )
    for name in names:
        register.method[name]  # raises where there is none
    return tuple(Candidate(name, "asked for") for name in names)
