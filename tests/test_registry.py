"""Names, plugins, options and building from settings."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from invprob.errors import ArgumentError, FileError, UnknownNameError
from invprob.operators import GaussianNoise, Identity, Mask, PartialCirculant, Rotate
from invprob.operators.structure import STRUCTURES, Structure, structure
from invprob.registry import (
    Auto,
    Register,
    build,
    load_plugin,
    options_of,
    register,
    registered_name,
)

PLUGIN = """
import torch
from invprob.operators import LinearOperator
from invprob.registry import register

@register.operator("{name}")
class Doubled(LinearOperator):
    def __init__(self, image_shape: tuple[int, ...], times: float = 2.0) -> None:
        super().__init__(image_shape, image_shape)
        self.times = times

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.times * image
"""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Leave the registers and the list of loaded plugins as they were."""
    before = {kind: dict(register.of(kind)._entries) for kind in vars(register)}
    yield
    for kind, entries in before.items():
        register.of(kind)._entries.clear()
        register.of(kind)._entries.update(entries)
        register.of(kind)._plugins_loaded = False


class _EntryPoint:
    def __init__(self, name: str, load: Any) -> None:
        self.name, self.value, self.load = name, "package.module", load
        self.dist = type("Distribution", (), {"name": "their-package"})()


def _install(monkeypatch: pytest.MonkeyPatch, *points: _EntryPoint) -> None:
    register.operator._plugins_loaded = False
    offered = {"invprob.operators": points}
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: offered.get(group, ()))


def test_looking_loads_the_builtin_operators_and_noise() -> None:
    assert register.operator["circulant"] is PartialCirculant
    assert {"identity", "circulant", "rotate", "translate", "scale", "luminance"} <= set(
        register.operator
    )
    assert register.noise["gaussian"] is GaussianNoise
    assert list(register.operator) == sorted(register.operator)
    assert len(register.operator) == len(set(register.operator))


def test_an_unknown_name_gets_a_hint_and_the_list() -> None:
    with pytest.raises(UnknownNameError) as caught:
        register.operator["circulent"]
    message = str(caught.value)
    assert "no operator is named 'circulent'. Did you mean 'circulant'?" in message
    assert "identity" in message
    assert isinstance(caught.value, LookupError)
    assert "circulent" not in register.operator
    assert register.operator.get("circulent") is None


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'operator'"):
        register.of("operators")


def test_a_name_belongs_to_one_class() -> None:
    class Other:
        pass

    with pytest.raises(ArgumentError) as caught:
        register.operator("circulant")(Other)
    assert "invprob.operators.circulant.PartialCirculant" in str(caught.value)
    assert "Other" in str(caught.value)
    assert register.operator["circulant"] is PartialCirculant


def test_registering_the_same_class_again_is_fine() -> None:
    register.operator("identity")(Identity)
    assert registered_name(Identity) == "identity"


def test_a_structure_cannot_take_the_name_of_an_operator() -> None:
    with pytest.raises(ArgumentError, match=r"'identity' is the name of .*identity\.Identity"):
        structure("identity")(Structure)
    assert set(STRUCTURES) == {
        "adjoint",
        "compose",
        "each",
        "external",
        "partial",
        "series",
        "stack",
    }


def test_what_is_not_registered_has_no_name() -> None:
    with pytest.raises(UnknownNameError, match="not registered"):
        registered_name(Path)


def test_entry_points_are_loaded_only_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load() -> None:
        loaded.append(1)
        register.operator("theirs")(Rotate)

    _install(monkeypatch, _EntryPoint("theirs", load))
    assert register.operator["identity"] is Identity
    assert not loaded
    assert register.operator["theirs"] is Rotate
    assert "theirs" in list(register.operator)
    assert loaded == [1]


def test_a_class_takes_the_name_of_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(Identity):
        pass

    _install(monkeypatch, _EntryPoint("theirs", lambda: Theirs))
    assert register.operator["theirs"] is Theirs
    assert Theirs((3, 4, 4)).spec() == {"type": "theirs", "image_shape": [3, 4, 4]}
    assert "theirs" not in register.noise


