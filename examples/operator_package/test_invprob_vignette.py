"""The whole test of an operator: `pytest examples/operator_package`."""

from invprob_vignette import Vignette

from invprob.testing import check_operator


def test_the_contract() -> None:
    """Shapes, adjoint, norm, pseudo-inverse and all the rest."""
    check_operator(Vignette.example())
