"""Where names become objects: generator, operators, noise, device and recipe of a run."""

import dataclasses
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from invprob.errors import ArgumentError, DeviceError, InvprobError, ShapeError
from invprob.methods import Recipe, make, open_options
from invprob.operators.base import Operator
from invprob.operators.composition import compose
from invprob.operators.each import each
from invprob.operators.noise import Noise
from invprob.perceptual.distance import Absent, PerceptualDistance
from invprob.priors.generator_files import load_generator
from invprob.priors.stylegan.generator import Generator
from invprob.registry import build, load_plugin, options_of, register, suggest
from invprob.run.config import Named, RunConfig
from invprob.run.operator_file import rebuild
from invprob.solver.task import allot
from invprob.streams import derive
from invprob.types import Shape


def load_plugins(config: RunConfig) -> None:
    """Import the plugins of a configuration, so that what they register has a name."""
    for path in config.plugins:
        load_plugin(path)


def resolve(config: RunConfig, recipe: Recipe) -> RunConfig:
    """Write out what was left to defaults, so that the file says what was done."""
    steps = sum(stage.steps for stage in allot(recipe.stages, config.steps))
    return dataclasses.replace(
        config,
        transforms=tuple(_spelt_out("operator", named) for named in config.transforms),
        operators=tuple(_spelt_out("operator", named) for named in config.operators),
        noise=config.noise and _spelt_out("noise", config.noise),
        method=_with_choices(_spelt_out("method", config.method, leave=("steps",)), recipe),
        coarse=recipe.choices.coarse,
        steps=steps or config.steps,
        stop=config.stop and _spelt_out("stop", config.stop),
    )


def make_generator(config: RunConfig) -> Generator:
    """Load the generator of a configuration, and set how it computes."""
    generator = load_generator(config.prior, resolution=config.resolution, label=config.label)
    generator.memory = "low" if config.memory == "low" else "normal"
    generator.precision = "bf16" if config.precision == "bf16" else "float32"
    return generator


def make_transform(config: RunConfig, image_shape: Shape) -> Operator:
    """Build what pictures go through before they count as the truth.

    Raises:
        UnknownNameError: an operator's name is not registered.
        ArgumentError: an option makes no sense.
        ShapeError: the transforms do not fit, or change the shape of an image.
    """
    seed = derive(config.seed, "transform")
    transform = build_operator(config.transforms or [Named("identity")], image_shape, seed=seed)
    if transform.measurement_shape != tuple(image_shape):
        raise ShapeError(
            f"the transforms make {transform.measurement_shape} of images of shape "
            f"{tuple(image_shape)}; a truth keeps its shape, so name what changes it among the "
            "operators"
        )
    return transform


def make_operator(config: RunConfig, image_shape: Shape, *, images: int = 1) -> Operator:
    """Build the operator of a configuration; it sees the luminance alone after `--grey`.

    Args:
        config: names the operators, or holds the spec of a saved one.
        image_shape: the shape of images, without the batch axis.
        images: how many images there are. After `--per-image` each gets an operator with random
            draws of its own.

    Returns:
        The operator, on the CPU.

    Raises:
        UnknownNameError: an operator's name is not registered.
        ArgumentError: an option makes no sense.
        ShapeError: the operators do not fit, or a saved one reads images of another shape.
    """
    if config.spec is None:
        chain = (*config.operators, Named("luminance")) if config.grey else config.operators
        if config.per_image:
            return each(
                build_operator(chain, image_shape, seed=config.seed, operator_seed=own)
                for own in image_seeds(config.seed, config.operator_seed, images)
            )
        return build_operator(
            chain, image_shape, seed=config.seed, operator_seed=config.operator_seed
        )
    saved = rebuild(json.loads(config.spec), "the saved operator")
    grey = [build_operator([Named("luminance")], image_shape)] if config.grey else []
    operator = compose([saved, *grey])
    if operator.image_shape != tuple(image_shape):
        raise ShapeError(
            f"the saved operator reads images of shape {operator.image_shape}, but these are "
            f"{tuple(image_shape)}; save one for this shape, or take images (`measure --size`) or "
            "a generator (`solve --prior`) of the operator's"
        )
    return operator


