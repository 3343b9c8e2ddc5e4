"""Training of encoders on small generators: draws, closed-form fit, exact resumption, refusals."""

import itertools
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import torch
from torch import Tensor

from invprob.encoder.linear_part import fit_linear_part_
from invprob.encoder.plan import Plan, named_kinds, usual_plan, usual_precision
from invprob.encoder.samples import Samples, draw_styles
from invprob.encoder.scores import distance_ratio, held_out
from invprob.encoder.training import EncoderTraining, load_checkpoint, save_checkpoint, train
from invprob.errors import ArgumentError, FileError, UnknownNameError
from invprob.perceptual.distance import Absent
from invprob.priors.encoder_files import Kind
from invprob.priors.encoders import ToolkitEncoder

NONE = Absent("left out")


def _plan(kind: Kind, steps: int = 4, **changes: Any) -> Plan:
    small: dict[str, Any] = {"batch": 2, "pool": 4, "fitted": 2, "image_every": 2, **changes}
    return Plan(kind, steps, **small)


def _training(kind: Kind, **changes: Any) -> EncoderTraining:
    return EncoderTraining(networks.random_generator(), _plan(kind, **changes), NONE)


def test_styles_are_of_one_w_or_change_once_to_another() -> None:
    generator = networks.random_generator()
    rng = torch.Generator().manual_seed(0)
    styles = draw_styles(generator, 400, rng, mixed=0.5, truncation=0.5)
    changes = (styles[:, 1:] != styles[:, :-1]).any(2).sum(1)
    assert set(changes.tolist()) == {0, 1}
    assert 0.4 < float(changes.float().mean()) < 0.6
    assert not (draw_styles(generator, 50, rng, mixed=0.0, truncation=0.5).std(1) > 0).any()


def test_styles_lie_halfway_to_the_mean_at_most() -> None:
    """The distance to the mean w is at least half and at most the whole of that of the same z."""
    generator = networks.random_generator()
    styles = draw_styles(
        generator, 200, torch.Generator().manual_seed(3), mixed=0.0, truncation=0.5
    )
    z = torch.randn(2, 200, generator.style_width, generator=torch.Generator().manual_seed(3))
    whole = (generator.mapping(z[0]) - generator.mean_w).norm(dim=1)
    share = (styles[:, 0] - generator.mean_w).norm(dim=1) / whole
    assert 0.5 <= float(share.min()) < 0.55 and 0.95 < float(share.max()) <= 1.0


def test_the_shared_offset_is_fitted_by_ridge_regression() -> None:
    """Against NumPy's solution in the dual form, from features that hooks record."""
    generator = networks.random_generator()
    encoder = _training("toolkit").encoder.eval()
    assert isinstance(encoder, ToolkitEncoder)
    rng = torch.Generator().manual_seed(1)
    images = torch.rand(30, 3, 128, 128, generator=rng) * 2 - 1
    styles = torch.randn(30, generator.num_layers, generator.style_width, generator=rng)
    seen: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
        for layer in (encoder.shared, encoder.direct)
    ]
    before = encoder(images).detach()
    for hook in hooks:
        hook.remove()
    features, colours = (part.double().numpy() for part in seen)
    blocks = images.double().numpy().reshape(30, 3, 16, 8, 16, 8).mean((3, 5))
    np.testing.assert_allclose(colours, blocks.reshape(30, -1), atol=1e-6)
    x = np.concatenate([features / features.std(ddof=1), colours / colours.std(ddof=1)], 1)
    y = ((styles - before).mean(1) / encoder.unit).double().numpy()
    fit_linear_part_(
        encoder, [Samples(styles[:10], images[:10]), Samples(styles[10:], images[10:])]
    )
    xc, yc = x - x.mean(0), y - y.mean(0)
    penalty = 1e-2 * (xc**2).sum(0).mean()
    fitted = y.mean(0) + xc @ xc.T @ np.linalg.solve(xc @ xc.T + penalty * np.eye(30), yc)
    after = encoder(images).detach()
    found = ((after - before) / encoder.unit).numpy()
    np.testing.assert_allclose(found, np.broadcast_to(fitted[:, None], found.shape), atol=2e-3)


@pytest.mark.parametrize("kind", ["toolkit", "base-code"])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(
    kind: Kind, tmp_path: Path
) -> None:
    whole = _training(kind)
    train(whole)
    for stop in (1, 3):  # within a pool, and within another
        first, path = _training(kind), tmp_path / "half.checkpoint"
        while first.taken < stop:
            first.step()
        save_checkpoint(first, path)
        second = _training(kind)
        load_checkpoint(second, path)
        train(second)
        for name, value in whole.encoder.state_dict().items():
            assert torch.equal(second.encoder.state_dict()[name], value), name


def test_each_pass_sees_each_sample_of_its_pool_once() -> None:
    training = _training("toolkit", passes=2)
    orders = []
    for first in (0, 2):
        seen = []
        for training.taken in (first, first + 1):
            seen.append(training._batch().styles[:, 0])
        assert len(torch.cat(seen).unique(dim=0)) == 4
        orders.append(torch.cat(seen))
    assert set(map(tuple, orders[0].tolist())) == set(map(tuple, orders[1].tolist()))
    assert not torch.equal(*orders)


