"""Random streams: reproducible, independent, and pinned to values that must never change."""

import hashlib

import torch

from invprob.streams import derive, stream


def _draw(seed: int, name: str, step: int | None = None) -> torch.Tensor:
    return torch.randn(64, generator=stream(seed, name, step))


def test_same_arguments_give_the_same_draws() -> None:
    assert torch.equal(_draw(3, "noise"), _draw(3, "noise"))
    assert torch.equal(_draw(3, "noise", 7), _draw(3, "noise", 7))


def test_seed_name_and_step_each_give_other_draws() -> None:
    cases = [(0, "a", None), (1, "a", None), (0, "b", None), (0, "a", 0), (0, "a", 1), (1, "a", 0)]
    draws = [_draw(*case) for case in cases]
    for i, one in enumerate(draws):
        assert not any(torch.equal(one, other) for other in draws[i + 1 :])


def test_digits_do_not_wander_between_seed_name_and_step() -> None:
    assert derive(1, "2a") != derive(12, "a")
    assert derive(0, "a", 1) != derive(0, "a1")
    assert derive(0, "null") != derive(0, "null", 0)


def test_derive_follows_its_formula() -> None:
    digest = hashlib.sha256(b'[5, "operator", null]').hexdigest()
    assert derive(5, "operator") == int(digest[:16], 16) // 2
    assert 0 <= derive(-1, "x") < 2**63


def test_a_stream_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    _draw(0, "noise")
    assert torch.equal(before, torch.get_rng_state())
