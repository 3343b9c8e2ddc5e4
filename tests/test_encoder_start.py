"""Where an encoder makes a solve begin: what it sees, what it finds, and methods that take it."""

from pathlib import Path

import networks
import pytest
import torch

import invprob
from invprob.encoder_start import EncoderStart, visible
from invprob.errors import ArgumentError, EncoderError, PriorError
from invprob.methods import make
from invprob.operators import Gaussian, Identity, Mask
from invprob.priors import Generator, load_generator, save_generator
from invprob.priors.encoder_files import (
    KINDS,
    Trained,
    build_encoder,
    encoder_path,
    load_encoder,
    save_encoders,
)
from invprob.priors.encoders import BASE_LAYER
from invprob.solver.stages import solve_stages
