"""The laws of the face renderer's factors, and their labels recovered by replaying its draws."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .factors import (
    RACES,
    Ancestry,
    Array,
    Factors,
    Given,
    Law,
    Name,
    Number,
    Sometimes,
    beta,
    flat,
    normal,
    shifted_normal,
    tabled,
)

FIELD = 16  # pixels along a side of the background colour field that is encoded
PATTERNS = 24  # its principal components that get coordinates
EXPRESSIONS = (
    ("frown", 0.08, 0.7),
    ("pucker", 0.05, 0.6),
    ("brow_raise", 0.18, 0.8),
    ("nose_wrinkle", 0.04, 0.7),
    ("brow_inner_raise", 0.08, 0.7),
    ("brow_lower", 0.10, 0.4),
    ("squint", 0.25, 0.5),
    ("eyes_wide", 0.06, 0.6),
)


def load_renderer(assets: Path) -> ModuleType:
    """Import `render_faces.py` from the folder of the asset pack."""
    spec = importlib.util.spec_from_file_location("render_faces", assets / "render_faces.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{assets} holds no render_faces.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["render_faces"] = module
    spec.loader.exec_module(module)
    return module


def replay(renderer: Any, seed: int, index: int) -> tuple[dict[str, Any], Array]:
    """Factors of one face, shape parameters included, and its (FIELD, FIELD, 3) background field.

    The renderer's generator is drawn from in the same order as `render_faces.face` does, without
    drawing the image.
    """
    rng = np.random.default_rng([seed, index])
    factors = renderer.draw_factors(rng)
    for key, parameter in renderer.TABLES["shape"].items():
        factors["shape_" + key] = float(rng.normal(0, parameter["sigma"]))
        rng.normal(size=len(parameter["sides"]))  # left-right asymmetry
    linear = renderer.background(factors, rng, FIELD)
    return factors, linear ** (1 / 2.2)


def gather(renderer: Any, seed: int, indices: Sequence[int]) -> tuple[Factors, Array]:
    """Factors as arrays (names as indices) with derived quantities, and background fields."""
    rows, fields = zip(*(replay(renderer, seed, index) for index in indices), strict=True)
    names = {
        "hair_colour": list(renderer.COLOURS),
        "hair_style": renderer.STYLES,
        "eye_colour": renderer.TABLES["eye_colours"],
        "bg_kind": ["plain", "blobs", "boxes", "bokeh"],
    }
    factors: Factors = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        if key in names:
            values = [names[key].index(value) for value in values]
        factors[key] = np.array(values)
    _derive(factors, np.array(list(renderer.COLOURS.values())) / 255)
    return factors, np.stack(fields)


def _derive(factors: Factors, palette: Array) -> None:
    """Add what colours were made from: brightness of the hair, hue of the background, greys."""
    hair, background, garment = (
        np.stack([factors[f"{part}_{channel}"] for channel in "rgb"], 1)
        for part in ("hair", "bg", "garment")
    )
    factors["hair_brightness"] = np.log(hair / palette[factors["hair_colour"]]).mean(1)
    top, low = background.max(1), background.min(1)
    red, green, blue = background.T
    spread = np.maximum(top - low, 1e-9)
    hue = np.select(
        [top == red, top == green],
        [(green - blue) / spread, 2 + (blue - red) / spread],
        4 + (red - green) / spread,
    )
    factors["bg_hue"] = (hue / 6 + 0.1) % 1  # the seam lies at magenta, where few hues do
    factors["bg_saturation"], factors["bg_value"] = 1 - low / top, top
    grey = garment.mean(1)
    factors["garment_grey"] = grey
    factors["garment_warmth"] = (garment[:, 0] - garment[:, 2]) / (0.3 + grey)
    factors["garment_green"] = (garment[:, 1] - grey) / (0.3 + grey)


class Backdrop(Law):
    """The background's colour field: an amplitude and a direction among its principal components.

    Amplitude and each component get the normal scores of their ranks; a plain background has a
    small amplitude and still a direction.
    """

    name = "backdrop"
    width = PATTERNS + 1

    def __init__(self, fields: Array) -> None:
        flatness = fields.mean((1, 2), keepdims=True) + 0.1
        rows = (fields / flatness).reshape(len(fields), -1) * self._visible()
        self.mean = rows.mean(0)
        rows = rows - self.mean
        _, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        scores = rows @ vectors[:, ::-1][:, :PATTERNS]
        scores /= scores.std(0)
        radius = np.linalg.norm(scores, axis=1, keepdims=True)
        direction = scores / radius * np.sqrt(PATTERNS)
        table = np.concatenate([np.log(radius), direction], 1)
        ranks = table.argsort(0).argsort(0)
        self.scores = special_ndtri((ranks + 0.5) / len(table))

    @staticmethod
    def _visible() -> Array:
        """Weights that let what the head covers count little, (FIELD · FIELD · 3,)."""
        y, x = (np.mgrid[:FIELD, :FIELD] + 0.5) / FIELD
        covered = (((x - 0.5) / 0.3) ** 2 + ((y - 0.55) / 0.4) ** 2 < 1) | (y > 0.85)
        return np.repeat(np.where(covered, 0.15, 1.0).ravel(), 3)

    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        """The stored scores of the faces with these `index` values; nothing is drawn."""
        del rng
        return self.scores[factors["index"]]

    def decode(self, z: Array, factors: Factors) -> None:
        """Keep the coordinates: a field is not needed again."""
        factors["backdrop"] = z


def special_ndtri(u: Array) -> Array:
    """Normal scores."""
    from scipy.special import ndtri

    return np.asarray(ndtri(u))


def face_laws(tables: dict[str, Any], observed: Factors) -> list[Law]:
    """The laws of `draw_factors`, parents first; `observed` gives tables for compound colours."""
    styles = np.array(list(tables["hair_styles"].values()), float)
    hair = np.array([tables["hair_prior"][race] for race in RACES])
    eyes = np.array([tables["eye_prior"][race] for race in RACES])

    def shares(given: Given) -> Array:
        return np.stack([given[race] for race in RACES], 1)

    def ageing(given: Given) -> Array:
        t = np.clip((given["age"] - 38) / 42, 0, 1)
        return np.asarray(t * t * (3 - 2 * t))

    def hair_colours(given: Given) -> Array:
        old = ageing(given)
        p = shares(given) ** 2 @ hair * (1 - 0.85 * old)[:, None]
        grey = np.stack([0.55 * old, 0.30 * old**2], 1)
        p[:, 8:] = p.sum(1, keepdims=True) * grey / (1.001 - 0.85 * old)[:, None]
        return np.asarray(p)

    def hair_styles(given: Given) -> Array:
        male = given["sex"] > 0.5
        p = np.where(male[:, None], styles[:, 0], styles[:, 1])
        crop = 0.5 + (1.5 + given["african"]) * np.where(male, ageing(given), 0.3)
        p[:, 0] *= crop * (given["darkness"] < 0.22)
        p[:, 1] *= crop
        p[:, 2] *= 8 * given["african"] ** 2
        return p

    def uniform(count: int) -> Callable[[Given], Array]:
        return lambda given: np.full((len(given["sex"]), count), 1 / count)

    laws: list[Law] = [
        beta("sex", 0.3, 0.3),
        _age(),
        Ancestry(),
        normal("weight", -0.05, 0.4, -1, 1),
        *(normal(n, 0, sd, -2.3 * sd, 2.3 * sd) for n, sd in (("yaw", 0.27), ("pitch", 0.1))),
        normal("roll", 0, 0.04, -0.092, 0.092),
        flat("distance", 11, 22),
        flat("zoom", 0.985, 1.03),
        normal("shift_x", 0, 0.006, -0.015, 0.015),
        normal("shift_y", 0, 0.006, -0.015, 0.015),
        normal("light_azimuth", 0, 0.75, -1.9, 1.9),
        normal("light_elevation", 0.45, 0.3, -0.25, 1.2),
        beta("light_ratio", 2.8, 2.0),
        _lognormal("exposure", 0.13),
        normal("warmth", 0, 0.05),
        _rim(),
        shifted_normal("darkness", lambda g: shares(g) @ [0.95, 0.14, 0] + 0.02, 0.07, 0, 1),
        flat("skin_variant", 0, 1),
        _lognormal("skin_gain", 0.07),
        normal("skin_red", 0, 0.12),
        Name("hair_colour", list(tables["hair_prior"]["asian"]), hair_colours),
        normal("hair_brightness", 0, float(np.hypot(0.12, 0.012 / np.sqrt(3)))),
        Name("hair_style", list(tables["hair_styles"]), hair_styles),
        Name("hair_mirror", ["no", "yes"], uniform(2)),
        Sometimes(
            "beard",
            _upper_half("beard", 0.38, 0.8),
            lambda g: np.where((g["sex"] > 0.6) & (g["age"] > 19), 0.5, 0.0),
        ),
        Name("eye_colour", tables["eye_colours"], lambda g: shares(g) ** 3 @ eyes),
        _from_one("eyebrow", 12, uniform(12)),
        _from_one("eyelash", 4, uniform(4)),
        Sometimes("smile", beta("smile", 2, 1.6, 1.1), _constant(0.55)),
        Sometimes(
            "grin", _of_smile("grin", 0.4, 1.0), lambda g: np.where(g["smile"] > 0, 0.55, 0.0)
        ),
        Sometimes(
            "mouth_open",
            _open_mouth(),
            lambda g: np.where(g["grin"] > 0, 1.0, 0.16),
        ),
        *(Sometimes(n, flat(n, 0.1, high), _constant(chance)) for n, chance, high in EXPRESSIONS),
        _eyes_closed(),
        shifted_normal("gaze_x", lambda g: -0.75 * g["yaw"], 0.09, -0.38, 0.38),
        shifted_normal("gaze_y", lambda g: -0.5 * g["pitch"], 0.09, -0.38, 0.38),
        *(tabled(n, np.sort(observed[n])) for n in ("bg_hue", "bg_saturation", "bg_value")),
        normal("collar", 5.85, 0.12, 5.6, 6.03),
        normal("neckline", 0, 0.3, 0, 0.5),
        *(
            tabled(n, np.sort(observed[n]))
            for n in ("garment_grey", "garment_warmth", "garment_green")
        ),
        *(normal("shape_" + key, 0, row["sigma"]) for key, row in tables["shape"].items()),
    ]
    return laws


def _constant(chance: float) -> Callable[[Given], Array]:
    """The same probability for every face."""
    return lambda given: np.full(len(given["sex"]), chance)


def _age() -> Number:
    """Years: a mixture of the young, the middle and the old, tabulated."""
    years = np.linspace(-30, 110, 28001)
    density = (
        0.13 * np.clip((years - 11) / 9, 0, 1)
        + 0.57 * _ndtr((years - 32) / 9)
        + 0.30 * np.clip((years - 45) / 37, 0, 1)
    )
    return Number(
        "age",
        lambda x, given: np.interp(x, years, density),
        lambda u, given: np.interp(u, density, years),
        11,
        84,
    )


def _lognormal(name: str, sd: float) -> Number:
    return Number(
        name,
        lambda x, given: _ndtr(np.log(x) / sd),
        lambda u, given: np.exp(sd * special_ndtri(np.clip(u, 1e-12, 1 - 1e-12))),
    )


def _rim() -> Law:
    """Strength of the rim light, signed by its side; absent on two thirds of the faces."""
    absent = float(_ndtr(np.array(0.15 / 0.35)))

    def cdf(x: Array, given: Given) -> Array:
        tail = 0.5 * (1 - _ndtr((np.abs(x) + 0.15) / 0.35))
        return np.where(x > 0, 1 - tail, tail)

    def ppf(u: Array, given: Given) -> Array:
        tail = np.clip(np.minimum(u, 1 - u) * 2, 1e-12, 1 - absent)
        size = 0.35 * special_ndtri(1 - tail) - 0.15
        return np.where(np.abs(u - 0.5) > absent / 2, np.sign(u - 0.5) * size, 0.0)

    return _Jump("rim", cdf, ppf, at=0.0, below=(1 - absent) / 2, above=(1 + absent) / 2)


class _Jump(Number):
    """A number whose distribution function jumps in the middle."""

    def __init__(
        self,
        name: str,
        cdf: Callable[[Array, Given], Array],
        ppf: Callable[[Array, Given], Array],
        *,
        at: float,
        below: float,
        above: float,
    ) -> None:
        super().__init__(name, cdf, ppf)
        object.__setattr__(self, "jump", (at, below, above))

    jump: tuple[float, float, float]

    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        """As elsewhere; inside the jump the place is drawn."""
        at, below, above = self.jump
        x = factors[self.name]
        inside = below + (above - below) * rng.random(len(x))
        u = np.where(x == at, inside, self.cdf(x, factors))
        return special_ndtri(np.clip(u, 1e-7, 1 - 1e-7))[:, None]


def _upper_half(name: str, sd: float, high: float) -> Number:
    """The positive half of a normal number."""
    return Number(
        name,
        lambda x, given: 2 * _ndtr(x / sd) - 1,
        lambda u, given: sd * special_ndtri(np.clip((u + 1) / 2, 0.5, 1 - 1e-12)),
        high=high,
    )


def _of_smile(name: str, low: float, high: float) -> Number:
    """Uniform on a range of shares of the smile."""

    def cdf(x: Array, given: Given) -> Array:
        return (x / np.maximum(given["smile"], 1e-9) - low) / (high - low)

    return Number(name, cdf, lambda u, given: given["smile"] * (low + (high - low) * u))


def _open_mouth() -> Number:
    """With a grin a share of the smile, else a width of its own."""
    with_grin, alone = _of_smile("mouth_open", 0, 0.55), flat("mouth_open", 0.1, 0.8)
    return Number(
        "mouth_open",
        lambda x, g: np.where(g["grin"] > 0, with_grin.cdf(x, g), alone.cdf(x, g)),
        lambda u, g: np.where(g["grin"] > 0, with_grin.ppf(u, g), alone.ppf(u, g)),
    )


def _eyes_closed() -> Number:
    """The resting lid, or on 3.5 % of the faces a closed eye."""
    resting, closed = normal("eyes_closed", 0.08, 0.06, 0, 0.25), flat("eyes_closed", 0.85, 1)

    def cdf(x: Array, g: Given) -> Array:
        return np.where(x > 0.5, 0.965 + 0.035 * closed.cdf(x, g), 0.965 * resting.cdf(x, g))

    def ppf(u: Array, g: Given) -> Array:
        rest = np.clip(resting.ppf(np.clip(u / 0.965, 0, 1 - 1e-9), g), 0, 0.25)
        return np.where(u > 0.965, closed.ppf((u - 0.965) / 0.035, g), rest)

    return _Lid("eyes_closed", cdf, ppf)


class _Lid(Number):
    """A resting lid is clipped to [0, 0.25], so its distribution function jumps at both."""

    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        """As elsewhere; the two jumps are filled uniformly."""
        x = factors[self.name]
        u = self.cdf(x, factors)
        draw = rng.random(len(x))
        u = np.where(x <= 0, u * draw, u)
        u = np.where(x == 0.25, u + (0.965 - u) * draw, u)
        return special_ndtri(np.clip(u, 1e-7, 1 - 1e-7))[:, None]


def _from_one(name: str, count: int, chances: Callable[[Given], Array]) -> Law:
    """A name that the renderer numbers from one."""
    return _Numbered(name, [str(i + 1) for i in range(count)], chances)


class _Numbered(Name):
    def encode(self, factors: Given, rng: np.random.Generator) -> Array:
        return super().encode({**factors, self.name: factors[self.name] - 1}, rng)

    def decode(self, z: Array, factors: Factors) -> None:
        super().decode(z, factors)
        factors[self.name] = factors[self.name] + 1


def _ndtr(x: Array) -> Array:
    from scipy.special import ndtr

    return np.asarray(ndtr(x))
