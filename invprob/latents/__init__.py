"""What to do with a solution: edit it, interpolate, perturb it, find directions."""

from invprob.latents.direction import Direction as Direction
from invprob.latents.direction import ScaleDirection as ScaleDirection
from invprob.latents.direction import StyleDirection as StyleDirection
from invprob.latents.direction import together as together
from invprob.latents.direction_files import load_directions as load_directions
from invprob.latents.direction_files import save_directions as save_directions
from invprob.latents.distance import Distance as Distance
from invprob.latents.distance import Smoothness as Smoothness
from invprob.latents.distance import smoothness as smoothness
from invprob.latents.edit import Strip as Strip
from invprob.latents.edit import edit as edit
from invprob.latents.find import find_direction as find_direction
from invprob.latents.find import known_directions as known_directions
from invprob.latents.heads import interpolate_heads as interpolate_heads
from invprob.latents.interpolate import interpolate as interpolate
from invprob.latents.kept import Kept as Kept
from invprob.latents.kept import Region as Region
from invprob.latents.kept import kept as kept
from invprob.latents.kept import region_of as region_of
from invprob.latents.latents import Latents as Latents
from invprob.latents.perturb import Robustness as Robustness
from invprob.latents.perturb import perturb as perturb
from invprob.latents.perturb import robustness as robustness
from invprob.latents.unlabelled import factorised_directions as factorised_directions
from invprob.latents.unlabelled import principal_directions as principal_directions
