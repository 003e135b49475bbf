"""ganvas: train, diagnose, measure, compare and explore GANs and VAEs on your own pictures.

    import ganvas

    run = ganvas.train("dcgan", data="my_pictures/", out="runs/mine")
    model = ganvas.load(run)
    images = model.sample(16, seed=0)

Importing this package loads neither torch nor anything else that takes time.
"""

from typing import TYPE_CHECKING, Any

from ganvas._version import __version__ as __version__
from ganvas.errors import ConfigError, DataError, GanvasError, RunError

if TYPE_CHECKING:
    from ganvas.api import (
        load,
        load_translator,
        reconstruct,
        report,
        resume,
        train,
        translate,
    )
    from ganvas.latent.attributes import open_reader
    from ganvas.latent.edit import edit, edit_along
    from ganvas.latent.finding import directions
    from ganvas.latent.inversion import invert
    from ganvas.latent.mix import mix
    from ganvas.latent.sweep import sweep
    from ganvas.latent.variation import vary
    from ganvas.latent.walk import interpolate
    from ganvas.measuring import compare, evaluate_pictures, evaluate_run, story

__all__ = [
    "ConfigError",
    "DataError",
    "GanvasError",
    "RunError",
    "__version__",
    "compare",
    "directions",
    "edit",
    "edit_along",
    "evaluate_pictures",
    "evaluate_run",
    "interpolate",
    "invert",
    "load",
    "load_translator",
    "mix",
    "open_reader",
    "reconstruct",
    "report",
    "resume",
    "story",
    "sweep",
    "train",
    "translate",
    "vary",
]

_LATER = {
    "compare": "ganvas.measuring",
    "directions": "ganvas.latent.finding",
    "edit": "ganvas.latent.edit",
    "edit_along": "ganvas.latent.edit",
    "evaluate_pictures": "ganvas.measuring",
    "evaluate_run": "ganvas.measuring",
    "interpolate": "ganvas.latent.walk",
    "invert": "ganvas.latent.inversion",
    "load": "ganvas.api",
    "load_translator": "ganvas.api",
    "mix": "ganvas.latent.mix",
    "open_reader": "ganvas.latent.attributes",
    "reconstruct": "ganvas.api",
    "report": "ganvas.api",
    "resume": "ganvas.api",
    "story": "ganvas.measuring",
    "sweep": "ganvas.latent.sweep",
    "train": "ganvas.api",
    "translate": "ganvas.api",
    "vary": "ganvas.latent.variation",
}


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'ganvas' has no attribute {name!r}")
