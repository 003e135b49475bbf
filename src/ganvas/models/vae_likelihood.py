"""What a VAE's decoder says of the values of a picture, p(x|z), with what is learned of it."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganvas.losses.likelihoods import bernoulli_nll, discretised_logistic_nll
from ganvas.losses.reconstruction import gaussian_nll

_GAIN = 40.0
"""Learning-rate multiplier of the log variance: a single scalar whose optimum lies several units
away would need thousands of Adam steps of the networks' size."""

_FIRST_SCALE = 0.3  # of the logistic: that of pictures as a whole, about


class Likelihood(nn.Module, ABC):
    """p(x|z), given the decoder's output."""

    squash: ClassVar[bool] = True
    """Whether the decoder's output lies in [-1, 1]."""
    is_density: ClassVar[bool] = False
    """Whether p is a density of values in [-1, 1], not the probability of levels."""

    @abstractmethod
    def nll(self, images: Tensor, output: Tensor) -> Tensor:
        """-log p(x|z) in nats, (N,), for images (N, ...) in [-1, 1]."""

    def mean(self, output: Tensor) -> Tensor:
        """The mean picture, in [-1, 1]."""
        return output

    def measures(self) -> dict[str, Tensor]:
        """What the log should tell."""
        return {}


class GaussianLikelihood(Likelihood):
    """A Gaussian whose variance is one number for all values (Rybkin et al. 2021)."""

    is_density = True

    def __init__(self, variance: float | Literal["learned"]) -> None:
        super().__init__()
        start = 1.0 if variance == "learned" else variance
        value = torch.tensor(start).log() / _GAIN
        self.scaled_log_variance = nn.Parameter(value, requires_grad=variance == "learned")

    def forward(self) -> Tensor:
        """log s^2, a scalar."""
        return self.scaled_log_variance * _GAIN

    def nll(self, images: Tensor, output: Tensor) -> Tensor:
        """As the base says."""
        return gaussian_nll(images, output, self())

    def measures(self) -> dict[str, Tensor]:
        """The variance."""
        return {"variance": self().exp()}


class BernoulliLikelihood(Likelihood):
    """Black or white; the output is the logit of white."""

    squash = False

    def nll(self, images: Tensor, output: Tensor) -> Tensor:
        """As the base says."""
        return bernoulli_nll(images, output)

    def mean(self, output: Tensor) -> Tensor:
        """2 P(white) - 1."""
        return (0.5 * output).tanh()


class LogisticLikelihood(Likelihood):
    """256 levels, with the mass of a logistic whose scale is one learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.scaled_log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE) / _GAIN))

    def nll(self, images: Tensor, output: Tensor) -> Tensor:
        """As the base says."""
        return discretised_logistic_nll(images, output, self.scaled_log_scale * _GAIN)

    def measures(self) -> dict[str, Tensor]:
        """The scale."""
        return {"scale": (self.scaled_log_scale * _GAIN).exp()}