def build_operator(
    chain: Sequence[Named], image_shape: Shape, *, seed: int = 0, operator_seed: int | None = None
) -> Operator:
    """Build a chain of operators.

    Args:
        chain: the operators in reading order: the last one sees the image, and each other one is
            made for what the one behind it measures.
        image_shape: the shape of images, without the batch axis.
        seed: what the seeds of random operators are derived from.
        operator_seed: the seed of the first random operator, counted from the image; those of
            others are derived from it. None: it is derived from `seed`.

    Returns:
        The operator, on the CPU.

    Raises:
        UnknownNameError: an operator's name is not registered.
        ArgumentError: an option makes no sense.
        ShapeError: two operators do not fit together.
    """
    built: list[Operator] = []
    random = 0
    shape = tuple(image_shape)
    for named in reversed(chain):
        settings: dict[str, Any] = {"image_shape": shape, **named.settings}
        if "seed" in inspect.signature(register.operator[named.name]).parameters:
            settings["seed"] = _operator_seed(seed, operator_seed, random)
            random += 1
        try:
            operator = build("operator", named.name, settings)
        except InvprobError:
            raise
        except (TypeError, ValueError) as error:
            # A chain can hand an author's operator a shape that it was not written for.
            raise ArgumentError(
                f"the operator {named.name!r} cannot be built for images of shape {shape}: {error}"
            ) from error
        built.insert(0, operator)
        shape = operator.measurement_shape
    return compose(built)


def image_seeds(seed: int, operator_seed: int | None, images: int) -> list[int]:
    """A seed of random operators for each image; the first is the one that images would share."""
    first = _operator_seed(seed, operator_seed, 0)
    return [first, *(derive(first, "image", index) for index in range(1, images))]


def build_example(
    name: str,
    *,
    image_shape: Shape | None = None,
    settings: Mapping[str, Any] | None = None,
    operator_seed: int | None = None,
) -> Operator:
    """Build an operator's own example, changed in what is given.

    Args:
        name: the operator.
        image_shape: another shape of images.
        settings: other options.
        operator_seed: another seed.

    Raises:
        UnknownNameError: the name is not registered.
        ArgumentError: an option makes no sense, or a seed is given to what is not random.
        ShapeError: the operator makes no sense of the shape.
    """
    example = register.operator[name].example()
    changes = dict(settings or {})
    if image_shape is not None:
        changes["image_shape"] = list(image_shape)
    if operator_seed is not None:
        if "seed" not in inspect.signature(type(example)).parameters:
            raise ArgumentError(f"the operator {name!r} is not random: leave --operator-seed out")
        changes["seed"] = operator_seed
    return rebuild({**example.spec(), **changes}, f"the operator {name!r}") if changes else example


def build_noise(named: Named | None) -> Noise | None:
    """Build the noise; None where there is to be none."""
    return None if named is None else Noise.from_spec({"type": named.name, **named.settings})


def build_recipe(
    config: RunConfig,
    generator: Generator,
    operator: Operator,
    perceptual: PerceptualDistance | Absent,
    *,
    noise: Noise | None = None,
    unknown: Sequence[str] = (),
) -> Recipe:
    """Build what the configuration's method makes of a generator, an operator and a noise.

    What the configuration leaves open is chosen by `invprob.methods.policy`.
    """
    options = {option.name: option for option in options_of(register.method[config.method.name])}
    settings = {}
    for name, value in config.method.settings.items():
        if name not in options:
            raise ArgumentError(
                f"the method {config.method.name!r} has no option {name!r}."
                f"{suggest(name, options)} Options: {', '.join(options) or 'none'}."
            )
        settings[name] = options[name].read(value)
    return make(
        config.method.name,
        generator,
        operator.image_shape,
        measurement_shape=operator.measurement_shape,
        observed=operator.measured,
        smooth=operator.smooth,
        linear=operator.linear,
        unknown=unknown,
        perceptual=None if isinstance(perceptual, Absent) else perceptual,
        noise=noise,
        data_term=config.data_term,
        init=config.init,
        coarse=config.coarse,
        may_stop=config.stop is not None or config.seconds is not None,
        **settings,
    )


def build_device(name: str) -> torch.device:
    """The device of a name.

    Args:
        name: auto, cpu, cuda, cuda:N or mps; auto takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        DeviceError: the name is not one of these, or there is no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise DeviceError(
                f"--device {name}: PyTorch sees no CUDA device here; use --device cpu"
            )
        if (device.index or 0) >= count:
            raise DeviceError(f"--device {name}: there are {count} CUDA devices, from cuda:0 on")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: PyTorch sees no Apple GPU here; use --device cpu")
    return device


def _operator_seed(seed: int, operator_seed: int | None, random: int) -> int:
    first = derive(seed, "operator") if operator_seed is None else operator_seed
    return first if random == 0 else derive(first, "operator", random)


def _with_choices(method: Named, recipe: Recipe) -> Named:
    """The method with what was chosen for it in the place of "auto"."""
    chosen = {name: getattr(recipe.choices, name) for name in open_options(method.name)}
    return Named(method.name, {**method.settings, **chosen})


def _spelt_out(kind: str, named: Named, leave: Sequence[str] = ()) -> Named:
    defaults = {
        option.name: option.default
        for option in options_of(register.of(kind)[named.name])
        if not option.required and option.name not in leave
    }
    return Named(named.name, {**defaults, **named.settings})
