"""The losses of StyleGAN2: logistic, R1 and path length."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def generator_loss(fake: Tensor) -> Tensor:
    """Non-saturating logistic loss of the generator from the logits of its images."""
    return F.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss of the discriminator from its logits."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Mean over images of ||∇ D(x)||², differentiable in the weights (Mescheder et al., 2018).

    The loss adds γ/2 times it; done every k-th step only, k times that.
    """
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(images: Tensor, styles: Tensor, rng: torch.Generator) -> Tensor:
    """Length of Jᵀy for each image, y ~ N(0, I) over its pixels (StyleGAN2, appendix B).

    J is the Jacobian of the image by its style rows (batch, layers, width); squares are summed over
    the width and averaged over the rows.
    """
    noise = torch.randn(images.shape, generator=rng).to(images)
    noise = noise / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()
