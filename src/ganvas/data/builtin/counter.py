"""Random numbers that depend on (seed, stream, index) alone.

A sequential generator would make sample 1000 depend on how many were drawn before it. Here each
index is hashed on its own with the SplitMix64 finaliser (Steele, Lea & Flood 2014, "Fast splittable
pseudorandom number generators"), so any subset in any order gives the same values.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = 2**64 - 1


def uniform(indices: NDArray[np.integer] | range, seed: int, stream: str) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), one per index.

    Args:
        indices: (N,) sample numbers.
        seed: Any integer; taken modulo 2**64.
        stream: What the numbers are for; different streams are independent of each other.

    Returns:
        (N,) multiples of 2**-53.
    """
    start = _mix(np.array([seed & _MASK], np.uint64))
    sample = _mix(start + np.asarray(indices).astype(np.uint64))
    bits = _mix(sample ^ _mix(np.array([zlib.crc32(stream.encode())], np.uint64)))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One step of SplitMix64; arrays, not scalars, because their overflow wraps in silence."""
    z = state + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
