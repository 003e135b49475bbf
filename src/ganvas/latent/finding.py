"""Finding directions of a latent space, by any of the methods."""

from collections.abc import Sequence

from ganvas.data.progress import progress_bar
from ganvas.errors import ConfigError
from ganvas.latent.attributes import Reader
from ganvas.latent.boundary import READ, boundary_directions
from ganvas.latent.directions import Direction, Method
from ganvas.latent.factorisation import factorised_directions
from ganvas.latent.pca import principal_directions
from ganvas.latent.space import SpaceName, default_space, open_space
from ganvas.models.base import LatentModel

COUNT = 8
"""Directions that are found, unless more are asked for."""


def directions(
    model: LatentModel,
    find: Method = "pca",
    count: int = COUNT,
    *,
    attributes: Sequence[str] = (),
    keep: Sequence[str] = (),
    reader: Reader | None = None,
    space: SpaceName | None = None,
) -> list[Direction]:
    """Find directions: `ganvas directions RUN --find ...`.

    Args:
        model: What `ganvas.load` returns.
        find: pca: along what varies most (Härkönen et al. 2020); sefa: from the weights alone (Shen
            & Zhou 2021); boundary: towards attributes (Shen et al. 2020).
        count: How many, for pca and sefa.
        attributes: For boundary, the words to find the ways to: "glasses", "red hair".
        keep: For boundary, what shall not change on the way.
        reader: For boundary, tells what is in a picture: `ganvas.open_reader(run)`.
        space: z or w (default: w of a StyleGAN, else z).

    Returns:
        What `edit_along` takes, each one spread long.

    Raises:
        ConfigError: The model has no such space, or nothing to find directions by; a boundary
            without attributes or a reader, or with words that are not known.
    """
    where = open_space(model, space or default_space(model))
    if find == "pca":
        return principal_directions(where, count)
    if find == "sefa":
        return factorised_directions(where, count)
    if not attributes or reader is None:
        raise ConfigError("a boundary needs attributes, such as glasses, and a reader of them.")
    with progress_bar("Reading pictures", READ + READ // 4) as advance:
        return boundary_directions(where, reader, attributes, keep, advance=advance)
