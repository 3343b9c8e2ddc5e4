"""NVIDIA's pickled networks, of PyTorch and TensorFlow, as flat tensors and plain attributes."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.limits import Limits
from invprob.priors.checkpoints.objects import NETWORK, TF_NETWORK, array, plain
from invprob.priors.checkpoints.pickles import Record
from invprob.priors.checkpoints.spans import TensorRef

Attributes = dict[str, dict[str, Any]]

CLASSES = {
    "Generator",
    "MappingNetwork",
    "SynthesisNetwork",
    "SynthesisBlock",
    "SynthesisLayer",
    "ToRGBLayer",
    "FullyConnectedLayer",
    "Conv2dLayer",
}
REFUSED = {
    "SynthesisInput": "this is StyleGAN3 (translation or rotation equivariant), another network",
    "SuperresGenerator": "this is StyleGAN-XL, another network",
    "TriPlaneGenerator": "this is EG3D, which renders a three-dimensional scene",
    "SuperresolutionHybrid8XDC": "this is a part of EG3D",
    "OSGDecoder": "this is a part of EG3D",
}


def is_network(value: Any) -> TypeGuard[Record]:
    """Whether a value is one of NVIDIA's PyTorch networks."""
    return isinstance(value, Record) and value.name == NETWORK


def is_tf_network(value: Any) -> TypeGuard[Record]:
    """Whether a value is one of NVIDIA's TensorFlow networks."""
    return isinstance(value, Record) and value.name == TF_NETWORK


def draws_images(network: Record) -> bool:
    """Whether a network of NVIDIA's seems to be a generator: not a discriminator, not a part."""
    if is_tf_network(network):
        held = network.state.get("components") if isinstance(network.state, dict) else None
        return isinstance(held, dict) and "synthesis" in held
    return "Generator" in _meta(network)[0]


def flatten(root: Record, limits: Limits) -> tuple[dict[str, TensorRef], Attributes]:
    """Flatten a generator of NVIDIA's PyTorch code.

    The file contains source code. Only its hash is kept (`source_sha256`).

    Args:
        root: The network.
        limits: How many modules it may have.

    Returns:
        The state dict, and the attributes of every module by the module's path.

    Raises:
        GeneratorFileError: A module is of a class that StyleGAN2's generator does not have. The
            message names the class.
    """
    modules = list(_modules(root, limits))
    for known in (True, False):  # first name a known other network, then any unknown part
        for path, (name, _, _) in modules:
            if (name in REFUSED) if known else (name not in CLASSES):
                reason = REFUSED.get(name, "not a part of StyleGAN2's generator")
                place = f" at {path!r}" if path else ""
                raise GeneratorFileError(f"class {name[:60]!a}{place}: {reason}")
    if modules[0][1][0] != "Generator":
        raise GeneratorFileError(f"a {modules[0][1][0]} by itself, not a whole Generator")
    tensors: dict[str, TensorRef] = {}
    attributes: Attributes = {}
    for path, (name, state, source) in modules:
        prefix = f"{path}." if path else ""
        for kind in ("_parameters", "_buffers"):
            for key, value in _dict(state, kind).items():
                if isinstance(value, TensorRef):
                    tensors[prefix + key] = value
                elif value is not None:
                    raise GeneratorFileError(f"damaged: {prefix + key!a} is not a tensor")
        kept = {key: plain(value) for key, value in state.items() if not key.startswith("_")}
        attributes[path] = {key: value for key, value in kept.items() if value is not ...}
        attributes[path]["class_name"] = name
        if not path:
            attributes[path]["source_sha256"] = hashlib.sha256(source.encode()).hexdigest()
    _check_architecture(attributes)
    return tensors, attributes


def _modules(root: Record, limits: Limits) -> Iterator[tuple[str, tuple[str, dict[str, Any], str]]]:
    """Every module with its path, its class, its state and its source code."""
    waiting, count = [("", root)], 0
    while waiting:
        path, record = waiting.pop(0)
        count += 1
        if count > limits.modules or path.count(".") > 8:
            raise GeneratorFileError("a network of more parts than any generator has")
        name, state, source = _meta(record)
        yield path, (name, state, source)
        for key, child in _dict(state, "_modules").items():
            if child is None:
                continue
            place = f"{path}.{key}" if path else key
            if not is_network(child):
                raise GeneratorFileError(f"damaged: {place[:60]!a} is not a module")
            waiting.append((place, child))


def _meta(record: Record) -> tuple[str, dict[str, Any], str]:
    meta = record.arguments[0] if len(record.arguments) == 1 else None
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise GeneratorFileError("damaged: a network without its description")
    name, state, source = meta.get("class_name"), meta.get("state"), meta.get("module_src", "")
    if not isinstance(name, str) or not isinstance(state, dict) or not isinstance(source, str):
        raise GeneratorFileError("damaged: a network without class or state")
    if not all(isinstance(key, str) for key in state):
        raise GeneratorFileError("damaged: an attribute without a name")
    return name, state, source


def _dict(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    held = state.get(name, {})
    if not isinstance(held, dict) or not all(isinstance(key, str) for key in held):
        raise GeneratorFileError(f"damaged: a network's {name} have no names")
    return held


def _check_architecture(attributes: Attributes) -> None:
    for path, held in attributes.items():
        architecture = held.get("architecture", "skip")
        if architecture != "skip":
            raise GeneratorFileError(
                f"{path} has architecture {architecture!a}; only 'skip' is supported"
            )


def flatten_tf(root: Record) -> tuple[dict[str, TensorRef], Attributes]:
    """Flatten a generator of NVIDIA's TensorFlow code.

    Returns:
        Its variables by name, and the static arguments of each component.

    Raises:
        GeneratorFileError: The network is StyleGAN1 or older, or the file is damaged.
    """
    tensors: dict[str, TensorRef] = {}
    attributes: Attributes = {}
    waiting, count = [("", root)], 0
    while waiting:
        prefix, record = waiting.pop(0)
        count += 1
        state = record.state
        if not isinstance(state, dict) or count > 16:
            raise GeneratorFileError("damaged: a TensorFlow network without its state")
        version = state.get("version")
        if type(version) is not int or version < 4:
            raise GeneratorFileError(
                f"a TensorFlow network of version {ascii(version)[:20]}: StyleGAN1 or older; "
                "StyleGAN2 has 4 and above"
            )
        for name, value in _pairs(state.get("variables")):
            made = array(value)
            if made is None:
                raise GeneratorFileError(f"damaged: {prefix + name!a} is not an array of numbers")
            tensors[prefix + name] = made
        arguments = state.get("static_kwargs")
        if not isinstance(arguments, dict):
            raise GeneratorFileError("damaged: a TensorFlow network without its arguments")
        held = {str(key): plain(value) for key, value in arguments.items()}
        held.update(name=plain(state.get("name")), version=version)
        attributes[prefix.removesuffix("/")] = {
            key: value for key, value in held.items() if value is not ...
        }
        for name, child in _pairs(state.get("components", {})):
            if not is_tf_network(child):
                raise GeneratorFileError(f"damaged: the component {name[:60]!a} is not a network")
            waiting.append((f"{prefix}{name}/", child))
    return tensors, attributes


def _pairs(held: Any) -> list[tuple[str, Any]]:
    items = list(held.items()) if isinstance(held, dict) else held
    if not isinstance(items, list) or not all(
        isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in items
    ):
        raise GeneratorFileError("damaged: a TensorFlow network's variables have no names")
    return items
