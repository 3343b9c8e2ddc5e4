"""Generators, latents and heads: what imagines."""

if __name__ != "invprob.priors":
    raise ImportError(f"import this package as `invprob.priors`, not `{__name__}`")

from invprob.priors.base import Code as Code
from invprob.priors.base import ParamGroup as ParamGroup
from invprob.priors.base import Prior as Prior
from invprob.priors.deep_image_prior import DeepImagePrior as DeepImagePrior
from invprob.priors.generator_files import load_generator as load_generator
from invprob.priors.generator_files import register_embedded
from invprob.priors.generator_files import save_generator as save_generator
from invprob.priors.pixels import Pixels as Pixels
from invprob.priors.stylegan.generator import Generator as Generator
from invprob.priors.stylegan.generator import GeneratorConfig as GeneratorConfig
from invprob.priors.stylegan.prior import Sphinx as Sphinx
from invprob.priors.stylegan.prior import StyleGANPrior as StyleGANPrior

register_embedded()
