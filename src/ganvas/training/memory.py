"""Memory: kept while training, and explained when it runs out."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch

from ganvas.errors import RunError
from ganvas.training.config import RunConfig

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>


def keep_freed_memory() -> None:
    """Ask glibc to keep the memory of tensors that are freed, for the next step to use.

    By default it gives blocks from some size on back to the kernel at once and gets them again page
    by page, zeroed: a third of a discriminator's step with R1 at 64 px on two CPU cores
    (`python -m benchmarks.penalties`). Elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)  # large tensors get no block of their own
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


@contextlib.contextmanager
def explain_memory(config: RunConfig) -> Iterator[None]:
    """Turn running out of memory into a `RunError` that names the settings to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        batch, accumulate = config.training.batch, config.training.accumulate
        raise RunError(
            f"the training does not fit into memory at batch {batch}. Lower one of these: "
            f"--set training.accumulate={2 * accumulate} (the batch in smaller parts), "
            f"--set training.batch={max(1, batch // 2)}, "
            f"--set model.width={max(1, config.model.width // 2)}, or --resolution."
        ) from error


def is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether there was not enough memory, on any device, or a shape overflowed."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)  # all that torch tells on a CPU
    return "can't allocate memory" in text or "Storage size calculation overflowed" in text
