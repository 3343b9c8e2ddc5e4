"""Methods by name: which parts they choose, which options they take."""

from typing import Annotated, Any, Literal

import networks
import pytest
import torch
from fake_distance import FakeDistance

import invprob
from invprob.errors import ArgumentError, ShapeError, UnknownNameError
from invprob.losses import DataMisfit, MultiScalePerceptual, Stochastic
from invprob.methods import Problem, Recipe, Setting, make, restore
from invprob.methods.choices import DescentName
from invprob.operators import (
    GaussianNoise,
    Identity,
    PartialCirculant,
    SaltAndPepperNoise,
    UniformNoise,
)
from invprob.options import Auto, options_of
from invprob.priors import Pixels, StyleGANPrior, save_generator
from invprob.priors.parts import (
    FreeNoise,
    LearnedConstant,
    Projected,
    ProjectedContent,
    StoredNoise,
)
from invprob.registry import register
from invprob.solver.lbfgs import LBFGS
from invprob.solver.optimisers import Adam, Optimiser


def recipe(name: str, ratio: float = 0.01, **options: Any) -> Recipe:
    generator = networks.random_generator()
    count = round(ratio * 3 * 32 * 32)
    return make(name, generator, generator.image_shape, measurement_shape=(count,), **options)


def parts(name: str, ratio: float = 0.01, **options: Any) -> StyleGANPrior:
    prior = recipe(name, ratio, **options).prior
    assert isinstance(prior, StyleGANPrior)
    return prior


def test_sphinx_frees_noise_only_where_data_suffice() -> None:
    assert isinstance(parts("sphinx", 0.01).noise, StoredNoise)
    assert isinstance(parts("sphinx", 1.0).noise, FreeNoise)
    assert isinstance(parts("sphinx", 0.01, noise_maps="free").noise, FreeNoise)
    assert isinstance(parts("sphinx", 1.0, noise_maps="stored").noise, StoredNoise)
    assert isinstance(parts("sphinx", 1.0).content, ProjectedContent)
    assert isinstance(parts("sphinx", 1.0, content="constant").content, LearnedConstant)
    assert isinstance(parts("sphinx", 1.0, noise=GaussianNoise(sigma=0.2)).noise, StoredNoise)
    assert isinstance(parts("sphinx", 1.0, noise=GaussianNoise(sigma=0.2)).content, LearnedConstant)


@pytest.mark.parametrize(
    ("ratio", "options", "free"),
    [
        (0.19, {}, False),
        (0.21, {}, True),
        (0.21, {"noise": GaussianNoise(sigma=0.05)}, True),
        (0.21, {"noise": GaussianNoise(sigma=0.06)}, False),
        (0.21, {"noise": UniformNoise(width=0.05)}, False),
        (0.1, {"optimiser": "l-bfgs"}, False),
        (0.49, {"optimiser": "adam"}, False),
        (0.49, {"smooth": False}, False),
        (0.5, {"optimiser": "adam"}, True),
    ],
)
def test_l_bfgs_holds_all_parts_with_less(
    ratio: float, options: dict[str, Any], free: bool
) -> None:
    prior = parts("sphinx", ratio, **options)
    assert isinstance(prior.noise, FreeNoise if free else StoredNoise)
    assert isinstance(prior.content, ProjectedContent if free else LearnedConstant)


def test_noise_maps_of_the_baseline_move_fast_only_where_data_suffice() -> None:
    def rate(ratio: float, **options: Any) -> float:
        return parts("w-plus-s-b", ratio, **options).noise.lr_scale

    assert rate(1.0) == 10 and rate(0.01) == rate(1.0, noise=GaussianNoise(sigma=0.1)) == 1
    assert rate(0.01, noise_rate=3.0) == rate(1.0, noise_rate=3.0) == 3
    for name in ("w-plus-s-b", "sphinx"):
        with pytest.raises(ArgumentError, match=r"noise_rate must be positive, not 0\.0"):
            recipe(name, 1.0, noise_rate=0.0)


def test_every_method_names_its_options() -> None:
    for name in register.method:
        options = {option.name: option for option in options_of(register.method[name])}
        stepless = ("psp", "pinv", "auto")  # auto takes those of its candidates
        assert "steps" in options or name in stepless
        assert all(option.help for option in options.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"presett": "paper"}, "Did you mean 'preset'"),
        ({"preset": "papier"}, "preset must be one of 'paper', 'official'"),
        ({"steps": 3.5}, "steps must be an int"),
        ({"d": 0}, "d must be at least 1"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        (
            {"noise_maps": "free", "noise_regulariser": -1.0},
            "^noise_regulariser must be at least 0",
        ),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        recipe("sphinx", **options)


@pytest.mark.parametrize("method", ["sphinx", "sphinx-style", "w-plus", "w-plus-s", "w-plus-s-b"])
@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ({"smooth": False}, "an operator that rounds; take adam"),
        (
            {"data_term": "stochastic", "noise": GaussianNoise(sigma=0.1)},
            "the stochastic data term",
        ),
    ],
)
def test_lbfgs_wants_a_smooth_loss(method: str, problem: dict[str, Any], message: str) -> None:
    generator = networks.random_generator()
    shape = generator.image_shape
    make(method, generator, shape, **problem)
    (stage,) = make(method, generator, shape, optimiser="l-bfgs").stages
    assert isinstance(stage.optimiser, LBFGS)
    with pytest.raises(ArgumentError, match=message):
        make(method, generator, shape, optimiser="l-bfgs", **problem)


