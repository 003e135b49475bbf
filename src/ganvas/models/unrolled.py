"""Unrolled discriminators (Metz, Poole, Pfau & Sohl-Dickstein 2017).

A generator that is only asked to fool the present discriminator may put all its mass where that one
errs, again and again somewhere else. Here it plays against the discriminator as it would be after K
more updates, and is differentiated through them: so it sees that D would close the gap.

The steps are those of D's own Adam, from where its averages stand, as in the paper's experiments
(eq. 6 writes plain gradient descent). They are on the batch at hand, and on the share of it at hand
where it is split over processes or micro-batches; penalties are left out of them.
"""

from collections.abc import Callable, Mapping, Sequence

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
    theta = _flat([p.detach() for p in parameters.values()]).requires_grad_()
    step = _Stepper(adam, [averages(p) for p in parameters.values()], progress)
    for _ in range(steps):
        game = loss(_named(theta, parameters))
        (gradient,) = torch.autograd.grad(game, theta, create_graph=second_order)
        theta = theta - step(gradient)
        if not second_order:
            theta = theta.detach().requires_grad_()
    return _named(theta, parameters)


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    """All of them in one vector: a step is then a few operations, not as many for each."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def _named(theta: Tensor, parameters: Mapping[str, nn.Parameter]) -> Weights:
    """The vector's parts in the shapes of the parameters, under their names."""
    parts = theta.split([p.numel() for p in parameters.values()])
    return {
        name: part.view_as(p) for (name, p), part in zip(parameters.items(), parts, strict=True)
    }


class _Stepper:
    """Adam's steps (Kingma & Ba 2014, algorithm 1) for all parameters, to be differentiated."""

    def __init__(
        self, adam: Adam, averages: Sequence[Mapping[str, Tensor]], progress: float
    ) -> None:
        self.rate = value_at(adam.learning_rate, progress)
        self.beta1, self.beta2 = adam.betas[0], value_at(adam.betas[1], progress)
        self.eps = adam.eps
        self.t = 0.0
        self.m = self.v = torch.zeros(())
        if all(averages):
            self.t = float(averages[0]["step"])
            self.m = _flat([a["exp_avg"] for a in averages])
            self.v = _flat([a["exp_avg_sq"] for a in averages])

    def __call__(self, gradient: Tensor) -> Tensor:
        """How far the parameters go down for one more gradient."""
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * gradient
        self.v = self.beta2 * self.v + (1 - self.beta2) * gradient.square()
        mean = self.m / (1 - self.beta1**self.t)
        # eps within the root, where the root has a slope at 0
        root = (self.v / (1 - self.beta2**self.t) + self.eps**2).sqrt()
        step: Tensor = self.rate * mean / root
        return step
