"""Black or white by chance: the pictures on which VAEs are compared in nats.

Salakhutdinov & Murray 2008 take a grey level for the probability of white and draw each value of
MNIST by it; Larochelle & Murray 2011 drew once and kept the result, "binarised MNIST". Results on
that file, on pictures drawn anew in every epoch, and on pictures cut at one half differ by several
nats. Here the draw is a fixed one, as in that file (whose own draw is not public knowledge but its
bytes): it depends on the picture alone, so that training, evaluation and previews, subsets and
other copies of the data all see the same.
"""

from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray


def binarise(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw every value as 0 or 255, with probability x / 255 of the latter.

    Args:
        picture: (H, W, C), or any other shape; black and white stay what they are.

    Returns:
        The same shape, always the same for the same picture: the random numbers are the SHAKE-256
        of its values, 16 bits for each.
    """
    stream = shake_256(np.ascontiguousarray(picture).tobytes()).digest(2 * picture.size)
    chance = np.frombuffer(stream, "<u2").reshape(picture.shape).astype(np.uint32)
    white = chance * 255 < picture.astype(np.uint32) * 65536
    return np.where(white, np.uint8(255), np.uint8(0))
