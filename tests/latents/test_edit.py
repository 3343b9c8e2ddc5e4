"""Edits are w+ = w* + αD, and nothing else moves."""

from dataclasses import replace

import pytest
import torch
from networks import SMALL, random_generator
from solved import KINDS, prior_of, small_generator, solution_of, solved

from invprob.errors import ArgumentError, PriorError, ShapeError
from invprob.latents import Latents, ScaleDirection, StyleDirection, edit, together
from invprob.priors import DeepImagePrior, Generator, GeneratorConfig
from invprob.priors.stylegan import SynthesisInputs, synthesise

STYLED = ("w-plus", "w-plus-s-b", "features", "weights", "retouched")


def some_direction(seed: int = 5) -> StyleDirection:
    rng = torch.Generator().manual_seed(seed)
    return StyleDirection("some", torch.randn(8, 16, generator=rng))


def scale_direction(generator: Generator) -> ScaleDirection:
    rng = torch.Generator().manual_seed(6)
    widths = [module.weight.shape[1] for _, module in generator.modulations()]
    return ScaleDirection("scales", [torch.randn(width, generator=rng) for width in widths])


@pytest.mark.parametrize("kind", KINDS)
def test_a_strength_of_zero_is_the_solution_bit_for_bit(kind: str) -> None:
    solution = solved(kind, batch=2)
    latents = Latents.of(solution)
    strip = edit(latents, some_direction(), [-1.0, 0.0, 2.0], solution.image)
    for number in range(2):
        assert torch.equal(strip.of_image(number)[1], solution.image[number])
        for name, tensor in strip.latents.tensors().items():
            own = latents.tensors()[name][number]
            same = torch.allclose(tensor[3 * number + 1], own, rtol=0, atol=1e-6)
            assert same if name.startswith("scales") else torch.equal(tensor[3 * number + 1], own)


