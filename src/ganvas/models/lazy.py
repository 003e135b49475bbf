"""Lazy regularisation (Karras et al. 2020b, appendix B): updates in every so many steps only."""

from collections.abc import Callable

from ganvas.models.phase import Adam, Draws
from ganvas.models.schedule import Schedule


def every_other(draws: Draws) -> tuple[Draws, slice, float]:
    """Every other row of the whole batch, however it is split up.

    Returns:
        The draws of those that are at hand, which of the rows at hand they are, and by what to
        multiply their mean so that its average over all parts is the mean over all such rows. A
        part that has none draws for all its rows, multiplied by 0.
    """
    start, stop = draws.rows.start, draws.rows.stop
    first = start % 2
    found = len(range(start + first, stop, 2))
    if not found:
        return draws, slice(None), 0.0
    share = found / (stop - start) * draws.total / len(range(0, draws.total, 2))
    chosen = Draws(draws.generator, slice(start + first, stop, 2), draws.total)
    return chosen, slice(first, None, 2), share


def corrected(adam: Adam, every: int) -> Adam:
    """Adam for a network that gets one more update in every so many steps (2020b, appendix B)."""
    c = every / (every + 1)
    rate, (beta1, beta2) = adam.learning_rate, adam.betas
    slower = _mapped(rate, lambda value: c * value)
    return adam.model_copy(
        update={
            "learning_rate": slower,
            "betas": (beta1**c, _mapped(beta2, lambda value: value**c)),
        }
    )


def _mapped(setting: float | Schedule, function: Callable[[float], float]) -> float | Schedule:
    if isinstance(setting, Schedule):
        ends = {"start": function(setting.start), "end": function(setting.end)}
        return setting.model_copy(update=ends)
    return function(setting)