def test_the_global_random_state_plays_no_part() -> None:
    torch.manual_seed(1)
    one = _training("toolkit", steps=1)
    torch.manual_seed(2)
    other = _training("toolkit", steps=1)
    assert one.step() == other.step()
    third = EncoderTraining(networks.random_generator(), _plan("toolkit", 1, seed=1), NONE)
    assert third.step() != one.step()


@pytest.mark.parametrize("kind", ["toolkit", "base-code"])
def test_training_lowers_its_losses(kind: Kind) -> None:
    training = _training(kind, steps=24, passes=12, rate=2e-3)
    losses: list[float] = []
    name = {"toolkit": "w", "base-code": "image"}[kind]
    train(training, progress=lambda _, found: losses.append(found[name]))
    assert len(losses) == 24
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])


def test_what_is_finished_finds_held_out_w_and_is_in_half_precision() -> None:
    """Even a hardly trained encoder, once its linear part is fitted, finds more than the mean w."""
    generator = networks.random_generator()
    plan = _plan("toolkit", 2, pool=64, precision="float32")
    training = EncoderTraining(generator, plan, NONE)
    train(training)
    done = training.finished()
    assert distance_ratio(done.encoder, generator, held_out(generator, 16)) < 0.95
    assert done.record["figures"]["distance ratio"] < 0.95
    for value in done.encoder.state_dict().values():
        assert torch.equal(value, value.half().to(value))
    assert training.encoder.training and not done.encoder.training


def test_checkpoints_every_so_often_and_their_refusals(tmp_path: Path) -> None:
    path = tmp_path / "some.checkpoint"
    train(_training("toolkit", steps=3), checkpoint=path, every=2)
    again = _training("toolkit", steps=3)
    load_checkpoint(again, path)
    assert again.taken == 2
    with pytest.raises(ArgumentError, match=r"steps = 3.*this one has 4.*--restart"):
        load_checkpoint(_training("toolkit", steps=4), path)
    other = EncoderTraining(networks.random_generator(seed=1), _plan("toolkit", 3), NONE)
    with pytest.raises(ArgumentError, match="generator = "):
        load_checkpoint(other, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FileError, match="cannot be read as a checkpoint"):
        load_checkpoint(again, path)
    torch.save({"taken": 1}, path)
    with pytest.raises(FileError, match="is not a checkpoint"):
        load_checkpoint(again, path)


@pytest.mark.parametrize("kind", ["toolkit", "base-code"])
def test_a_training_can_go_on_from_an_encoder(kind: Kind, tmp_path: Path) -> None:
    first = _training(kind, steps=2)
    train(first)
    start = first.finished()
    second = EncoderTraining(networks.random_generator(), _plan(kind, 2), NONE, start.encoder)
    for name, value in start.encoder.state_dict().items():
        assert torch.equal(second.encoder.state_dict()[name], value), name
    train(second, checkpoint=(path := tmp_path / "on.checkpoint"), every=1)
    assert any(
        not torch.equal(second.encoder.state_dict()[name], value)
        for name, value in start.encoder.state_dict().items()
    )
    assert start.record["start"] is None and second.finished().record["start"]
    with pytest.raises(ArgumentError, match="start = "):
        load_checkpoint(_training(kind, steps=2), path)


def test_the_rate_rises_and_falls_to_nothing() -> None:
    plan = _plan("toolkit", 100)
    rates = [plan.rate_at(step) for step in range(100)]
    assert rates[0] < rates[4] and max(rates) <= plan.rate
    assert all(a >= b for a, b in itertools.pairwise(rates[5:]))
    assert rates[-1] < 0.001 * plan.rate


def test_plans_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArgumentError, match="multiple of batch"):
        Plan("toolkit", 1, batch=3, pool=8)
    with pytest.raises(ArgumentError, match="steps must be at least 1, got 0"):
        Plan("toolkit", 0)
    with pytest.raises(ArgumentError, match="mixed and truncation from 0 to 1"):
        Plan("toolkit", 1, mixed=2.0)
    with pytest.raises(UnknownNameError, match="Did you mean 'toolkit'"):
        Plan("tolkit", 1)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="both"):
        named_kinds("all")
    assert named_kinds("both") == ("toolkit", "base-code")


def test_a_short_training_draws_no_more_than_it_needs() -> None:
    plan = usual_plan("toolkit", steps=2, seed=5)
    assert (plan.steps, plan.seed, plan.pool) == (2, 5, 2 * plan.batch)
    assert usual_plan("toolkit").pool == 1024


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "bfloat16"), (0.9, "float32"), (100.0, "float32")],
)
def test_a_processor_that_emulates_bfloat16_trains_in_float32(
    seconds: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A convolution in float32 takes a second here, one in bfloat16 as many as given."""
    clock = [0.0]

    def convolve(images: Tensor, kernels: Tensor, padding: int) -> Tensor:
        del kernels, padding
        clock[0] += seconds if images.dtype == torch.bfloat16 else 1.0
        return images

    monkeypatch.setattr(torch.nn.functional, "conv2d", convolve)
    monkeypatch.setattr("invprob.encoder.plan.time.perf_counter", lambda: clock[0])
    assert usual_precision(torch.device("cpu")) == expected


def test_bfloat16_changes_the_losses_by_its_rounding() -> None:
    """Its numbers have eight significant bits."""
    exact = _training("toolkit", steps=1).step()
    rounded = _training("toolkit", steps=1, precision="bfloat16").step()
    assert rounded != exact
    for name, value in exact.items():
        assert rounded[name] == pytest.approx(value, rel=0.02)
