"""What single rows of Table 1 promise, on a small generator."""

from typing import Any

import networks
import pytest
import torch
from fake_distance import FakeDistance
from torch import Tensor

import invprob
from invprob.errors import ArgumentError
from invprob.methods import Recipe, make
from invprob.operators import GaussianNoise, Identity
from invprob.priors.parts.w_spaces import StartedW
from invprob.priors.stylegan.extras import statistics_for
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.statistics import Whitening
from invprob.solver.stages import solve_stages
from invprob.solver.task import Stage, allot
from invprob.streams import stream

GENERATOR = networks.random_generator(seed=1, dtype=torch.float64)
SHAPE = GENERATOR.image_shape


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def target(batch: int = 2) -> Tensor:
    """Images of rows that differ, so that no single w draws them."""
    z = torch.randn(batch * GENERATOR.num_layers, GENERATOR.style_width, generator=rng(3))
    rows = GENERATOR.mapping(z.double()).view(batch, GENERATOR.num_layers, -1)
    return GENERATOR.synthesis(rows)


def recipe(name: str, **options: Any) -> Recipe:
    return make(name, GENERATOR, SHAPE, measurement_shape=SHAPE, **options)


def run(stages: Recipe | list[Stage], steps: int | None, batch: int = 2) -> invprob.Solution:
    operator = Identity(SHAPE).double()
    measurements = invprob.measure(target(batch), operator)
    made = stages if isinstance(stages, Recipe) else Recipe(tuple(stages))
    return solve_stages(made.task(measurements, operator, steps=steps))


def below_variance(solution: invprob.Solution) -> float:
    """Error of the image in dB below the variance of the target."""
    error = (solution.image - target(1)).square().mean()
    return float(10 * torch.log10(target(1).var() / error))


def test_a_shared_head_cannot_make_rows_that_differ() -> None:
    """SPHInX against the mapping network as head (Fig. 2 of the paper): more than 5 dB apart."""
    heads = below_variance(run(recipe("sphinx-style", learning_rate=0.02), 60, batch=1))
    for name in ("mapping-finetuned", "mapping-reinit"):
        assert heads > below_variance(run(recipe(name, learning_rate=1.0), 60, batch=1)) + 5


@pytest.mark.parametrize("name", ["pulse", "pgd-z", "z-plus-s-b"])
def test_spheres_keep_every_norm(name: str) -> None:
    code = run(recipe(name), 10).code
    origin, z = code["style.origin0"], code["style.tensors.0"]
    assert not torch.allclose(z, origin, rtol=0.1, atol=0.1)
    torch.testing.assert_close(z.norm(dim=-1), origin.norm(dim=-1))
    if name == "pulse":
        for index in range(5):
            before, after = code[f"noise.origin{index}"], code[f"noise.tensors.{index}"]
            assert not torch.equal(before, after)
            torch.testing.assert_close(after.norm(dim=(2, 3)), before.norm(dim=(2, 3)))
        assert "noise.tensors.5" not in code
        first = recipe("pulse").prior.start(2, stream(0, "start")).state_dict()
        assert torch.equal(code["noise.held0"], first["noise.held0"])


def test_each_round_of_ilo_begins_at_the_image_of_the_one_before() -> None:
    for skip, kept in (("kept", True), ("dropped", False)):
        stages = list(recipe("ilo", skip=skip).stages)
        for number in (1, 2, 3):
            before = run(stages[:number], 2 * number)
            code = stages[number].prior.start(2, rng())
            stages[number].prior.adopt_(code, before.realised)
            begun = stages[number].prior.decode(code, rng())
            assert torch.allclose(begun, before.image, atol=1e-9) is kept
            held = [key for key in code.state_dict() if key.startswith("noise.held")]
            assert len(held) == max(0, len(GENERATOR.noise_shapes) - 5 - 2 * number)


def test_the_balls_of_ilo_hold() -> None:
    made = recipe("ilo", ball=0.01, rounds=2)
    code = run(made, 40).code
    moved = code["content.tensors.0"] - code["content.origin0"]
    torch.testing.assert_close(moved.abs().flatten(1).mean(1), torch.full((2,), 0.01).double())
    with pytest.raises(ArgumentError, match="rounds must be 1 to 4"):
        recipe("ilo", rounds=5)


def test_ilo_splits_its_steps_and_takes_all_of_its_rounds() -> None:
    assert [stage.steps for stage in recipe("ilo").stages] == [50, 50, 25, 25]
    assert [stage.steps for stage in recipe("ilo", steps=300).stages] == [100, 100, 50, 50]
    assert [stage.steps for stage in allot(recipe("robust").stages, 7)] == [2, 3, 2]


def test_the_clipping_form_of_p_norm_holds() -> None:
    bound = 0.2
    styles = run(recipe("p-norm+", form="clip", bound=bound, learning_rate=0.1), 20).realised[
        "styles"
    ]
    largest = Whitening(statistics_for(GENERATOR), 1e-2)(styles).abs().max()
    assert largest == pytest.approx(bound, rel=1e-6)
    free = run(recipe("p-norm+", weight=0.0, learning_rate=0.1), 20).realised["styles"]
    assert Whitening(statistics_for(GENERATOR), 1e-2)(free).abs().max() > 2 * bound


