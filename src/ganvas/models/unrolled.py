"""Unrolled discriminators (Metz, Poole, Pfau & Sohl-Dickstein 2017).

A generator that is only asked to fool the present discriminator may put all its mass where that one
errs, again and again somewhere else. Here it plays against the discriminator as it would be after K
more updates, and is differentiated through them: so it sees that D would close the gap.

The steps are those of D's own Adam, from where its averages stand, as in the paper's experiments
(eq. 6 writes plain gradient descent). They are on the batch at hand, and on the share of it at hand
where it is split over processes or micro-batches; penalties are left out of them.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ganvas.models.phase import Adam
from ganvas.models.schedule import value_at

Weights = dict[str, Tensor]


def unrolled(
    discriminator: nn.Module,
    loss: Callable[[Weights], Tensor],
    steps: int,
    adam: Adam,
    averages: Callable[[nn.Parameter], Mapping[str, Tensor]],
    *,
    progress: float = 0.0,
    second_order: bool = True,
) -> Weights:
    """The weights theta_D^K after K = `steps` steps (eq. 6 and 7).

    Args:
        discriminator: Has the weights theta_D^0, which stay as they are.
        loss: The discriminator's loss (a scalar to minimise) for given weights.
        steps: K.
        adam: The settings of D's optimiser.
        averages: What that optimiser has gathered of a parameter so far: `step`, `exp_avg` and
            `exp_avg_sq`; empty before its first update.
        progress: The share of the training that lies behind.
        second_order: Keep the graph of the steps, so that G's gradient has both terms of eq. 12;
            without, theta_D^K is a constant for G: how D would react is left out.

    Returns:
        By the parameters' names: to be used with `torch.func.functional_call`.
    """
    parameters = dict(discriminator.named_parameters())
    weights = {name: p.detach().requires_grad_() for name, p in parameters.items()}
    steppers = {name: _Stepper(adam, averages(p), progress) for name, p in parameters.items()}
    for _ in range(steps):
        gradients = torch.autograd.grad(
            loss(weights), list(weights.values()), create_graph=second_order
        )
        weights = {
            name: weight - steppers[name](gradient)
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
        if not second_order:
            weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    return weights


class _Stepper:
    """Adam's steps for one parameter (Kingma & Ba 2014, algorithm 1), to be differentiated."""

    def __init__(self, adam: Adam, averages: Mapping[str, Tensor], progress: float) -> None:
        self.rate = value_at(adam.learning_rate, progress)
        self.beta1, self.beta2 = adam.betas[0], value_at(adam.betas[1], progress)
        self.eps = adam.eps
        self.t = float(averages["step"]) if averages else 0.0
        # Copies: the optimiser goes on changing its own.
        self.m = averages["exp_avg"].clone() if averages else torch.zeros(())
        self.v = averages["exp_avg_sq"].clone() if averages else torch.zeros(())

    def __call__(self, gradient: Tensor) -> Tensor:
        """How far the parameter goes down for one more gradient."""
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * gradient
        self.v = self.beta2 * self.v + (1 - self.beta2) * gradient.square()
        mean = self.m / (1 - self.beta1**self.t)
        # eps within the root, where the root has a slope at 0
        root = (self.v / (1 - self.beta2**self.t) + self.eps**2).sqrt()
        step: Tensor = self.rate * mean / root
        return step