@pytest.mark.parametrize("kind", KINDS)
def test_the_latents_of_a_solution_draw_its_image(kind: str) -> None:
    solution = solved(kind, batch=2)
    torch.testing.assert_close(Latents.of(solution).draw(), solution.image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", STYLED)
def test_style_rows_move_by_the_formula_and_nothing_else_does(kind: str) -> None:
    solution, direction = solved(kind), some_direction()
    latents = Latents.of(solution)
    strip = edit(latents, direction, [-0.5, 3.0], solution.image)
    for place, alpha in enumerate([-0.5, 3.0]):
        for name, tensor in strip.latents.tensors().items():
            expected = latents.tensors()[name][0]
            if name == "styles":
                expected = expected + alpha * direction.rows
            assert torch.equal(tensor[place], expected), name


@pytest.mark.parametrize("kind", STYLED)
def test_an_edited_image_is_drawn_from_the_edited_latents(kind: str) -> None:
    solution, direction = solved(kind), some_direction()
    strip = edit(Latents.of(solution), direction, [1.5], solution.image)
    tensors = {name: value for name, value in solution.realised.items() if name != "image"}
    own = synthesise(small_generator(), SynthesisInputs.from_tensors(tensors))
    tensors["styles"] = tensors["styles"] + 1.5 * direction.rows
    drawn = synthesise(small_generator(), SynthesisInputs.from_tensors(tensors))
    torch.testing.assert_close(strip.images, drawn + solution.image - own, rtol=0, atol=1e-5)


def test_scales_move_by_what_the_direction_makes_of_them() -> None:
    """Scales are linear in w: those of w + αD are s + α (scales(D) - scales(0))."""
    generator, direction = small_generator(), some_direction()
    rows = torch.randn(1, 8, 16, generator=torch.Generator().manual_seed(1))
    inputs = SynthesisInputs(scales=generator.scales(rows))
    moved = direction.move(generator, inputs, torch.tensor([2.0]))
    assert moved.styles is None and moved.scales is not None
    for found, expected in zip(
        moved.scales, generator.scales(rows + 2 * direction.rows), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["w-plus", "w++", "weights"])
def test_a_direction_in_scales(kind: str) -> None:
    solution = solved(kind)
    direction = scale_direction(small_generator())
    latents = Latents.of(solution)
    strip = edit(latents, direction, [1e-9, 2.0], solution.image)
    torch.testing.assert_close(strip.images[0], solution.image[0], rtol=0, atol=1e-4)
    own = strip.latents.chosen([0]).inputs.scales
    far = strip.latents.chosen([1]).inputs.scales
    assert own is not None and far is not None and strip.latents.inputs.styles is None
    for near, moved, step in zip(own, far, direction.scales, strict=True):
        torch.testing.assert_close(moved - near, 2 * step[None], rtol=1e-4, atol=1e-5)


def test_a_batch_agrees_with_single_edits() -> None:
    solution = solved("w-plus-s-b", batch=3)
    latents, direction = Latents.of(solution), some_direction()
    strip = edit(latents, direction, [-1.0, 1.0], solution.image)
    for number in range(3):
        single = edit(
            latents.chosen([number]), direction, [-1.0, 1.0], solution.image[number : number + 1]
        )
        torch.testing.assert_close(strip.of_image(number), single.images, rtol=0, atol=1e-5)


def test_chosen_rows_alone_move() -> None:
    direction = some_direction().within([0, 3])
    assert torch.equal(direction.rows[[0, 3]], some_direction().rows[[0, 3]])
    assert not direction.rows[[1, 2, 4, 5, 6, 7]].any()
    scales = scale_direction(small_generator()).within([1])
    rows = [row for row, _ in small_generator().modulations()]
    for row, scale in zip(rows, scales.scales, strict=True):
        assert bool(scale.any()) is (row == 1)
    with pytest.raises(ArgumentError, match="rows must be from 0 to 7, not 8"):
        some_direction().within([8])
    with pytest.raises(ArgumentError, match="'some' is 0 in the rows"):
        direction.within([1, 2])


def test_several_directions_at_once_add_up() -> None:
    one, other = some_direction(1), some_direction(2)
    latents = Latents.of(solved("w-plus"))
    both = edit(latents, together([one, other]), [2.0]).latents.tensors()["styles"]
    expected = latents.tensors()["styles"] + 2 * (one.rows + other.rows)
    torch.testing.assert_close(both, expected, rtol=0, atol=1e-5)
    assert together([one, other]).name == "some + some"


def test_results_are_solutions_that_can_be_saved_and_edited_again(tmp_path) -> None:
    for kind in ("w-plus-s-b", "retouched", "weights"):
        solution, direction = solved(kind), some_direction()
        strip = edit(Latents.of(solution), direction, [1.0, 2.0], solution.image)
        result = strip.latents.solution(strip.images, "edited")
        result.save(tmp_path / "edited.safetensors")
        loaded = type(result).load(tmp_path / "edited.safetensors")
        again = Latents.of(loaded, prior_of(kind))
        torch.testing.assert_close(again.draw(), strip.images, rtol=0, atol=1e-5)
        back = edit(again.chosen([1]), direction, [-2.0])
        torch.testing.assert_close(back.images, solution.image, rtol=0, atol=1e-4)


def test_strengths_are_not_rounded() -> None:
    strip = edit(Latents.of(solved("w-plus")), some_direction(), [0.1, -0.3])
    assert strip.positions == (0.1, -0.3)


@pytest.mark.parametrize("kind", ["w-plus-s-b", "w++", "retouched"])
def test_what_is_made_of_a_solution_with_gradients_has_none(kind: str) -> None:
    solution = solved(kind)
    tensors = {name: one.clone().requires_grad_() for name, one in solution.realised.items()}
    image = solution.image.clone().requires_grad_()
    latents = Latents.of(replace(solution, image=image, realised=tensors))
    strip = edit(latents, some_direction(), [0.0, 1.0], image)
    made = [strip.images, *strip.latents.tensors().values(), *latents.tensors().values()]
    assert not any(tensor.requires_grad for tensor in made)


def test_images_that_are_not_those_of_the_latents_are_refused() -> None:
    solution = solved("w-plus", batch=2)
    latents = Latents.of(solution)
    for images in (solution.image[:1], torch.zeros(2, 3, 16, 16)):
        with pytest.raises(ShapeError, match=r"images must be \(2, 3, 32, 32\)"):
            edit(latents, some_direction(), [1.0], images)
    for numbers in ([2], []):
        with pytest.raises(ArgumentError, match="images must be numbers from 0 to 1"):
            latents.chosen(numbers)


def test_what_does_not_fit_is_refused() -> None:
    latents = Latents.of(solved("w-plus"))
    with pytest.raises(ArgumentError, match="strengths must be finite numbers"):
        edit(latents, some_direction(), [])
    with pytest.raises(ArgumentError, match="strengths must be finite numbers"):
        edit(latents, some_direction(), [float("nan")])
    with pytest.raises(ShapeError, match="is of 8 style rows of width 9, but the generator"):
        edit(latents, StyleDirection("wide", torch.ones(8, 9)), [1.0])
    wider = GeneratorConfig(
        resolution=32, channels=(12, 10, 8, 7), style_width=16, mapping_layers=2
    )
    assert wider != SMALL
    with pytest.raises(ShapeError, match="take a direction of this generator"):
        edit(latents, scale_direction(random_generator(wider)), [1.0])


def test_a_solution_without_a_generator_has_no_latents() -> None:
    prior = DeepImagePrior((3, 16, 16))
    solution = solution_of(prior)
    with pytest.raises(PriorError, match="no latents of a generator: its prior is 'deep-image-"):
        Latents.of(solution)
