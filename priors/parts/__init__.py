"""The inputs of a synthesis network, style × content × noise × weights, each with its choices."""

from invprob.priors.parts.base import Part as Part
from invprob.priors.parts.base import StartedPart as StartedPart
from invprob.priors.parts.contents import FreeContent as FreeContent
from invprob.priors.parts.contents import FreeFeatures as FreeFeatures
from invprob.priors.parts.contents import LearnedConstant as LearnedConstant
from invprob.priors.parts.contents import ProjectedContent as ProjectedContent
from invprob.priors.parts.free import FreePart as FreePart
from invprob.priors.parts.free import StartedFreePart as StartedFreePart
from invprob.priors.parts.frozen import Frozen as Frozen
from invprob.priors.parts.noises import FreeNoise as FreeNoise
from invprob.priors.parts.noises import StoredNoise as StoredNoise
from invprob.priors.parts.projected import READOUTS as READOUTS
from invprob.priors.parts.projected import Draws as Draws
from invprob.priors.parts.projected import Projected as Projected
from invprob.priors.parts.projected import Readout as Readout
from invprob.priors.parts.projected import StartedProjected as StartedProjected
from invprob.priors.parts.style_heads import MappedStyles as MappedStyles
from invprob.priors.parts.style_heads import ProjectedStyles as ProjectedStyles
from invprob.priors.parts.w_spaces import W as W
from invprob.priors.parts.w_spaces import WPlus as WPlus
from invprob.priors.parts.w_spaces import WPlusPlus as WPlusPlus
from invprob.priors.parts.weights import FreeWeights as FreeWeights
from invprob.priors.parts.weights import TrainedWeights as TrainedWeights
from invprob.priors.parts.z_spaces import GaussianZ as GaussianZ
from invprob.priors.parts.z_spaces import Rows as Rows
from invprob.priors.parts.z_spaces import Z as Z