@pytest.mark.parametrize("method", ["sphinx", "sphinx-style"])
@pytest.mark.parametrize(
    ("ratio", "options", "taken"),
    [
        (1.0, {}, LBFGS),
        (0.5, {}, LBFGS),
        (1.0, {"noise": GaussianNoise(sigma=0.1)}, LBFGS),
        (0.21, {}, LBFGS),
        (0.19, {}, Adam),
        (0.1, {"optimiser": "l-bfgs"}, LBFGS),
        (1.0, {"optimiser": "adam"}, Adam),
        (1.0, {"learning_rate": 0.001}, Adam),
        (1.0, {"readout": "last"}, Adam),
        (1.0, {"smooth": False}, Adam),
    ],
)
def test_sphinx_takes_the_optimiser_that_suits(
    method: str, ratio: float, options: dict[str, Any], taken: type[Optimiser]
) -> None:
    """And with it the heads' codes: fresh ones would make each loss another function."""
    made = recipe(method, ratio, **options)
    assert all(isinstance(stage.optimiser, taken) for stage in made.stages)
    assert isinstance(made.prior, StyleGANPrior)
    assert isinstance(made.prior.style, Projected)
    assert made.prior.style.codes == ("kept" if taken is LBFGS else "fresh")


def test_sphinx_by_adam_has_its_own_rate_unless_told() -> None:
    for options, rate in (({}, 0.003), ({"learning_rate": 0.01}, 0.01)):
        (optimiser, *_) = (stage.optimiser for stage in recipe("sphinx", **options).stages)
        assert isinstance(optimiser, Adam) and optimiser.learning_rate == rate
    with pytest.raises(ArgumentError, match="learning_rate must be positive"):
        recipe("sphinx", learning_rate=0.0)
    with pytest.raises(ArgumentError, match="l-bfgs has no learning_rate"):
        recipe("sphinx", optimiser="l-bfgs", learning_rate=0.01)


