"""scikit-learn's handwritten digits: 1,797 real 8x8 scans that need no download."""

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import DataError


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The test part of the UCI "Optical Recognition of Handwritten Digits" set (Alpaydin 1998).

    Returns:
        Images (1797, 8, 8, 1) uint8, ink 255 on paper 0, and labels (1797,) int64 in 0..9.

    Raises:
        DataError: When scikit-learn, which carries the data, is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError(
            "The data set 'digits' comes with scikit-learn, which is not installed. "
            "Install it with: pip install scikit-learn"
        ) from error
    bunch = datasets.load_digits()
    levels = np.asarray(bunch.images, np.float64)  # 0..16: dark pixels per 4x4 block
    images = np.rint(levels * (255 / 16)).astype(np.uint8)[..., None]
    return images, np.asarray(bunch.target, np.int64)
