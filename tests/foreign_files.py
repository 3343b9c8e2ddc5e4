"""Generator files as other programs write them, made here from tensors and attributes.

No code of those programs is used: their pickles only name functions and classes, so stand-ins of
the same names are put in place while a file is written, and taken away afterwards.
"""

import argparse
import contextlib
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from foreign_layers import Foreign, Plan
from foreign_networks import BUILDERS
from torch import Tensor

from invprob.priors import save_generator
from invprob.priors.checkpoints.convert import to_generator
from invprob.priors.checkpoints.reading import RawCheckpoint

State = Mapping[str, Tensor]
Attributes = Mapping[str, Mapping[str, Any]]
BUFFERS = ("noise_const", "resample_filter", "w_avg")
NEVER_RUN = "print('the source text of a pickle was executed')\n"


def write_each(folder: Path) -> dict[str, Path]:
    """One small file of every format and way of writing, all of them whole generators."""
    plan = Plan(channels=(3, 2), style_width=4, z_width=4, hidden_width=4)
    held = {name: _float32(build(plan)) for name, build in BUILDERS.items()}
    theirs, latent = dict(held["rosinality"].tensors), held["rosinality"].tensors["latent_avg"]
    del theirs["latent_avg"]
    nvidia, tf = held["nvidia"], held["nvidia-tf"]
    genforce = held["genforce"].tensors
    copies = {name: value.clone() for name, value in genforce.items()}
    generator = to_generator(
        RawCheckpoint("genforce", copies, held["genforce"].attributes), source="memory"
    )
    save_generator(generator, folder / "native.safetensors")
    return {
        "native": folder / "native.safetensors",
        "rosinality": write_rosinality(folder / "r.pt", theirs, latent_avg=latent),
        "rosinality stream": write_rosinality(
            folder / "s.pt", theirs, latent_avg=latent, legacy=True
        ),
        "rosinality training": write_rosinality(folder / "train.pt", theirs, training=True),
        "psp": write_psp(folder / "psp.pt", theirs, latent_avg=latent.expand(4, -1)),
        "genforce": write_genforce(folder / "g.pth", genforce),
        "genforce runner": write_genforce(folder / "runner.pth", genforce, runner=True),
        **{
            f"nvidia {protocol}": write_nvidia(
                folder / f"n{protocol}.pkl", nvidia.tensors, nvidia.attributes, protocol=protocol
            )
            for protocol in (2, 3, 4, 5)
        },
        "nvidia alone": write_nvidia(
            folder / "n.pt", nvidia.tensors, nvidia.attributes, arranged=lambda network: network
        ),
        **{
            f"nvidia-tf {protocol}": write_nvidia_tf(
                folder / f"t{protocol}.pkl", tf.tensors, tf.attributes[""], protocol=protocol
            )
            for protocol in (2, 3, 4, 5)
        },
    }


def _float32(foreign: Foreign) -> Foreign:
    return replace(foreign, tensors={k: v.float() for k, v in foreign.tensors.items()})


def write_rosinality(
    path: Path,
    state: State,
    *,
    latent_avg: Tensor | None = None,
    training: bool = False,
    legacy: bool = False,
    **beside: Any,
) -> Path:
    """`g_ema` in rosinality's names; with `training`, what train.py leaves beside it."""
    content: dict[str, Any] = {"g_ema": OrderedDict(state)}
    if training:
        content["g"] = content["d"] = OrderedDict(state)
        content["g_optim"] = {"state": {0: {"step": 7}}, "param_groups": [{"betas": (0, 0.99)}]}
        content["args"] = argparse.Namespace(size=32, path="data", lr=0.002)
        content["ada_aug_p"] = 0.1
    if latent_avg is not None:
        content["latent_avg"] = latent_avg
    content.update(beside)
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def write_genforce(path: Path, state: State, *, runner: bool = False) -> Path:
    """`generator_smooth`, at the top as in the model zoo or under `models` as its trainer does."""
    models = {"generator": OrderedDict(state), "generator_smooth": OrderedDict(state)}
    torch.save({"models": models, "running_metadata": {"iter": 3}} if runner else models, path)
    return path


def write_psp(path: Path, state: State, *, latent_avg: Tensor | None = None, **beside: Any) -> Path:
    """A state_dict with `decoder.` in rosinality's names, an encoder, and the options."""
    held = {f"decoder.{name}": value for name, value in state.items()}
    held["encoder.input_layer.0.weight"] = torch.zeros(4, 3, 3, 3)
    content: dict[str, Any] = {
        "state_dict": held,
        "opts": {"exp_dir": "there", "stylegan_size": 32},
    }
    if latent_avg is not None:
        content["latent_avg"] = latent_avg
    torch.save({**content, **beside}, path)
    return path


def write_nvidia(
    path: Path,
    state: State,
    attributes: Attributes,
    *,
    protocol: int = 4,
    arranged: Callable[[Any], Any] | None = None,
    source: str = NEVER_RUN,
    **beside: Any,
) -> Path:
    """A pickle of stylegan2-ada-pytorch, or a file of torch.save with the network `arranged`.

    `attributes` holds, by module path ("" is the generator), the plain attributes of each module,
    and `class_name` where it is not what the tensors' names tell. `beside` adds to the top level.
    """
    told = {
        path: {**usual, **attributes.get(path, {})} for path, usual in _classes_of(state).items()
    }
    with borrowed_names() as names:
        network = _Persistent(names.reconstruct, state, told, source)
        if arranged is not None:
            torch.save(arranged(network), path)
            return path
        content = {
            "G": network,
            "D": None,
            "G_ema": network,
            "augment_pipe": None,
            "training_set_kwargs": names.EasyDict(path="there.zip", resolution=32),
            **beside,
        }
        path.write_bytes(pickle.dumps(content, protocol))
    return path


