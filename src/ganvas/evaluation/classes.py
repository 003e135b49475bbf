"""Classes of real pictures as a conditional model counts them."""

import numpy as np
from numpy.typing import NDArray

from ganvas.data.source_types import printable
from ganvas.errors import DataError

_NAMED = 20
"""Classes that a message names, at most."""


def class_numbers(
    classes: tuple[str, ...], of_model: tuple[str, ...], source: str
) -> NDArray[np.int64]:
    """Which class of the model each class of the pictures is (K,): the one of its name.

    An imported model's have numbers for names: with as many classes of the pictures, their order.

    Raises:
        DataError: The model has no class of that name.
    """
    numbered = of_model == tuple(map(str, range(len(of_model))))
    if numbered and len(classes) == len(of_model):
        return np.arange(len(classes))
    missing = [name for name in classes if name not in of_model]
    if missing:
        more = ", ..." if len(of_model) > _NAMED else ""
        raise DataError(
            f"{source} has the class {printable(missing[0])!r}, which is none of the model's "
            f"{len(of_model)}: {printable(', '.join(of_model[:_NAMED]))}{more}. Give real pictures "
            "in folders that have the names of the model's classes."
        )
    return np.array([of_model.index(name) for name in classes])
