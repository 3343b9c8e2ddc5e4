"""What to do with a solution: edit it, interpolate, perturb it, find directions."""

from invprob.latents.direction import Direction as Direction
from invprob.latents.direction import ScaleDirection as ScaleDirection
from invprob.latents.direction import StyleDirection as StyleDirection
from invprob.latents.direction import together as together
from invprob.latents.direction_files import load_directions as load_directions
from invprob.latents.direction_files import save_directions as save_directions
from invprob.latents.edit import Strip as Strip
from invprob.latents.edit import edit as edit
from invprob.latents.find import find_direction as find_direction
from invprob.latents.find import known_directions as known_directions
from invprob.latents.interpolate import interpolate as interpolate
from invprob.latents.latents import Latents as Latents