@pytest.fixture
def own_methods(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Methods of an author elsewhere, and what they were called with."""
    calls: dict[str, Any] = {}
    monkeypatch.setattr(register.method, "_entries", dict(register.method._entries))

    @register.method("chooses-itself")
    def own(setting: Setting, *, content: Literal["auto", "mine"] = "auto") -> Recipe:
        """It has an option of its own that happens to have a name of the policy's."""
        calls["own"] = content
        return setting.one_stage(StyleGANPrior(setting.generator), Adam(), 3)

    @register.method("leaves-open")
    def leaves(setting: Setting, *, optimiser: Annotated[DescentName, Auto("optimiser")]) -> Recipe:
        """It takes part in one choice."""
        calls["leaves"] = optimiser
        return setting.one_stage(StyleGANPrior(setting.generator, noise=FreeNoise()), Adam(), 3)

    @register.method("leaves-too-much")
    def too_much(setting: Setting, *, colour: Annotated[float, Auto("colour")]) -> Recipe:
        """It leaves open what the policy does not know."""
        raise AssertionError(colour)

    return calls


def test_methods_from_elsewhere_may_leave_choices_to_the_policy(
    own_methods: dict[str, Any],
) -> None:
    assert recipe("chooses-itself", 1.0).choices.content is None
    made = recipe("leaves-open", 1.0)
    assert made.choices.optimiser == "l-bfgs" and made.choices.content is None
    assert own_methods == {"own": "auto", "leaves": "l-bfgs"}
    assert recipe("leaves-open", 1.0, optimiser="adam").choices.reasons["optimiser"] == "asked for"
    with pytest.raises(ArgumentError, match="leaves its option 'colour' to the policy"):
        recipe("leaves-too-much")


def test_unknown_methods_and_wrong_sizes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'sphinx'"):
        recipe("sphynx")
    generator = networks.random_generator()
    with pytest.raises(ShapeError, match=r"draws \(3, 32, 32\)"):
        make("sphinx", generator, (3, 64, 64))
    with pytest.raises(ShapeError, match=r"draws 3 channels.* of images of 1;.*luminance"):
        make("sphinx", generator, (1, 32, 32))
    grey = Identity((1, 32, 32))
    measured = invprob.measure(torch.zeros(1, 1, 32, 32), grey)
    with pytest.raises(ShapeError, match=r"compose .* operator @ Luminance\(\(3, 32, 32\)\)"):
        invprob.solve(measured, grey, Pixels((3, 32, 32)), steps=1)


def test_restore_is_make_and_solve(tmp_path) -> None:  # type: ignore[no-untyped-def]
    generator = networks.random_generator()
    path = tmp_path / "tiny.safetensors"
    save_generator(generator, path)
    operator = PartialCirculant(generator.image_shape, ratio=0.2, seed=1)
    measurements = invprob.measure(torch.zeros(1, *generator.image_shape), operator)
    by_file = restore(measurements, "w-plus", path, steps=5, options={"learning_rate": 0.1})
    by_object = restore(measurements, "w-plus", generator, steps=5, options={"learning_rate": 0.1})
    assert torch.equal(by_file.image, by_object.image)
    by_file.save(tmp_path / "solution.safetensors")
    assert torch.equal(
        invprob.Solution.load(tmp_path / "solution.safetensors").render(), by_file.image
    )


def test_the_whole_paper_setting_is_reachable() -> None:
    """P_s, P_c and B around zero with the paper's widths, on full observations."""
    generator = networks.random_generator()
    made = make(
        "sphinx",
        generator,
        generator.image_shape,
        preset="official",
        around="zero",
        content="head",
        noise_maps="free",
        noise_rate=1.0,
        learning_rate=1e-3,
        readout="last",
    )
    measurements = invprob.measure(
        torch.zeros(1, *generator.image_shape), Identity(generator.image_shape)
    )
    solution = invprob.solve(
        measurements,
        Identity(generator.image_shape),
        made.prior,
        optimiser=made.stages[0].optimiser,
        steps=3,
    )
    assert solution.steps == 3


@pytest.mark.parametrize(
    ("measured", "observed", "noisy", "names"),
    [
        ((3, 32, 32), None, False, ["misfit", "lpips-fake"]),
        ((3, 32, 32), None, True, ["misfit"]),
        ((300,), None, False, ["misfit"]),
        ((3, 32, 32), 1536, False, ["misfit", "lpips-fake"]),
        ((3, 32, 32), 1535, False, ["misfit"]),  # more holes than pixels
    ],
)
def test_lpips_enters_where_the_measurement_is_a_clean_image(
    measured: tuple[int, ...], observed: int | None, noisy: bool, names: list[str]
) -> None:
    generator = networks.random_generator()
    fake = FakeDistance()
    made = make(
        "w-plus",
        generator,
        generator.image_shape,
        measurement_shape=measured,
        observed=observed,
        perceptual=fake,
        noise=GaussianNoise(sigma=0.1) if noisy else None,
    )
    assert [term.name for term in made.stages[0].terms] == names
    if noisy:  # noisy is compared with noisy, so LPIPS compares like with like
        made = make(
            "w-plus",
            generator,
            generator.image_shape,
            perceptual=fake,
            noise=GaussianNoise(sigma=0.1),
            data_term="stochastic",
        )
        assert [term.name for term in made.stages[0].terms] == ["misfit", "lpips-fake"]


def test_a_perceptual_method_says_where_it_runs_on_the_data_term() -> None:
    fake = FakeDistance()
    shape = (3, 32, 32)
    generator = networks.random_generator()
    terms, notes = Setting(shape, shape, fake, generator=generator).perceptual_only()
    assert [(term.name, term.weight) for term in terms] == [("lpips-fake", 1.0)] and not notes
    terms, _ = Setting(shape, shape, fake, generator=generator).perceptual_only(
        MultiScalePerceptual
    )
    assert [term.name for term in terms] == ["pyramid-fake"]
    terms, (note,) = Problem(shape, shape).perceptual_only()
    assert [term.name for term in terms] == ["misfit"]
    assert "runs on the data term instead" in note
    blind = make("karras", generator, shape, measurement_shape=(99,), perceptual=fake)
    assert [term.name for term in blind.stages[0].terms] == ["misfit"]
    assert any("runs on the data term instead" in note for note in blind.notes)


def test_the_data_term_is_a_choice() -> None:
    noise = GaussianNoise(sigma=0.1)
    (term,) = recipe("sphinx", noise=noise).stages[0].terms
    assert isinstance(term, DataMisfit)
    made = recipe("sphinx", noise=noise, data_term="likelihood")
    assert [term.name for term in made.stages[0].terms] == ["likelihood"]
    with pytest.raises(ArgumentError, match="needs measurements that are images"):
        recipe("sphinx", noise=noise, data_term="stochastic")
    generator = networks.random_generator()
    made = make("sphinx", generator, generator.image_shape, noise=noise, data_term="stochastic")
    for stage in made.stages:
        (term,) = stage.terms
        assert isinstance(term, Stochastic) and isinstance(term.term, DataMisfit)
        assert term.name == "misfit" and term.noise is noise
    for term in ("likelihood", "stochastic"):
        with pytest.raises(ArgumentError, match="needs to know the noise"):
            recipe("sphinx", data_term=term)
    with pytest.raises(ArgumentError, match="Did you mean 'likelihood'"):
        recipe("sphinx", noise=noise, data_term="likelihod")
    with pytest.raises(ArgumentError, match="has none; use the misfit"):
        recipe("sphinx", noise=SaltAndPepperNoise(share=0.1), data_term="likelihood")
    with pytest.raises(ArgumentError, match="has a flat one"):
        recipe("sphinx", noise=UniformNoise(width=0.1), data_term="likelihood")
