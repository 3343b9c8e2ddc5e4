"""The three inputs of a synthesis network, style × content × noise, each with its choices."""

from invprob.priors.contents import FreeContent as FreeContent
from invprob.priors.contents import FreeFeatures as FreeFeatures
from invprob.priors.contents import LearnedConstant as LearnedConstant
from invprob.priors.contents import ProjectedContent as ProjectedContent
from invprob.priors.noises import FreeNoise as FreeNoise
from invprob.priors.noises import StoredNoise as StoredNoise
from invprob.priors.part import Drawn as Drawn
from invprob.priors.part import Held as Held
from invprob.priors.part import Part as Part
from invprob.priors.projected import READOUTS as READOUTS
from invprob.priors.projected import Draws as Draws
from invprob.priors.projected import Projected as Projected
from invprob.priors.projected import Readout as Readout
from invprob.priors.styles import GaussianZ as GaussianZ
from invprob.priors.styles import MappedStyles as MappedStyles
from invprob.priors.styles import ProjectedStyles as ProjectedStyles
from invprob.priors.styles import Rows as Rows
from invprob.priors.styles import W as W
from invprob.priors.styles import WPlus as WPlus
from invprob.priors.styles import WPlusPlus as WPlusPlus
from invprob.priors.styles import Z as Z
