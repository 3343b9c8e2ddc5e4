"""The StyleGAN2 generator, the inputs of its synthesis network, and the statistics of its W.

The prior that searches a generator, `StyleGANPrior`, is exported by `invprob.priors`.
"""

from invprob.priors.stylegan.generator import Generator as Generator
from invprob.priors.stylegan.inputs import LayerInput as LayerInput
from invprob.priors.stylegan.inputs import SynthesisInputs as SynthesisInputs
from invprob.priors.stylegan.shapes import GeneratorConfig as GeneratorConfig
from invprob.priors.stylegan.statistics import Statistics as Statistics
from invprob.priors.stylegan.statistics import Whitening as Whitening
from invprob.priors.stylegan.synthesis import synthesise as synthesise
