"""What a generator file contains, in words and numbers."""

from pathlib import Path
from typing import Any

from invprob.errors import EncoderError, GeneratorFileError
from invprob.files import sha256_of
from invprob.priors.checkpoints.reading import RawCheckpoint, read_checkpoint
from invprob.priors.encoder_files import encoder_path, read_header
from invprob.priors.generator_files import (
    NotFinite,
    build_generator,
    card_of,
    find_generator,
    fingerprint,
)
from invprob.priors.stylegan.extras import extras_path, load_extras
from invprob.priors.stylegan.generator import Generator

FORMATS = {
    "native": "native StyleGAN2, safetensors",
    "bare": "StyleGAN2 in the native names, without the header of a native file",
    "rosinality": "StyleGAN2 in rosinality's names",
    "nvidia": "StyleGAN2 of NVIDIA's PyTorch code",
    "nvidia-tf": "StyleGAN2 of NVIDIA's TensorFlow code",
    "genforce": "StyleGAN2 in GenForce's names",
    "psp": "StyleGAN2 in rosinality's names, within an encoder's file (pSp, e4e, PTI)",
}
MEANS = ("mean_w", "latent_avg", "mapping.w_avg", "dlatent_avg", "truncation.w_avg")


def describe_file(name: str) -> dict[str, Any]:
    """Describe a generator. No code in its file is executed.

    Args:
        name: A registered name, the name of a pulled generator, or a path.

    Returns:
        Facts as JSON values, in the order in which to show them. "warnings" is a list of sentences.

    Raises:
        GeneratorFileError: The file holds no complete generator.
    """
    path = find_generator(name)
    raw = read_checkpoint(path)
    types = {value.dtype for value in raw.stand_ins.values()}
    mean_of_w = _mean_of_w(raw)
    bad = NotFinite()
    generator = build_generator(raw, path, source=name, on_tensor=bad)
    config, card = generator.config, card_of(name)
    about: dict[str, Any] = {
        "generator": name,
        "format": FORMATS[raw.format],
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": sha256_of(path),
        "resolution": config.resolution,
        "channels": list(config.channels),
        "style_width": config.style_width,
        "style_rows": config.num_layers,
        "z_width": config.z_width,
        "mapping_layers": config.mapping_layers,
        "parameters": sum(value.numel() for value in generator.parameters()),
        "precision": sorted(str(dtype).removeprefix("torch.") for dtype in types),
        "mean of W": mean_of_w,
        "fingerprint": fingerprint(generator),
    }
    if config.labels:
        about["classes"] = config.labels
    if config.clamp is not None:
        about["clamp"] = config.clamp
    if generator.notes:
        about["notes"] = list(generator.notes)
    if raw.notes:
        about["left out"] = list(raw.notes)
    about.update({key: card[key] for key in ("purpose", "licence", "card") if key in card})
    about.update({f"figure: {key}": value for key, value in card.get("figures", {}).items()})
    about.update(_beside(name, generator))
    about.update(_encoders(path, generator))
    names = ", ".join(bad.names[:5])
    warning = f"{path}: NaN or infinite values in {names}; `solve` refuses this file"
    about["warnings"] = [warning] if names else []
    return about


def _beside(name: str, generator: Generator) -> dict[str, Any]:
    """Statistics and directions from the companion file of these weights, if there is one."""
    if not extras_path(find_generator(name)).exists():
        return {"W statistics": "none beside the file; `invprob convert` computes them"}
    try:
        extras = load_extras(name, generator)
    except GeneratorFileError as error:
        return {"W statistics": f"none: {error}"}
    statistics = extras.statistics
    summary = (
        f"{statistics.count} draws, spread {float(statistics.std_w):.3f}, "
        f"effective rank {statistics.effective_rank()} of {generator.style_width} "
        "(principal components of standard deviation above 0.01)"
    )
    return {"W statistics": summary, "edit directions": list(extras.directions)}


def _encoders(path: Path, generator: Generator) -> dict[str, Any]:
    """Kinds and figures of the encoders of these weights, if there are any."""
    if not encoder_path(path).exists():
        return {"encoders": "none beside the file; `invprob train-encoder` trains them"}
    try:
        records = read_header(encoder_path(path), generator)["encoders"]
    except EncoderError as error:
        return {"encoders": f"none: {error}"}
    figures = {
        f"{kind} encoder, {name}": round(value, 3)
        for kind, record in records.items()
        for name, value in record.get("figures", {}).items()
    }
    return {"encoders": list(records), **figures}


def _mean_of_w(raw: RawCheckpoint) -> str:
    names = [name for name in MEANS if name in raw.tensors]
    return f"in the file ({names[0]})" if names else "measured on loading; none in the file"
