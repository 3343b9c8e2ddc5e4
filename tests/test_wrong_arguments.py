"""Arguments of a wrong kind: every public function and class says in one line what is right."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import torch
from fake_distance import FakeDistance
from jaxtyping import AbstractArray
from public_names import public_names
from solved import small_generator, solved
from torch import nn

import invprob
from invprob.docstrings import hints_of
from invprob.errors import CallError, InvprobError
from invprob.latents import Direction, Distance, Latents, Region, Strip, StyleDirection, edit
from invprob.losses import DataMisfit, Term
from invprob.measurements import Measurements, measure
from invprob.methods import Asked, Candidate, Choices, Problem
from invprob.operators import GaussianNoise, Identity, Noise, Operator
from invprob.perceptual.distance import PerceptualDistance
from invprob.perceptual.trunks import NETWORKS, Network
from invprob.priors import Code, Generator, GeneratorConfig, ParamGroup, Pixels, Prior
from invprob.priors.parts import Part, WPlus
from invprob.priors.parts.heads import HeadShape
from invprob.priors.stylegan import SynthesisInputs
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.statistics import Statistics, sample_statistics
from invprob.registry import register
from invprob.solver.optimisers import Adam, Optimiser
from invprob.solver.solution import Outcome, Solution
from invprob.solver.split import Split
from invprob.solver.task import Stage, Task
from invprob.units import Units

SHAPE = (3, 32, 32)
IMAGE = torch.zeros(1, *SHAPE)
WRONG: dict[str, Any] = {
    "an array": np.zeros((1, *SHAPE)),
    "a word": "faces",
    "a number": 0.5,
    "None": None,
    "a function": lambda value: value,
    "a list": ["a", 2],
    "whole numbers": torch.zeros(1, *SHAPE, dtype=torch.uint8),
    "an object": object(),
}

# What the library alone calls, with what it has made itself.
INSIDE = (
    "Code",
    "callbacks.Iterate",
    "callbacks.copied",
    "callbacks.first_stop",
    "callbacks.gather_states",
    "callbacks.restore_states",
    "perceptual.distance.Absent",
    "operators.CoilScan",
    "operators.Transmission",
    "operators.Whitened",
    "run.images.LoadedImage",
    "run.images.central_square",
    "run.images.padded_place",
    "run.images.resize_image",
    "run.samples.Sample",
    "solver.loop.step",
    "solver.optimisers.unit_rows",
    "solver.stages.join_traces",
)
NAMES = {
    name: entry
    for name, entry in public_names().items()
    if name not in INSIDE and not inspect.isabstract(entry) and ".Started" not in name
}


def measured() -> Measurements:
    return measure(torch.zeros(1, *SHAPE), Identity(SHAPE), GaussianNoise(sigma=0.1))


def stage() -> Stage:
    return Stage(Pixels(SHAPE), [DataMisfit()], Adam(), lambda progress: 1.0, 1)


def task() -> Task:
    return Task(measured(), Identity(SHAPE), [stage()])


def direction() -> StyleDirection:
    return StyleDirection("some", torch.ones(8, 16))


VALID: Mapping[type, Callable[[], Any]] = {
    Asked: Asked,
    Candidate: lambda: Candidate("tv", "it is quick"),
    Choices: Choices,
    Code: lambda: Pixels(SHAPE).start(1, torch.Generator()),
    Direction: direction,
    Distance: Distance,
    Generator: networks.random_generator,
    GeneratorConfig: lambda: networks.SMALL,
    HeadShape: lambda: HeadShape((8, 4), (4, 8), 2),
    Latents: lambda: Latents.of(solved("w-plus")),
    Measurements: measured,
    Network: lambda: NETWORKS["alex"],
    Noise: lambda: GaussianNoise(sigma=0.1),
    Operator: lambda: Identity(SHAPE),
    Optimiser: Adam,
    Outcome: lambda: Outcome.finished(1),
    Part: WPlus,
    Path: lambda: Path("nowhere"),
    PerceptualDistance: FakeDistance,
    Prior: lambda: Pixels(SHAPE),
    Problem: lambda: Problem(SHAPE, SHAPE),
    Region: lambda: Region(torch.ones(32, 32) > 0, (0.5,)),
    Solution: lambda: solved("w-plus"),
    Split: lambda: Split.of(measured(), Identity(SHAPE), 0.1, 0),
    Stage: stage,
    Statistics: lambda: sample_statistics(
        networks.random_generator(), torch.Generator(), count=100
    ),
    Strip: lambda: edit(Latents.of(solved("w-plus")), direction(), [0.5]),
    StyleGANPrior: lambda: StyleGANPrior(small_generator()),
    SynthesisInputs: SynthesisInputs,
    Task: task,
    Term: DataMisfit,
    bool: lambda: True,
    float: lambda: 0.5,
    int: lambda: 1,
    nn.Parameter: lambda: nn.Parameter(torch.zeros(1)),
    nn.Sequential: lambda: NETWORKS["alex"].trunk(),
    str: lambda: "misfit",
    torch.Generator: torch.Generator,
    torch.Tensor: lambda: torch.zeros(1, *SHAPE),
    Units: Units,
}

# Where the kind alone does not tell a right argument.
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "load_image": {"path": Path(invprob.__path__[0]) / "samples" / "face.png"},
    "measurements.snr": {"noisy": torch.ones(1, *SHAPE)},
    "methods.make": {"name": "tv"},
    "methods.needs_generator": {"name": "sphinx"},
    "methods.open_options": {"name": "sphinx"},
    "operators.Affine": {"matrix": [[1, 0, 0], [0, 1, 0]]},
    "solver.loop.minimise": {"number": 0},
    "restore": {"method": "tv", "steps": 1},
}


def valid(hint: Any) -> Any:
    """An argument that fits an annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return valid(arguments[0])
    if origin is typing.Literal:
        return arguments[0]
    if origin in (typing.Union, types.UnionType):
        return valid(arguments[0])
    if hint == tuple[int, ...]:
        return SHAPE
    if origin is tuple:
        return tuple(valid(argument) for argument in arguments if argument is not ...)
    if origin is not None and issubclass(origin, Mapping):
        return {}
    if origin in (Sequence, typing.get_origin(typing.Iterable[int])):
        return [valid(arguments[0])]
    if origin is Callable:
        return lambda *values: None
    if inspect.isclass(hint) and hint in VALID:
        return VALID[hint]()
    if inspect.isclass(hint) and not issubclass(hint, AbstractArray):
        pytest.skip(f"nothing stands for a {hint.__name__}")
    array: Any = hint
    return torch.zeros(1, *SHAPE)[(..., *[0] * (4 - min(4, len(array.dims))))]


