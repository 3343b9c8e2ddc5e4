"""Docstrings that are completed from annotations: what is added, where, and what is left alone."""

import inspect
from typing import TYPE_CHECKING, Annotated

import pytest

from invprob.cli.app import run
from invprob.docstrings import Common, completed, hints_of, text_of, without_arguments
from invprob.operators import MRI, PartialCirculant
from invprob.registry import register

if TYPE_CHECKING:
    from nowhere import Unknown  # pyright: ignore[reportMissingImports]

COMMON = Common(
    {"image_shape": "shape of the images without the batch axis, such as (3, 128, 128)"}
)

ARGS = """Args:
    rate: learning rate, above 0.
    image_shape: shape of the images without the batch axis, such as (3, 128, 128)."""


def plain(rate: Annotated[float, "learning rate, above 0"], image_shape: tuple[int, ...]) -> None:
    """Do something.

    And more.
    """


def sectioned(rate: Annotated[float, "learning rate, above 0"], image_shape: object) -> int:
    """Do something.

    Returns:
        A number.

    Raises:
        ValueError: there is none.
    """
    return 0


def own(rate: Annotated[float, "learning rate"]) -> None:
    """Do something.

    Args:
        rate: how fast.
    """


def deferred(
    rate: "Annotated[float, 'learning rate, above 0']", other: "Unknown", image_shape: "object"
) -> None:
    """Do something."""


def bare(rate: Annotated[float, "learning rate"]) -> None:
    pass


def silent(rate: float) -> None:
    """Do something."""


def test_the_section_is_appended() -> None:
    assert completed(plain, COMMON) == f"Do something.\n\nAnd more.\n\n{ARGS}"


def test_the_section_comes_before_what_is_returned() -> None:
    expected = (
        f"Do something.\n\n{ARGS}\n\nReturns:\n    A number.\n\n"
        "Raises:\n    ValueError: there is none."
    )
    assert completed(sectioned, COMMON) == expected


@pytest.mark.parametrize("entry", [own, bare, silent])
def test_what_has_nothing_to_add_is_left_alone(entry: object) -> None:
    assert inspect.isfunction(entry)
    assert completed(entry, COMMON) == entry.__doc__


def test_what_all_functions_of_a_register_return_is_appended() -> None:
    common = Common(COMMON.parameters, "The recipe.")
    assert completed(plain, common) == (
        f"Do something.\n\nAnd more.\n\n{ARGS}\n\nReturns:\n    The recipe."
    )
    assert completed(sectioned, common) == completed(sectioned, COMMON)
    assert "Returns:" not in (completed(MRI, common) or "")


def test_annotations_that_are_texts_are_read_and_unknown_names_skipped() -> None:
    assert completed(deferred, COMMON) == f"Do something.\n\n{ARGS}"
    assert list(hints_of(deferred)) == ["rate", "image_shape", "return"]
    assert text_of(hints_of(deferred)["rate"]) == "learning rate, above 0"


def test_the_section_can_be_taken_away_again() -> None:
    for entry in (plain, sectioned, deferred):
        added = completed(entry, COMMON)
        assert entry.__doc__ is not None and added is not None
        assert without_arguments(added) == inspect.cleandoc(entry.__doc__)


def test_long_texts_are_wrapped() -> None:
    def entry(rate: Annotated[float, "word " * 40]) -> None:
        """Do something."""

    text = completed(entry, COMMON) or ""
    assert max(map(len, text.splitlines())) <= 100
    assert " ".join(text.split()) == f"Do something. Args: rate: {'word ' * 39}word."


def test_registering_documents_the_options_once() -> None:
    before = PartialCirculant.__doc__ or ""
    assert before.count("Args:") == 1
    assert "\n    ratio: number of measurements per image element, in (0, 1]." in before
    register.operator("circulant")(PartialCirculant)
    assert PartialCirculant.__doc__ == before


def test_a_metric_is_explained_as_well() -> None:
    assert "\n    truth: the true images" in (register.metric["psnr"].__doc__ or "")


def test_help_shows_the_options() -> None:
    text = inspect.getdoc(MRI) or ""
    for name in ("image_shape", "acceleration", "centre_fraction", "seed"):
        assert f"\n    {name}: " in text


def test_the_command_line_lists_each_option_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["operators", "mri"]) == 0
    text = capsys.readouterr().out
    assert "Args:" not in text
    assert text.count("number of columns per column that is measured, at least 1") == 1
