"""Out of memory, explained."""

import contextlib
from collections.abc import Iterator

import torch

from ganvas.errors import RunError
from ganvas.training.config import RunConfig


@contextlib.contextmanager
def explain_memory(config: RunConfig) -> Iterator[None]:
    """Turn running out of memory into a `RunError` that names the settings to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not _on_cpu(error):
            raise
        batch, accumulate = config.training.batch, config.training.accumulate
        raise RunError(
            f"the training does not fit into memory at batch {batch}. Lower one of these: "
            f"--set training.accumulate={2 * accumulate} (the same batch in smaller parts), "
            f"--set training.batch={max(1, batch // 2)}, "
            f"--set model.width={max(1, config.model.width // 2)}, or --resolution."
        ) from error


def _on_cpu(error: RuntimeError) -> bool:
    """Whether this is what torch raises when it gets no memory on a CPU, or a shape overflows."""
    text = str(error)
    return "can't allocate memory" in text or "Storage size calculation overflowed" in text
