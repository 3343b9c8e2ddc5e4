"""Foreign checkpoints draw the images of their own programs, by independent formulas."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import foreign_networks
import pytest
import torch
from foreign_layers import Foreign, Plan
from foreign_networks import BUILDERS
from torch import Tensor

from invprob.errors import ArgumentError, GeneratorFileError
from invprob.priors.checkpoints import convert
from invprob.priors.checkpoints.convert import to_generator
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.table import FLIPPED, Layout, Row
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.shapes import GeneratorConfig

# The 256 px networks of `auto`: half of the channels, two layers from z to w; here at 64 px.
AUTO = Plan(channels=tuple(min(128 // (4 << block), 8) for block in range(5)))
DEEP = Plan(channels=(6, 5, 4, 3), depth=8)
WIDTHS = Plan(z_width=5, hidden_width=7, depth=3)
CONDITIONAL = Plan(labels=4, label_width=6)
CLAMPED = Plan(clamp=0.6)
GREY = Plan(colours=1)
CASES = [
    *((name, plan) for name in BUILDERS for plan in (Plan(), AUTO, DEEP)),
    *((name, plan) for name in ("nvidia", "nvidia-tf") for plan in (CLAMPED, CONDITIONAL, GREY)),
    *((name, WIDTHS) for name in ("nvidia", "nvidia-tf", "genforce")),
]


def raw_of(foreign: Foreign, dtype: torch.dtype = torch.float64) -> RawCheckpoint:
    tensors = {name: value.to(dtype, copy=True) for name, value in foreign.tensors.items()}
    return RawCheckpoint(foreign.format, tensors, foreign.attributes, ())  # type: ignore[arg-type]


def latents(plan: Plan) -> tuple[Tensor, Tensor, Tensor | None, list[Tensor]]:
    """z, style rows, labels and noise maps of three images."""
    rng = torch.Generator().manual_seed(9)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    styles = draw(3, 2 * len(plan.channels), plan.style_width)
    label = torch.eye(plan.labels, dtype=torch.float64)[[2, 0, 3]] if plan.labels else None
    noise = [draw(3, 1, size, size) for _, _, size in plan.layers]
    return draw(3, plan.z_width), styles, label, noise


def difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def image_difference(generator: Generator, foreign: Foreign, plan: Plan) -> float:
    _, styles, _, noise = latents(plan)
    like = generator.constant
    maps = [value.to(like) for value in noise]
    free = generator.synthesis(styles.to(like), None, maps)
    stored = generator.synthesis(styles.to(like))
    return max(
        difference(free, foreign.synthesis(styles, noise)),
        difference(stored, foreign.synthesis(styles, None)),
    )


@pytest.mark.parametrize(("name", "plan"), CASES)
def test_images_and_styles_are_those_of_the_program(name: str, plan: Plan) -> None:
    foreign = BUILDERS[name](plan)
    z, _, label, _ = latents(plan)
    for dtype, bound in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        generator = to_generator(raw_of(foreign, dtype), source="theirs")
        assert generator.constant.dtype == dtype
        assert image_difference(generator, foreign, plan) < bound
        w = generator.mapping(z.to(dtype), None if label is None else label.to(dtype))
        assert difference(w, foreign.mapping(z, label)) < bound
    assert generator.config == GeneratorConfig(
        resolution=2 << len(plan.channels),
        channels=plan.channels,
        style_width=plan.style_width,
        mapping_layers=plan.depth,
        z_width=plan.z_width,
        hidden_width=plan.hidden_width,
        labels=plan.labels,
        label_width=plan.label_width,
        clamp=plan.clamp,
    )


@pytest.mark.parametrize("name", ["nvidia", "nvidia-tf"])
def test_the_clamp_acts(name: str) -> None:
    """The clamped network and the same one without its clamp are far apart."""
    foreign = BUILDERS[name](CLAMPED)
    loose = BUILDERS[name](Plan())
    assert all(torch.equal(loose.tensors[key], value) for key, value in foreign.tensors.items())
    assert image_difference(to_generator(raw_of(loose), source="-"), foreign, CLAMPED) > 0.05


class Mistaken(Layout):
    """A layout with one kind of row wrong."""

    def __init__(self, right: Layout, pattern: str, mistake: Callable[[Row], Row]) -> None:
        self.right, self.pattern, self.mistake = right, pattern, mistake
        self.mean_w, self.unused = right.mean_w, right.unused

    def config(self, raw: RawCheckpoint) -> GeneratorConfig:
        return self.right.config(raw)

    def rows(self, raw: RawCheckpoint, config: GeneratorConfig) -> list[Row]:
        rows = self.right.rows(raw, config)
        wrong = [row for row in rows if re.fullmatch(self.pattern, row.ours)]
        assert wrong
        return [self.mistake(row) if row in wrong else row for row in rows]

    def filters(self, config: GeneratorConfig) -> Mapping[str, float]:
        return self.right.filters(config)


def flipped(row: Row) -> Row:
    return replace(row, fold=row.fold.then(FLIPPED))


def shifted(offset: float) -> Callable[[Row], Row]:
    return lambda row: replace(row, offset=row.offset + offset)


def scaled(gain: float) -> Callable[[Row], Row]:
    return lambda row: replace(row, gain=row.gain * gain)


MISTAKES = {
    "up kernels flipped": (r"layers\.[13]\.weight", flipped),
    "kernels flipped": (r"layers\.[024]\.weight", flipped),
    "style bias without its one": (r"layers\.\d\.affine\.bias", shifted(-1.0)),
    "colour style bias without its one": (r"to_rgb\.\d\.affine\.bias", shifted(-1.0)),
    "style gain": (r"layers\.\d\.affine\.weight", scaled(8**0.5)),
    "colour gain": (r"to_rgb\.\d\.weight", scaled(2.0)),
    "noise map turned": (r"layers\.2\.noise", flipped),
    "noise strength": (r"layers\.2\.noise_strength", scaled(1.5)),
    "bias": (r"layers\.1\.bias", scaled(0.01)),
    "colour bias": (r"to_rgb\.1\.bias", scaled(-1.0)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("name", BUILDERS)
def test_each_mistake_in_a_table_would_show(
    name: str, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = BUILDERS[name](Plan())
    wrong = Mistaken(convert.LAYOUTS[name], *MISTAKES[mistake])
    monkeypatch.setattr(convert, "LAYOUTS", {name: wrong})
    generator = to_generator(raw_of(foreign), source="-")
    assert image_difference(generator, foreign, Plan()) > 1e-3


@pytest.mark.parametrize("name", BUILDERS)
def test_a_table_is_total(name: str) -> None:
    """Each tensor taken away or bent is named; only filters and the mean of w may be absent."""
    foreign = BUILDERS[name](Plan())
    layout = convert.LAYOUTS[name]
    config = layout.config(raw_of(foreign))
    free = {layout.mean_w, *layout.unused, *layout.filters(config)}
    assert free <= set(foreign.tensors)
    for key, value in foreign.tensors.items():
        rest = {k: v.clone() for k, v in foreign.tensors.items() if k != key}
        lacking = RawCheckpoint(foreign.format, rest, foreign.attributes, ())  # type: ignore[arg-type]
        if key in free:
            to_generator(lacking, source="theirs.pt")
        else:
            with pytest.raises(GeneratorFileError, match=r"theirs\.pt.*(is missing|is not part)"):
                to_generator(lacking, source="theirs.pt")
        longer = {**rest, key: torch.cat([value.reshape(-1), torch.zeros(1).double()])}
        if key not in layout.unused:
            bent = RawCheckpoint(foreign.format, longer, foreign.attributes, ())  # type: ignore[arg-type]
            with pytest.raises(GeneratorFileError, match=re.escape(key)):
                to_generator(bent, source="theirs.pt")


@pytest.mark.parametrize("name", BUILDERS)
def test_what_is_left_over_is_named_up_to_five(name: str) -> None:
    foreign = BUILDERS[name](Plan())
    foreign.tensors.update({f"extra{index}": torch.zeros(1).double() for index in range(7)})
    with pytest.raises(GeneratorFileError, match="extra4 is not part of the network, and 2 more"):
        to_generator(raw_of(foreign), source="-")


def test_another_filter_is_another_network() -> None:
    foreign = BUILDERS["rosinality"](Plan())
    foreign.tensors["convs.0.conv.blur.kernel"] *= 0.25
    with pytest.raises(GeneratorFileError, match=r"low-pass filter.*convs\.0\.conv\.blur"):
        to_generator(raw_of(foreign), source="-")


def test_means_of_w() -> None:
    """One row, several equal rows, none (then measured, always alike); rows that differ."""
    one = foreign_networks.rosinality(Plan())
    assert torch.equal(to_generator(raw_of(one), source="-").mean_w, one.tensors["latent_avg"])
    rows = foreign_networks.rosinality(Plan(), mean_rows=18)
    expected = rows.tensors["latent_avg"][0]
    assert torch.equal(to_generator(raw_of(rows), source="-").mean_w, expected)
    rows.tensors["latent_avg"][3, 0] += 1e-3
    with pytest.raises(GeneratorFileError, match="latent_avg differs from style row"):
        to_generator(raw_of(rows), source="-")
    del one.tensors["latent_avg"]
    first, again = (to_generator(raw_of(one), source="-").mean_w for _ in range(2))
    assert torch.equal(first, again)
    z = torch.randn(200_000, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    w = one.mapping(z, None)
    assert bool(((first - w.mean(0)).abs() < 5 * w.std(0) / 10_000**0.5).all())


def test_a_class_is_chosen_and_never_averaged() -> None:
    foreign = foreign_networks.nvidia(CONDITIONAL)
    generator = to_generator(raw_of(foreign), source="classes.pkl")
    z, *_ = latents(CONDITIONAL)
    with pytest.raises(ArgumentError, match=r"one of 4 classes: choose one, --label N from 0 to 3"):
        generator.mapping(z)
    for label in (0, 3):
        chosen = generator.with_label(label)
        hot = torch.eye(4, dtype=torch.float64)[label].expand(3, -1)
        assert difference(chosen.mapping(z), foreign.mapping(z, hot)) < 1e-12
        assert chosen.config.labels == 0
        assert chosen.options == {"label": label}
        many = torch.randn(50_000, 8, generator=torch.Generator().manual_seed(5)).double()
        w = foreign.mapping(many, torch.eye(4).double()[label].expand(len(many), -1))
        assert bool(((chosen.mean_w - w.mean(0)).abs() < 5 * w.std(0) / 10_000**0.5).all())
    with pytest.raises(ArgumentError, match="label must be from 0 to 3, not 4"):
        generator.with_label(4)
    with pytest.raises(ArgumentError, match="is not conditional"):
        chosen.with_label(0)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("nvidia", {"synthesis.input.freqs": torch.zeros(4, 2)}, "alias-free"),
        ("nvidia", {"synthesis.b8.skip.weight": torch.zeros(5, 6, 1, 1)}, "`resnet`"),
        (
            "nvidia",
            {"synthesis.b4.torgb.weight": None, "synthesis.b8.torgb.weight": None},
            "`orig`",
        ),
        ("nvidia-tf", {"synthesis/8x8/Skip/weight": torch.zeros(1, 1, 6, 5)}, "`resnet`"),
        (
            "nvidia-tf",
            {"synthesis/4x4/ToRGB/weight": None, "synthesis/8x8/ToRGB/weight": None},
            "`orig`",
        ),
        ("nvidia-tf", {"synthesis/ToRGB_lod0/weight": torch.zeros(1, 1, 4, 3)}, "B to D"),
        ("nvidia-tf", {"mapping/LabelConcat/weight": torch.zeros(2, 8)}, "LabelConcat"),
        ("genforce", {"mapping.label_weight": torch.zeros(2, 8)}, "label_weight"),
        (
            "genforce",
            {"synthesis.output0.weight": None, "synthesis.output1.weight": None},
            "`origin` or `resnet`",
        ),
        ("rosinality", {"latent_avg": torch.zeros(9)}, r"latent_avg is \(9,\)"),
        ("rosinality", {"input.input": torch.zeros(1, 6, 4, 4).int()}, "not floating-point"),
    ],
)
def test_other_networks_are_refused_with_a_reason(
    name: str, change: Mapping[str, Tensor | None], message: str
) -> None:
    foreign = BUILDERS[name](Plan())
    for key, value in change.items():
        if value is None:
            del foreign.tensors[key]
        else:
            foreign.tensors[key] = value
    raw = RawCheckpoint(foreign.format, foreign.tensors, foreign.attributes, ())  # type: ignore[arg-type]
    with pytest.raises(GeneratorFileError, match=message):
        to_generator(raw, source="-")


def test_attributes_that_change_the_image_are_refused() -> None:
    for about, message in (
        ({"synthesis.b8.conv0": {"activation": "relu"}}, "activation 'relu'"),
        ({"synthesis.b8.conv0": {"use_noise": False}}, "takes no noise"),
        ({"synthesis.b8.conv0": {"conv_clamp": 3}}, "clamped differently"),
    ):
        raw = RawCheckpoint("nvidia", foreign_networks.nvidia(Plan()).tensors, about, ())
        with pytest.raises(GeneratorFileError, match=message):
            to_generator(raw, source="-")
    tensors = foreign_networks.tensorflow(Plan()).tensors
    raw = RawCheckpoint("nvidia-tf", tensors, {"": {"nonlinearity": "relu"}}, ())
    with pytest.raises(GeneratorFileError, match="nonlinearity is 'relu'"):
        to_generator(raw, source="-")


def test_a_bare_state_dict_says_nothing_of_clamps() -> None:
    foreign = foreign_networks.nvidia(Plan())
    raw = RawCheckpoint("nvidia", dict(foreign.tensors), {}, ())
    with pytest.warns(UserWarning, match=r"bare\.pt: a bare state dict .* clamped"):
        generator = to_generator(raw, source="bare.pt")
    assert image_difference(generator, foreign_networks.nvidia(Plan()), Plan()) < 1e-9
