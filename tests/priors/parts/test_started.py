"""A started part owns its variables and nothing of the generator; names in files stay."""

import copy

import networks
import pytest
import torch
from torch import Tensor

from invprob.errors import PriorError
from invprob.priors.parts import (
    FreeContent,
    FreeFeatures,
    FreeNoise,
    Frozen,
    GaussianZ,
    LearnedConstant,
    MappedStyles,
    Part,
    ProjectedContent,
    ProjectedStyles,
    StoredNoise,
    W,
    WPlus,
    WPlusPlus,
    Z,
)
from invprob.priors.parts.constraints import L1Ball, Spheres
from invprob.priors.parts.heads import HeadShape
from invprob.priors.parts.penalties import PNorm
from invprob.priors.stylegan.inputs import LayerInput, SynthesisInputs, joined
from invprob.priors.stylegan.statistics import Whitening, sample_statistics
from invprob.priors.stylegan.synthesis import synthesise

GENERATOR = networks.random_generator(dtype=torch.float64)
STATISTICS = sample_statistics(GENERATOR, torch.Generator().manual_seed(9), count=2_000)
SHAPE = HeadShape((8, 6, 4), (6, 8, 16), 5)
MAPS, SCALES = len(GENERATOR.noise_shapes), len(GENERATOR.modulations())
HEAD = {f"head.{mlp}.{index}" for mlp in ("encoder", "decoders") for index in range(6)}
CONTENT = {*(f"head.weights.{i}" for i in range(3)), *(f"head.biases.{i}" for i in range(2))}

# The names under which solutions and checkpoints of earlier releases hold each part's variables.
NAMES: list[tuple[Part, set[str]]] = [
    (W(jitter=0.1), {"tensors.0", "progress"}),
    (WPlus(), {"tensors.0"}),
    (WPlus(penalties=(PNorm(Whitening(STATISTICS, 1e-2), 1.0),)), {"tensors.0"}),
    (WPlus(constraints=(L1Ball(1.0),)), {"tensors.0", "origin0"}),
    (WPlusPlus(), {f"{kind}{index}" for kind in ("tensors.", "held") for index in range(SCALES)}),
    (Z("one"), {"tensors.0"}),
    (GaussianZ(STATISTICS, constraints=(Spheres(),)), {"tensors.0", "origin0"}),
    (ProjectedStyles(SHAPE), {*HEAD, "anchor"}),
    (ProjectedStyles(SHAPE, codes="kept"), {*HEAD, "anchor", "code"}),
    (MappedStyles("own"), {f"{kind}.{i}" for kind in ("weights", "biases") for i in range(2)}),
    (LearnedConstant(), set()),
    (FreeContent(), {"tensors.0"}),
    (FreeFeatures(3), {"tensors.0", "held0"}),
    (ProjectedContent(SHAPE), {*CONTENT, "anchor"}),
    (StoredNoise(), set()),
    (FreeNoise(first=2), {"tensors.0", "tensors.1", *(f"held{i}" for i in range(MAPS - 2))}),
    (Frozen(WPlus()), {"styles"}),
    (Frozen(WPlusPlus()), {f"scales_{index}" for index in range(SCALES)}),
    (Frozen(FreeFeatures(3)), {"features_3", "skip"}),
    (Frozen(FreeNoise()), {f"noise_{index}" for index in range(MAPS)}),
]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


@pytest.mark.parametrize(("part", "names"), NAMES)
def test_variables_have_the_names_of_files(part: Part, names: set[str]) -> None:
    assert set(part.start(GENERATOR, 2, rng()).state_dict()) == names


@pytest.mark.parametrize(("part", "names"), NAMES)
def test_a_started_part_holds_no_weight_of_the_generator(part: Part, names: set[str]) -> None:
    del names
    started = part.start(GENERATOR, 2, rng())
    weights = {value.data_ptr() for value in GENERATOR.state_dict().values()}
    assert weights.isdisjoint(value.data_ptr() for value in started.state_dict().values())
    assert GENERATOR not in set(started.modules())
    copied = copy.deepcopy(started)
    assert copied.generator is GENERATOR and copied.part is part
    before, after = started.state_dict(), copied.state_dict()
    assert all(before[name].data_ptr() != after[name].data_ptr() for name in before)
    first, second = (each.draw(rng(1)).to_tensors() for each in (started, copied))
    assert all(torch.equal(first[name], second[name]) for name in {**first, **second})


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (SynthesisInputs(styles=normal(2, 8, 16)), ["styles"]),
        (
            SynthesisInputs(scales=[normal(2, index + 1) for index in range(12)]),
            [f"scales.{index}" for index in range(12)],
        ),
        (SynthesisInputs(content=LayerInput(normal(2, 6, 4, 4))), ["content"]),
        (
            SynthesisInputs(content=LayerInput(normal(2, 6, 8, 8), 12, normal(2, 3, 4, 4))),
            ["features.12", "skip"],
        ),
        (SynthesisInputs(noise={2: normal(1, 1, 8, 8)}), ["noise.2"]),
        (
            SynthesisInputs(
                weights={"layers.3.bias": normal(2, 6), "to_rgb.0.weight": normal(2, 3)}
            ),
            ["weights.layers.3.bias", "weights.to_rgb.0.weight"],
        ),
        (SynthesisInputs(), []),
    ],
)
def test_inputs_go_to_a_file_and_back(inputs: SynthesisInputs, names: list[str]) -> None:
    tensors = inputs.to_tensors()
    assert list(tensors) == names
    again = SynthesisInputs.from_tensors({"image": normal(2, 3, 8, 8), **tensors})
    back = again.to_tensors()
    assert list(back) == names and all(back[name] is tensors[name] for name in names)
    assert (again.content is None) == (inputs.content is None)
    assert (again.noise is None, again.scales is None) == (inputs.noise is None, not inputs.scales)


def test_pieces_are_joined_and_the_later_one_counts() -> None:
    first, second, noise = normal(1, 8, 16), normal(1, 8, 16, seed=1), {0: normal(1, 1, 4, 4)}
    whole = joined([SynthesisInputs(styles=first, noise=noise), SynthesisInputs(styles=second)])
    assert whole.styles is second and whole.noise is noise and whole.content is None


def test_scales_that_are_missing_are_named() -> None:
    scales = [normal(1, module.affine.out_features) for _, module in GENERATOR.modulations()]
    tensors = SynthesisInputs(scales=scales).to_tensors()
    assert synthesise(GENERATOR, SynthesisInputs.from_tensors(tensors)).shape[0] == 1
    last = f"scales.{SCALES - 1}"
    for missing in ("scales.1", last):
        rest = {name: value for name, value in tensors.items() if name != missing}
        with pytest.raises(PriorError, match=missing.replace(".", r"\.")):
            synthesise(GENERATOR, SynthesisInputs.from_tensors(rest))
    with pytest.raises(PriorError, match=r"neither styles nor scales\.0 is among nothing"):
        synthesise(GENERATOR, SynthesisInputs())
