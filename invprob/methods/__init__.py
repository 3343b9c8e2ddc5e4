"""Methods by name: each row of the paper's Table 1 as initialisation, stages, parts and losses.

A method chooses a style, a content and a noise part, a start, the terms of the loss, an optimiser
and a schedule. What it leaves open is chosen by `invprob.methods.policy`.

To add a method, register a function of a `Setting` (or of a `Problem`, without a generator) that
returns a `Recipe`. Its keyword-only parameters become options of the command line.
"""

from invprob.methods import (
    adapted,
    automatic,
    controls,
    encoded,
    gaussian,
    latents,
    sphinx,
    w_space,
)
from invprob.methods.by_name import make as make
from invprob.methods.by_name import needs_generator as needs_generator
from invprob.methods.by_name import open_options as open_options
from invprob.methods.by_name import restore as restore
from invprob.methods.choices import Asked as Asked
from invprob.methods.choices import Choices as Choices
from invprob.methods.choices import DataTerm as DataTerm
from invprob.methods.choices import Init as Init
from invprob.methods.policy import choose as choose
from invprob.methods.problem import Method as Method
from invprob.methods.problem import Problem as Problem
from invprob.methods.problem import Setting as Setting
from invprob.methods.recipe import Candidate as Candidate
from invprob.methods.recipe import Contest as Contest
from invprob.methods.recipe import Recipe as Recipe
from invprob.methods.recipe import in_stages as in_stages
from invprob.registry import register as register

# Importing these modules registers their methods.
FAMILIES = (automatic, adapted, sphinx, latents, gaussian, w_space, encoded, controls)
