"""The three inputs of a synthesis network, style × content × noise, each with its choices."""

from invprob.priors.parts.base import Drawn as Drawn
from invprob.priors.parts.base import Held as Held
from invprob.priors.parts.base import Part as Part
from invprob.priors.parts.contents import FreeContent as FreeContent
from invprob.priors.parts.contents import FreeFeatures as FreeFeatures
from invprob.priors.parts.contents import LearnedConstant as LearnedConstant
from invprob.priors.parts.contents import ProjectedContent as ProjectedContent
from invprob.priors.parts.noises import FreeNoise as FreeNoise
from invprob.priors.parts.noises import StoredNoise as StoredNoise
from invprob.priors.parts.projected import READOUTS as READOUTS
from invprob.priors.parts.projected import Draws as Draws
from invprob.priors.parts.projected import Projected as Projected
from invprob.priors.parts.projected import Readout as Readout
from invprob.priors.parts.styles import GaussianZ as GaussianZ
from invprob.priors.parts.styles import MappedStyles as MappedStyles
from invprob.priors.parts.styles import ProjectedStyles as ProjectedStyles
from invprob.priors.parts.styles import Rows as Rows
from invprob.priors.parts.styles import W as W
from invprob.priors.parts.styles import WPlus as WPlus
from invprob.priors.parts.styles import WPlusPlus as WPlusPlus
from invprob.priors.parts.styles import Z as Z
