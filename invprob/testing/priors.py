"""The laws of a prior's contract, for `invprob.testing.check_prior`."""

import json

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.draws import normal
from invprob.errors import ContractError
from invprob.priors.base import Code, Prior

BATCH = 3


@checked
@undisturbed()
def check_prior(prior: Prior) -> None:
    """Examine the laws of a prior's contract.

    Free variables have a leading batch axis and start alike for all images. Images have the
    declared shape, are the same for the same draws, and depend on their own variables only.
    `groups` lists every variable once. `render` draws the same image from what `realise` keeps.

    Args:
        prior: a prior, best with a small generator.

    Raises:
        ContractError: a law is broken; the message names the first one.
    """
    code = prior.start(BATCH, _rng(0))
    _start(prior, code)
    _decode(prior, code)
    _independence(prior, code)
    _groups(prior, code)
    _terms(prior, code)
    _realised(prior, code)


def _rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _demand(kept: bool, otherwise: str) -> None:
    if not kept:
        raise ContractError(otherwise)


def _start(prior: Prior, code: Code) -> None:
    again = prior.start(BATCH, _rng(0)).state_dict()
    _demand(next(code.parameters(), None) is not None, "start() gives a code without parameters")
    for name, value in code.named_parameters():
        _demand(
            value.ndim > 0 and value.shape[0] == BATCH,
            f"the variable {name} is {tuple(value.shape)}; a batch of {BATCH} comes first",
        )
        _demand(
            torch.equal(value[0], value[1]) and torch.equal(value[0], value[-1]),
            f"the variable {name} starts differently for each image of a batch",
        )
        _demand(
            torch.equal(value, again[name]), f"the same generator starts {name} in another place"
        )


def _decode(prior: Prior, code: Code) -> None:
    with torch.no_grad():
        image = prior.decode(code, _rng(1))
        again = prior.decode(code, _rng(1))
    expected = (BATCH, *prior.image_shape)
    _demand(tuple(image.shape) == expected, f"decode() gives {tuple(image.shape)}, not {expected}")
    _demand(bool(image.isfinite().all()), "decode() gives NaN or infinite values at the start")
    _demand(torch.equal(image, again), "decode() gives other images for the same draws")


def _independence(prior: Prior, code: Code) -> None:
    parameters = dict(code.named_parameters())
    image = prior.decode(code, _rng(1))
    weights = normal(image.shape[1:], _rng(2)).to(image)
    gradients = torch.autograd.grad(
        (image[1] * weights).sum(), list(parameters.values()), allow_unused=True
    )
    moved = False
    for name, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        moved = moved or bool(gradient[1].abs().sum() > 0)
        _demand(
            bool((gradient[0] == 0).all()) and bool((gradient[2:] == 0).all()),
            f"the image of one solve depends on the variable {name} of another",
        )
    _demand(moved, "the images depend on no free variable")


def _groups(prior: Prior, code: Code) -> None:
    groups = prior.groups(code)
    listed = [id(value) for group in groups for value in group.parameters]
    _demand(len(listed) == len(set(listed)), "groups() lists a variable twice")
    _demand(
        set(listed) == {id(value) for value in code.parameters()},
        "groups() leaves out a free variable, or lists one that is not in the code",
    )
    _demand(all(group.lr_scale > 0 for group in groups), "groups() has a learning-rate scale <= 0")


def _terms(prior: Prior, code: Code) -> None:
    for name, value in prior.regularisers(code).items():
        _demand(
            tuple(value.shape) == (BATCH,),
            f"the regulariser {name} is {tuple(value.shape)}; one value an image is expected",
        )
    prior.project_(code)
    once = {name: value.clone() for name, value in code.state_dict().items()}
    prior.project_(code)
    for name, value in code.state_dict().items():
        _demand(
            torch.allclose(value, once[name], rtol=1e-4, atol=1e-5),
            f"project_() moves {name} again when it is called twice",
        )


def _realised(prior: Prior, code: Code) -> None:
    with torch.no_grad():
        realised = {
            name: value.clone(memory_format=torch.contiguous_format)
            for name, value in prior.realise(code, _rng(1)).items()
        }
        first = prior.render(realised)
        second = prior.render({name: _copy(value) for name, value in realised.items()})
    _demand(
        tuple(first.shape) == (BATCH, *prior.image_shape),
        f"render() gives {tuple(first.shape)}, not {(BATCH, *prior.image_shape)}",
    )
    _demand(torch.equal(first, second), "render() gives another image for the same tensors")
    try:
        json.dumps(prior.spec())
    except TypeError as error:
        raise ContractError(f"spec() is not JSON: {error}") from None


def _copy(value: Tensor) -> Tensor:
    return value.clone()
