"""Terms of the objective: each compares a prediction with the measurements, image by image."""

from invprob.losses.base import BoundTerm as BoundTerm
from invprob.losses.base import Term as Term
from invprob.losses.calibration import Calibrated as Calibrated
from invprob.losses.calibration import Detector as Detector
from invprob.losses.calibration import Estimate as Estimate
from invprob.losses.calibration import calibrated as calibrated
from invprob.losses.calibration import estimate as estimate
from invprob.losses.data import DataMisfit as DataMisfit
from invprob.losses.data import DeadZoneMisfit as DeadZoneMisfit
from invprob.losses.data import NegativeLogLikelihood as NegativeLogLikelihood
from invprob.losses.perceptual import FeatureMisfit as FeatureMisfit
from invprob.losses.perceptual import MultiScalePerceptual as MultiScalePerceptual
from invprob.losses.perceptual import PerceptualTerm as PerceptualTerm
from invprob.losses.perceptual import check_image as check_image
from invprob.losses.perceptual import is_image as is_image
from invprob.losses.projection import ProjectedGradient as ProjectedGradient
from invprob.losses.series import MeanOfPictures as MeanOfPictures
from invprob.losses.stochastic import Stochastic as Stochastic
from invprob.losses.stochastic import check_stochastic as check_stochastic
from invprob.losses.stochastic import with_fresh_noise as with_fresh_noise
from invprob.losses.variation import ColourVariation as ColourVariation