def write_nvidia_tf(
    path: Path,
    variables: State,
    static_kwargs: Mapping[str, Any],
    *,
    protocol: int = 4,
    version: int = 4,
    discriminator: Any = None,
    arranged: Callable[[Any, Any, Any], Any] = lambda *networks: networks,
) -> Path:
    """The tuple (G, D, Gs) of NVIDIA's TensorFlow code, or the three `arranged` otherwise.

    `variables` is by full names, "mapping/Dense0/weight" and "dlatent_avg"; the first part names
    the component where it is `mapping` or `synthesis`.
    """
    with borrowed_names() as names:

        def network(name: str, held: State, components: dict[str, Any]) -> Any:
            made = names.Network()
            made.__dict__.update(
                version=version,
                name=name,
                static_kwargs=names.EasyDict(static_kwargs),
                components=components,
                build_module_src=NEVER_RUN,
                build_func_name="G_main",
                variables=[(key, value.numpy()) for key, value in held.items()],
            )
            return made

        parts = {
            part: network(
                f"G_{part}",
                {
                    key.removeprefix(f"{part}/"): value
                    for key, value in variables.items()
                    if key.startswith(f"{part}/")
                },
                {},
            )
            for part in ("synthesis", "mapping")
        }
        own = {key: value for key, value in variables.items() if key.partition("/")[0] not in parts}
        whole = network("Gs", own, names.EasyDict(parts))
        beside = network("D", {}, {} if discriminator is None else {"x": discriminator})
        path.write_bytes(pickle.dumps(arranged(whole, beside, whole), protocol))
    return path


class _Persistent:
    """Pickles as NVIDIA's persistent objects do: a function's name and one dictionary."""

    def __init__(
        self, function: Any, state: State, attributes: Attributes, source: str, path: str = ""
    ) -> None:
        self.function = function
        prefix = f"{path}." if path else ""
        own = {
            name.removeprefix(prefix): value
            for name, value in state.items()
            if name.startswith(prefix)
        }
        direct = {name: value for name, value in own.items() if "." not in name}
        children = dict.fromkeys(name.partition(".")[0] for name in own if "." in name)
        held = dict(torch.nn.Module().__dict__)
        held["_parameters"] = OrderedDict(
            (name, torch.nn.Parameter(value.clone(), requires_grad=False))
            for name, value in direct.items()
            if name not in BUFFERS
        )
        held["_buffers"] = OrderedDict(
            (name, value.clone()) for name, value in direct.items() if name in BUFFERS
        )
        held["_modules"] = OrderedDict(
            (child, _Persistent(function, state, attributes, source, f"{prefix}{child}"))
            for child in children
        )
        held.update(attributes.get(path, {}))
        held["_init_args"], held["_init_kwargs"] = (), {}
        name = held.pop("class_name")
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": source,
            "class_name": name,
            "state": held,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, (self.meta,)


@contextlib.contextmanager
def borrowed_names() -> Iterator[types.SimpleNamespace]:
    """Stand-ins for the functions and classes that NVIDIA's pickles name."""

    def reconstruct(meta: dict[str, Any]) -> None:
        raise AssertionError("a stand-in was called")

    class EasyDict(dict):  # type: ignore[type-arg]
        pass

    class Network:
        pass

    places = {
        "torch_utils.persistence": ("_reconstruct_persistent_obj", reconstruct),
        "dnnlib.util": ("EasyDict", EasyDict),
        "dnnlib.tflib.network": ("Network", Network),
    }
    before = dict(sys.modules)
    try:
        for module, (name, made) in places.items():
            made.__module__, made.__qualname__, made.__name__ = module, name, name
            parts = module.split(".")
            for count in range(1, len(parts) + 1):
                full = ".".join(parts[:count])
                sys.modules.setdefault(full, types.ModuleType(full))
            setattr(sys.modules[module], name, made)
        yield types.SimpleNamespace(reconstruct=reconstruct, EasyDict=EasyDict, Network=Network)
    finally:
        for name in set(sys.modules) - set(before):
            if name.partition(".")[0] in ("torch_utils", "dnnlib"):
                del sys.modules[name]


def _classes_of(state: State) -> dict[str, dict[str, Any]]:
    """The classes of a StyleGAN2 generator's modules, told from the names of its tensors."""
    found: dict[str, dict[str, Any]] = {"": {"class_name": "Generator"}}
    for name in state:
        parts = name.split(".")[:-1]
        for count in range(1, len(parts) + 1):
            found.setdefault(".".join(parts[:count]), {"class_name": _class_of(parts[:count])})
    return found


def _class_of(parts: list[str]) -> str:
    last = parts[-1]
    if last in ("mapping", "synthesis"):
        return "MappingNetwork" if last == "mapping" else "SynthesisNetwork"
    if parts[0] == "mapping" or last == "affine":
        return "FullyConnectedLayer"
    if last == "torgb":
        return "ToRGBLayer"
    return "SynthesisLayer" if last.startswith("conv") else "SynthesisBlock"