def right(name: str) -> dict[str, Any]:
    """Arguments by name with which the entry can be called."""
    entry = NAMES[name]
    if (
        inspect.isclass(entry)
        and issubclass(entry, Operator)
        and entry in set(register.operator.values())
    ):
        return dict(entry.example()._arguments)
    hints = hints_of(entry)
    required = {
        key: None
        for key, one in inspect.signature(entry).parameters.items()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    }
    given = ARGUMENTS.get(name, {})
    return {**{key: valid(hints[key]) for key in required if key not in given}, **given}


def solution() -> Solution:
    return invprob.restore(measured(), "tv", steps=1)


def composed(inner: Operator) -> Operator:
    return Identity(SHAPE) @ inner


RNG = torch.Generator()
# Methods that a user calls: how to make the object, the method, and right arguments.
METHODS: Sequence[tuple[Callable[[], Any], str, Mapping[str, Any]]] = (
    (measured, "for_images", {"rows": slice(0, 1), "operator": Identity(SHAPE)}),
    (measured, "check", {"operator": Identity(SHAPE)}),
    (measured, "save", {"path": "saved"}),
    (measured, "load", {"path": "saved"}),
    (measured, "from_array", {"array": np.zeros(SHAPE), "operator": Identity(SHAPE)}),
    (solution, "render", {"prior": Pixels(SHAPE)}),
    (solution, "save", {"path": "saved"}),
    (solution, "load", {"path": "saved"}),
    (task, "with_rule", {"rule": lambda: None}),
    (lambda: composed, "__call__", {"inner": Identity(SHAPE)}),
    (lambda: Operator, "from_spec", {"spec": Identity(SHAPE).spec()}),
    (lambda: Noise, "from_spec", {"spec": GaussianNoise(sigma=0.1).spec()}),
    (lambda: Prior, "from_spec", {"spec": Pixels(SHAPE).spec()}),
    (lambda: Pixels(SHAPE), "start", {"batch": 1, "rng": RNG}),
    (Adam, "start", {"groups": [ParamGroup([nn.Parameter(torch.zeros(1))])]}),
    (DataMisfit, "bind", {"target": torch.zeros(1, *SHAPE), "operator": Identity(SHAPE)}),
    (lambda: invprob.metrics.psnr, "__call__", {"image": IMAGE, "truth": IMAGE}),
    (lambda: register, "of", {"kind": "operator"}),
    (lambda: register.operator, "__call__", {"name": "mine"}),
)


def complaint(entry: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with how a call ends, other than well or by an error in one line."""
    try:
        entry(**arguments)
    except InvprobError as error:
        return None if len(str(error).splitlines()) == 1 else f"several lines: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:80]}"
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_kind_is_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    complaints = []
    for key, parameter in inspect.signature(NAMES[name]).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        for kind, value in WRONG.items():
            told = complaint(NAMES[name], {**right(name), key: value})
            if told is not None:
                complaints.append(f"{key} = {kind}: {told}")
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_does_not_fit_is_told_the_right_one(name: str) -> None:
    entry, parameters = NAMES[name], inspect.signature(NAMES[name]).parameters.values()
    if any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        pytest.skip("takes anything")
    with pytest.raises(CallError, match=f"; write .*{name.rpartition('.')[2]}\\("):
        entry(*[None] * (len(parameters) + 1))
    with pytest.raises(CallError, match=f"; write .*{name.rpartition('.')[2]}\\("):
        entry(nothing=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "method", "given"), METHODS)
def test_methods_refuse_a_wrong_kind_in_one_line(
    make: Callable[[], Any],
    method: str,
    given: Mapping[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    made = make()
    if method == "load":
        made.save("saved")
    call = getattr(made, method)
    call(**given)
    complaints = [
        f"{key} = {kind}: {told}"
        for key in given
        for kind, value in WRONG.items()
        if (told := complaint(call, {**given, key: value})) is not None
    ]
    assert not complaints, "\n".join(complaints)
