"""Unrolled discriminators (Metz, Poole, Pfau & Sohl-Dickstein 2017).

A generator that is only asked to fool the present discriminator may put all its mass where that one
errs, again and again somewhere else. Here it plays against the discriminator as it would be after K
more updates, and is differentiated through them: so it sees that D would close the gap.

Deviations: the steps are plain gradient descent, as the paper writes them; its experiments unroll
Adam. All of them see one batch, as in these experiments.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def unrolled(
    discriminator: nn.Module,
    loss: Callable[[Weights], Tensor],
    steps: int,
    learning_rate: float,
    second_order: bool,
) -> Weights:
    """The weights theta_D^K after K = `steps` steps of gradient descent (eq. 6 and 7).

    Args:
        discriminator: Has the weights theta_D^0, which stay as they are.
        loss: The discriminator's loss (a scalar to minimise) for given weights.
        steps: K.
        learning_rate: eta, of plain gradient descent.
        second_order: Keep the graph of the steps, so that G's gradient has both terms of eq. 12;
            without, theta_D^K is a constant for G: how D would react is left out.

    Returns:
        By the parameters' names: to be used with `torch.func.functional_call`.
    """
    weights = {name: p.detach().requires_grad_() for name, p in discriminator.named_parameters()}
    for _ in range(steps):
        gradients = torch.autograd.grad(
            loss(weights), list(weights.values()), create_graph=second_order
        )
        weights = {
            name: weight - learning_rate * gradient
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
        if not second_order:
            weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    return weights
