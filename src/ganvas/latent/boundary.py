"""Boundaries as directions: InterFaceGAN (Shen et al. 2020).

The pictures that have an attribute lie on one side of a hyperplane, and its normal is the way to it
(section 2.1; the paper finds it by a support vector machine, here by logistic regression, in the
whitened coordinates of the space). Where the way to one attribute also leads to others, their
normals are projected out (section 2.2, "conditional manipulation"):
n - (n . m) m, for orthonormal m.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.latent.attributes import Reader, State, Term
from ganvas.latent.directions import Direction
from ganvas.latent.files import slug
from ganvas.latent.metric import metric_of
from ganvas.latent.space import Space
from ganvas.latent.survey import Survey, survey

READ = 2_048
"""Pictures to learn from; as many again as a quarter of them to try the boundary on."""

_FEWEST = 10
_PENALTY = 1.0
"""Of the squared normal, against all samples together: what separates perfectly stays finite."""
_NEWTON = 25


def boundary_directions(
    space: Space,
    reader: Reader,
    attributes: Sequence[str],
    keep: Sequence[str] = (),
    *,
    read: int = READ,
    advance: Callable[[int], None] = lambda n: None,
) -> list[Direction]:
    """The way to each attribute, in words such as "glasses" or "red hair".

    Args:
        space: z or w.
        reader: Tells what is in a picture.
        attributes: What to find the ways to.
        keep: What shall not change on the way: words, or the names of whole attributes.
        read: Pictures to learn from.
        advance: Called with the pictures that were just read.

    Raises:
        ConfigError: A word is not known, or hardly any picture has it, or all have.
    """
    terms = [reader.term(words) for words in attributes]
    kept = [state for words in keep for state in states_of(reader, words)]
    found = survey(space, reader, read + read // 4, advance=advance)
    metric = metric_of(space)
    u = metric.whiten(found.points - metric.mean)
    learnt, tried = u[:read], u[read:]
    held = [logistic(learnt, found.has(state)[:read])[0] for state in kept if _both(found, state)]
    return [
        _direction(term, keep, found, learnt, tried, held, metric.unwhiten, space) for term in terms
    ]


def _direction(
    term: Term,
    keep: Sequence[str],
    found: Survey,
    learnt: Tensor,
    tried: Tensor,
    held: Sequence[Tensor],
    unwhiten: Callable[[Tensor], Tensor],
    space: Space,
) -> Direction:
    has = found.has(term.state)
    if not _both(found, term.state):
        raise ConfigError(
            f"there is no boundary to find for {term.name!r}: of {len(has):,} pictures of this "
            f"model {int(has.sum())} have it, as the classifier sees them, and at least {_FEWEST} "
            "must, and as many must not. Ask for something else."
        )
    normal, offset = logistic(learnt, has[: len(learnt)])
    accuracy = balanced_accuracy(tried @ normal + offset > 0, has[len(learnt) :])
    normal = projected(normal, held)
    name = "-".join([term.name.replace(", ", "+"), *(["keep", *keep] if keep else [])])
    about = f"towards {term.name}" + (f", keeping {', '.join(keep)}" if keep else "")
    vector = unwhiten(normal / normal.norm())
    return Direction(
        slug(name),  # classes may be called anything, and a name becomes a file's
        space.name,
        "boundary",
        vector,
        about,
        accuracy=accuracy,
    )


def states_of(reader: Reader, words: str) -> list[State]:
    """What "glasses" or "hair_style" is about: a state for each value of the whole attribute."""
    name = words.strip().replace(" ", "_")
    names = [name] if reader.sizes.get(name) else list(reader.term(words).state)
    return [{n: frozenset({code})} for n in names for code in range(reader.sizes[n])]


def logistic(u: Tensor, has: Tensor) -> tuple[Tensor, Tensor]:
    """Logistic regression by Newton's method: the normal (D,) and the offset.

    Args:
        u: Whitened points (N, D).
        has: Which belong to the side that the normal points to, bool (N,).
    """
    ones = torch.ones(len(u), 1, dtype=torch.float64, device=u.device)
    x, y = torch.cat([u.double(), ones], 1), has.double()
    penalty = torch.full_like(x[0], _PENALTY)
    penalty[-1] = 1e-6  # the offset is free
    weights = torch.zeros_like(x[0])
    for _ in range(_NEWTON):
        p = (x @ weights).sigmoid()
        gradient = x.T @ (p - y) + penalty * weights
        curvature = x.T @ (x * (p * (1 - p))[:, None]) + penalty.diag()
        change = torch.linalg.solve(curvature, gradient)
        weights = weights - change
        if float(change.abs().max()) < 1e-6:
            break
    weights = weights.to(u)
    return weights[:-1], weights[-1]


def projected(normal: Tensor, held: Sequence[Tensor]) -> Tensor:
    """A normal (D,) without what it shares with the span of others."""
    if not held:
        return normal
    spanned, size, _ = torch.linalg.svd(torch.stack(list(held), 1), full_matrices=False)
    spanned = spanned[:, size > 1e-3 * size[0]]
    rest: Tensor = normal - spanned @ (spanned.T @ normal)
    return rest


def balanced_accuracy(told: Tensor, has: Tensor) -> float:
    """The mean of the shares told rightly of those with and of those without; bool (N,) each."""
    shares = [(told[side] == has[side]).double().mean() for side in (has, ~has) if bool(side.any())]
    return float(torch.stack(shares).mean())


def _both(found: Survey, state: State) -> bool:
    """Whether enough pictures have it, and enough do not."""
    has = int(found.has(state).sum())
    return _FEWEST <= has <= len(found) - _FEWEST