@pytest.mark.parametrize(
    "name", ["identity", "adjoint", "compose", "each", "external", "stack", "theirs"]
)
def test_names_that_packages_cannot_have(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    class Theirs(Identity):
        pass

    class Others(Identity):
        pass

    points = [_EntryPoint(name, lambda: Theirs), _EntryPoint(name, lambda: Others)]
    _install(monkeypatch, *points)
    with pytest.warns(UserWarning, match="was left out: ArgumentError") as caught:
        assert register.operator["identity"] is Identity and "x" not in register.operator
    said = [str(warning.message) for warning in caught]
    if name == "theirs":
        assert len(said) == 1 and "Theirs" in said[0] and "Others" in said[0]
    else:
        assert len(said) == 2
    if name == "identity":
        assert "invprob.operators.identity.Identity" in said[0] and "Theirs" in said[0]


@pytest.mark.parametrize(
    "failure", [ImportError("no such module"), SystemExit("no such module")], ids=repr
)
def test_a_broken_package_is_a_warning_that_names_it(
    monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def load() -> None:
        raise failure

    _install(monkeypatch, _EntryPoint("theirs", load))
    with pytest.warns(UserWarning, match="'their-package' was left out: .*: no such"):
        names = list(register.operator)
    assert "identity" in names


def test_a_broken_builtin_is_not_forgotten() -> None:
    empty: Register[Any] = Register("thing", "invprob.no_such_module", "invprob.things")
    for _ in range(2):
        with pytest.raises(ImportError):
            list(empty)


def test_a_plugin_file_registers(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN.format(name="doubled"))
    module = load_plugin(file)
    assert load_plugin(str(file)) is module
    operator = build("operator", "doubled", {"image_shape": (3, 4, 4), "times": 3})
    assert operator.spec() == {"type": "doubled", "image_shape": [3, 4, 4], "times": 3.0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import no_such_module_here", "no_such_module_here"),
        (PLUGIN.format(name="identity"), "two operators are named 'identity'"),
    ],
)
def test_a_plugin_file_that_fails(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(FileError, match=reason):
        load_plugin(file)
    assert register.operator["identity"] is Identity


def test_a_plugin_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is not a Python file"):
        load_plugin(tmp_path / "none.py")


def test_options_come_from_the_constructor() -> None:
    ratio, spectrum = options_of(PartialCirculant)
    assert (ratio.name, ratio.type, ratio.required) == ("ratio", float, True)
    assert "(0, 1]" in ratio.help
    assert (spectrum.type, spectrum.default, spectrum.required) == (str, "gaussian", False)
    assert spectrum.choices == ("gaussian", "unit", "sign")


def test_what_may_be_a_list_is_a_word_on_the_command_line() -> None:
    mask = next(option for option in options_of(Mask) if option.name == "mask")
    assert (mask.type, mask.required, mask.listed) == (str, True, True)
    for value in ("hole.png", [[0, 1]], Path("hole.png")):
        assert mask.read(value) is value
    for value in (3, True, 0.5):
        with pytest.raises(ArgumentError, match="mask must be a word"):
            mask.read(value)


def test_an_option_may_be_left_to_the_program() -> None:
    def method(
        *,
        content: Annotated[Literal["head", "constant"], Auto("the content part")],
        rate: Annotated[float, Auto("learning rate")],
    ) -> None:
        pass

    content, rate = options_of(method)
    for option in (content, rate):
        assert option.auto and not option.required and option.default == "auto"
        assert option.read("auto") == "auto"
    assert content.help == "the content part" and content.choices == ("auto", "head", "constant")
    assert content.read("head") == "head" and rate.read(3) == 3.0
    with pytest.raises(ArgumentError, match="one of 'auto', 'head', 'constant', got 'hed'"):
        content.read("hed")
    with pytest.raises(ArgumentError, match="rate must be auto or a number, got 'fast'"):
        rate.read("fast")


def test_options_of_a_function_are_its_keyword_only_parameters() -> None:
    def method(
        generator: object,
        steps: int,
        *,
        rate: Annotated[float, "learning rate"] = 0.1,
        preset: Annotated[Literal["paper", "official"], "size"] = "paper",
        depth: int | None = None,
        name: str,
        maps: bool = True,
        other: object = None,
    ) -> None:
        pass

    options = {option.name: option for option in options_of(method)}
    assert list(options) == ["rate", "preset", "depth", "name", "maps"]
    assert options["rate"].help == "learning rate"
    assert (options["depth"].type, options["depth"].nullable) == (int, True)
    assert options["depth"].read(None) is None
    assert options["name"].required
    assert options["maps"].read(False) is False


def test_options_without_annotations_come_from_the_defaults() -> None:
    def method(*, rate=0.1, steps=3, thing=()):  # type: ignore[no-untyped-def]
        pass

    assert [(o.name, o.type) for o in options_of(method)] == [("rate", float), ("steps", int)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ratoi": 0.1}, "has no option 'ratoi'. Did you mean 'ratio'"),
        ({"ratoi": 0.1}, r"Options: ratio, spectrum\.$"),
        ({}, "needs a value for 'ratio'"),
        ({"ratio": "0.1"}, "ratio must be a number, got '0.1'"),
        ({"ratio": True}, "ratio must be a number, got True"),
        ({"ratio": None}, "ratio must be a number, got None"),
        ({"ratio": 0.1, "seed": 1.5}, "seed must be an int, got 1.5"),
        ({"ratio": 0.1, "spectrum": "unti"}, "spectrum must be one of .* Did you mean 'unit'"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build("operator", "circulant", {"image_shape": (3, 8, 8), **settings})


def test_what_is_not_an_option_is_not_offered_as_one() -> None:
    with pytest.raises(ArgumentError, match=r"no option 'lr'\.") as caught:
        build("method", "w-plus", {"lr": 0.1})
    assert "setting" not in str(caught.value) and "learning_rate" in str(caught.value)


def test_integers_serve_as_numbers() -> None:
    assert build("operator", "rotate", {"image_shape": (3, 8, 8), "degrees": 90}).spec()[
        "degrees"
    ] == pytest.approx(90.0)


def test_the_registry_does_not_import_torch() -> None:
    code = "import sys, invprob.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
