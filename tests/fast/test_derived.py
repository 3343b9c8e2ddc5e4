"""What is kept of a buffer: made once for each state, dtype and device."""

import copy

import torch
from torch import Tensor, nn

from invprob.fast.derived import Derived

calls: list[Tensor] = []


def double(values: Tensor) -> Tensor:
    calls.append(values)
    return 2 * values


def test_it_is_made_once_and_again_when_the_buffer_changed() -> None:
    calls.clear()
    buffer, derived = torch.ones(3), Derived()
    first = derived.of(buffer, transform=double)
    assert derived.of(buffer, transform=double) is first and len(calls) == 1
    buffer.add_(1)
    assert derived.of(buffer, transform=double).tolist() == [4, 4, 4]
    assert derived.of(buffer.clone(), transform=double).tolist() == [4, 4, 4] and len(calls) == 3
    assert derived.of(buffer, torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_it_follows_a_module_to_another_precision_and_back() -> None:
    layer, derived = nn.Linear(2, 2), Derived()
    exact = derived.of(layer.weight, transform=double)
    layer.bfloat16().float()
    rounded = derived.of(layer.weight, transform=double)
    assert not torch.equal(rounded, exact) and torch.equal(rounded, 2 * layer.weight)


def test_what_is_kept_serves_gradients_and_copies_start_empty() -> None:
    derived = Derived()
    with torch.inference_mode():
        kept = derived.of(torch.ones(3), transform=double)
    assert not kept.is_inference() and len(derived) == 1
    assert len(copy.deepcopy(derived)) == 0
