"""Moving points so that pictures get what is asked for and keep everything else.

One vector for all pictures cannot do it: the straight line along which glasses appear in one face
changes the hair of another. So each point is corrected by itself: from where the vector led, it
goes down the gradient of

    -log p(asked for | picture) + k sum_a KL(p(a | picture before) || p(a | picture))

in the whitened coordinates of the space, over all other attributes a that the classifier knows and
that show in both pictures; numbers, such as the tilt of a head, count half their squared change.
Points stay near where the vector led, since few short steps are taken, and the generator, not the
classifier, still draws the picture.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.evaluation.features.known import visible
from ganvas.latent.attributes import Reader, State
from ganvas.latent.metric import Metric
from ganvas.latent.space import Space

STEPS = 20
_KEEP = 0.5  # k
_RATE, _MOMENTUM = 0.3, 0.5  # a step in spreads; it shrinks with the loss once that is below 1
_BATCH = 16


def hold(
    space: Space,
    metric: Metric,
    reader: Reader,
    points: Tensor,
    moves: Tensor,
    wanted: State,
    labels: Tensor | None = None,
    *,
    steps: int = STEPS,
    advance: Callable[[int], None] = lambda n: None,
) -> Tensor:
    """Correct moves so that everything that was not asked for stays.

    Args:
        space: Of the points.
        metric: Of the moves: of z or w.
        reader: Tells what is in a picture.
        points: (N, *shape), before.
        moves: (N, D), where to begin.
        wanted: What the pictures shall have.
        labels: (N,), for a model with classes.
        steps: Of descent.
        advance: Called with the number of pictures after each step.

    Returns:
        The corrected moves (N, D).

    Raises:
        ConfigError: The model has no gradients.
    """
    found = []
    for start in range(0, len(points), _BATCH):
        part = slice(start, start + _BATCH)
        chosen = None if labels is None else labels[part]
        before = {k: v.detach() for k, v in _outputs(space, reader, points[part], chosen).items()}
        u, velocity = metric.whiten(moves[part]), torch.zeros_like(moves[part])
        for _ in range(steps):
            u.requires_grad_(True)
            moved = shifted(points[part], metric.unwhiten(u))
            losses = _losses(_outputs(space, reader, moved, chosen), before, wanted, reader)
            (gradient,) = torch.autograd.grad(losses.sum(), u)
            unit = gradient / gradient.norm(dim=1, keepdim=True).clamp(min=1e-8)
            velocity = _MOMENTUM * velocity - _RATE * losses.detach().clamp(max=1)[:, None] * unit
            u = u.detach() + velocity
            advance(len(u))
        found.append(metric.unwhiten(u))
    return torch.cat(found)


def shifted(points: Tensor, moves: Tensor) -> Tensor:
    """Points (N, D), or (N, layers, D) in all layers alike, moved by (N, D)."""
    return points + (moves[:, None] if points.ndim == 3 else moves)


def _outputs(
    space: Space, reader: Reader, points: Tensor, labels: Tensor | None
) -> dict[str, Tensor]:
    return reader.outputs(space.differentiable(points, labels))


def _losses(
    outputs: Mapping[str, Tensor], before: Mapping[str, Tensor], wanted: State, reader: Reader
) -> Tensor:
    """What is descended, for each picture: (N,)."""
    now, then = (_codes(reader, these) for these in (outputs, before))
    total = torch.zeros(len(next(iter(outputs.values()))), device=reader.features.device)
    for name, output in outputs.items():
        if name in wanted:
            likely = output.log_softmax(1)[:, sorted(wanted[name])].logsumexp(1)
            total = total - likely
        elif not reader.sizes[name]:
            total = total + _KEEP * 0.5 * (output - before[name]).square().sum(1)
        else:
            shows = visible(name, now) & visible(name, then)
            change = F.kl_div(
                output.log_softmax(1), before[name].log_softmax(1),
                reduction="none", log_target=True,
            ).sum(1)  # fmt: skip
            total = total + _KEEP * change * shows.to(total)
    return total


def _codes(reader: Reader, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: output.argmax(1) for name, output in outputs.items() if reader.sizes[name]}
