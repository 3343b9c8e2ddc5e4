"""The linear part of the toolkit encoder, fitted in closed form after the training."""

from collections.abc import Iterable

import torch

from invprob.encoder.samples import Samples
from invprob.priors.encoders import ToolkitEncoder, fitted, pixels


@torch.no_grad()
def fit_linear_part_(
    encoder: ToolkitEncoder, pools: Iterable[Samples], ridge: float = 1e-2
) -> None:
    """Fit the offset that all style rows share, which is linear in its inputs.

    It becomes the ridge regression of the error that the encoder still makes in the mean of the
    rows. Inputs are the coarsest map and the pixels, each divided by its spread. Adam leaves such a
    readout of many correlated numbers far from its optimum.

    Args:
        encoder: Changed in place and left in evaluation mode.
        pools: What to fit on.
        ridge: The penalty, as a multiple of the mean variance of the inputs.
    """
    encoder.eval()
    inputs, errors = [], []
    for pool in pools:
        for styles, images in zip(pool.styles.split(64), pool.images.split(64), strict=True):
            seen = fitted(images.float())
            inputs.append(torch.cat([encoder.pyramid(seen)[0].flatten(1), pixels(seen)], 1).cpu())
            errors.append(((styles - encoder(seen)).mean(1) / encoder.unit).cpu())
    x, y = torch.cat(inputs), torch.cat(errors)
    split = encoder.shared.in_features
    spread = torch.cat([part.std().expand(part.shape[1]) for part in (x[:, :split], x[:, split:])])
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = (x - x_mean) / spread, y - y_mean
    covariance = (x.T @ x / len(x)).double()
    covariance.diagonal().add_(ridge * covariance.diagonal().mean())
    change = torch.linalg.solve(covariance, (x.T @ y / len(x)).double()).T.float() / spread
    encoder.shared.weight.add_(change[:, :split].to(encoder.shared.weight))
    encoder.direct.weight.add_(change[:, split:].to(encoder.direct.weight))
    encoder.direct.bias.add_((y_mean - change @ x_mean).to(encoder.direct.bias))
