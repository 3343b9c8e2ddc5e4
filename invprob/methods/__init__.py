"""Methods by name: each row of the paper's Table 1 as initialisation, stages, parts and losses.

A row chooses style × content × noise, where to start, terms, optimiser, schedule. Figures marked
[R] were recalled or read in summaries, never checked against the original: do not quote them.
"""

from invprob.methods import controls, encoded, gaussian, latents, sphinx, w_space
from invprob.methods.recipe import DATA_TERMS as DATA_TERMS
from invprob.methods.recipe import DataTerm as DataTerm
from invprob.methods.recipe import Init as Init
from invprob.methods.recipe import Method as Method
from invprob.methods.recipe import Problem as Problem
from invprob.methods.recipe import Recipe as Recipe
from invprob.methods.recipe import Setting as Setting
from invprob.methods.recipe import in_stages as in_stages
from invprob.methods.recipe import make as make
from invprob.methods.recipe import needs_generator as needs_generator
from invprob.methods.recipe import restore as restore
from invprob.registry import register as register

# Their rows are registered as they are imported.
FAMILIES = (sphinx, latents, gaussian, w_space, encoded, controls)
