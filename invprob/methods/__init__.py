"""Methods by name: each row of the paper's Table 1 as initialisation, stages, parts and losses.

A row chooses style × content × noise, where to start, terms, optimiser, schedule. Figures marked
[R] were recalled or read in summaries, never checked against the original: do not quote them.
"""

from invprob.methods import controls, encoded, gaussian, latents, sphinx, w_space
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
from invprob.methods.problem import Recipe as Recipe
from invprob.methods.problem import Setting as Setting
from invprob.methods.problem import in_stages as in_stages
from invprob.registry import register as register

# Their rows are registered as they are imported.
FAMILIES = (sphinx, latents, gaussian, w_space, encoded, controls)