def test_i2s_plus_plus_holds_the_rows_of_its_first_stage() -> None:
    for second, name in (("noise", "noise.3"), ("content", "content")):
        made = recipe("i2s++", second=second)
        first = run([made.stages[0]], 10)
        both = run(made, 16)
        assert torch.equal(first.realised["styles"], both.realised["styles"])
        assert not torch.equal(first.realised[name], both.realised[name])
        assert (both.trace["misfit"][-1] < both.trace["misfit"][9]).all()


def test_pie_and_robust_go_from_w_to_w_plus_and_beyond() -> None:
    made = recipe("robust")
    after = [run(list(made.stages[:count]), 3 * count).realised for count in (1, 2, 3)]
    one = after[0]["styles"]
    assert torch.equal(one, one[:, :1].expand_as(one))
    # Steps of unit rows, without memory: three of length 0.08 from the mean w.
    assert ((one[:, 0] - GENERATOR.mean_w).norm(dim=1) < 3 * 0.08 * 1.001).all()
    assert not torch.equal(after[1]["styles"][:, 0], after[1]["styles"][:, 1])
    assert ((after[1]["styles"] - one).norm(dim=2) < 3 * 0.02 * 1.001).all()
    assert "styles" not in after[2] and "scales.0" in after[2]
    made = recipe("pie")
    one = run([made.stages[0]], 3).realised["styles"]
    begun = made.stages[1].prior.start(2, rng())
    made.stages[1].prior.adopt_(begun, {"styles": one})
    assert isinstance(made.stages[1].prior, StyleGANPrior)
    assert torch.equal(made.stages[1].prior.realise(begun, rng())["styles"], one)


def test_the_published_code_schedules_its_style_head_alone() -> None:
    prior = recipe("sphinx-official").prior
    groups = prior.groups(prior.start(1, rng()))
    assert [group.scheduled for group in groups] == [True, False, False]


def test_the_projector_keeps_its_noise_white() -> None:
    realised = run(recipe("karras"), 8).realised
    for index in range(len(GENERATOR.noise_shapes)):
        noise = realised[f"noise.{index}"].flatten(1)
        torch.testing.assert_close(noise.mean(1), torch.zeros(2).double(), atol=1e-12, rtol=0)
        torch.testing.assert_close(noise.square().mean(1), torch.ones(2).double())
    assert torch.equal(realised["styles"][:, 0], realised["styles"][:, -1])


@pytest.mark.parametrize("name", ["karras", "wulff", "robust"])
def test_perceptual_rows_say_when_they_run_on_the_misfit(name: str) -> None:
    assert any("runs on the data term" in note for note in recipe(name).notes)
    fake = FakeDistance()
    seeing = make(name, GENERATOR, SHAPE, perceptual=fake)
    assert not seeing.notes
    assert all("misfit" not in term.name for term in seeing.stages[0].terms)


def test_rows_without_their_network_or_model_say_so() -> None:
    fake = FakeDistance()
    made = make("i2s", GENERATOR, SHAPE, perceptual=fake)
    assert any("LPIPS of fake stands in" in note for note in made.notes)
    assert [term.name for term in made.stages[0].terms] == ["misfit", "lpips-fake"]
    assert any("face model" in note for note in recipe("pie").notes)


def test_psp_is_what_the_encoder_finds_and_takes_no_step() -> None:
    made = recipe("psp")
    solution = run(made, None)
    rows = networks.LinearEncoder(GENERATOR, "toolkit")(target().clamp(-1, 1))
    assert solution.steps == 0 and not solution.trace
    torch.testing.assert_close(solution.realised["styles"], rows.detach())


def test_idinvert_begins_at_the_encoder_and_weighs_its_cycle() -> None:
    made = recipe("idinvert", domain=2.0)
    solution = run(made, 1)
    encoder = networks.LinearEncoder(GENERATOR, "toolkit")
    rows = encoder(target().clamp(-1, 1))
    cycle = 2.0 * (rows - encoder(GENERATOR.synthesis(rows))).square().mean((1, 2))
    torch.testing.assert_close(solution.trace["domain"][0], cycle.detach())


def test_bdinvert_replaces_all_below_its_base_code() -> None:
    made = recipe("bdinvert", p_norm=0.5)
    solution = run(made, 3)
    features = networks.LinearEncoder(GENERATOR, "base-code")(target().clamp(-1, 1))
    torch.testing.assert_close(solution.code["content.origin0"], features.detach())
    assert "skip" not in solution.realised and "content" not in solution.realised
    moved = solution.realised["features.4"] - features
    before = solution.trace["distance"]
    assert (before[0] == 0).all() and (before[2] > 0).all() and moved.abs().max() > 0
    # Rows below the base code draw nothing: the prior alone pulls at them, towards the mean of v.
    assert (solution.trace["p-norm+"][0] > 0).all()


def test_what_is_annealed_hears_how_far_its_own_stage_is(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[float] = []
    monkeypatch.setattr(StartedW, "anneal_", lambda self, progress: heard.append(progress))
    run(recipe("karras"), 4)
    assert heard == [0.0, 0.25, 0.5, 0.75]
    heard.clear()
    run(recipe("robust"), 6)
    assert heard == [0.0, 0.5]


@pytest.mark.parametrize("name", ["pulse", "pgd-projected"])
def test_a_row_that_keeps_its_own_data_term_says_so(name: str) -> None:
    noise = GaussianNoise(sigma=0.1)
    made = make(name, GENERATOR, SHAPE, noise=noise, data_term="likelihood")
    assert any("in place of the likelihood" in note for note in made.notes)
    assert not recipe(name).notes
