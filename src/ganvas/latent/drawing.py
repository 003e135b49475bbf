"""Drawing by diffusion: in how many steps, by which sampler, from which text."""

import contextlib
from collections.abc import Iterator, Sequence

from torch import Tensor

from ganvas.data.progress import progress_bar
from ganvas.errors import ConfigError
from ganvas.models.base import LatentModel, class_labels
from ganvas.models.diffusion_config import Sampler, Sampling
from ganvas.models.latent_diffusion import LatentDiffusion
from ganvas.models.reading import reads_captions, without_text


def sampling_of(
    model: LatentModel,
    sampler: Sampler | None = None,
    steps: int | None = None,
    guidance: float | None = None,
) -> Sampling | None:
    """How a model draws, with changes; None for a model that draws at once.

    Raises:
        ConfigError: Changes for such a model, or values that cannot be.
    """
    given = {"sampler": sampler, "steps": steps, "guidance": guidance}
    changes = {name: value for name, value in given.items() if value is not None}
    if isinstance(model, LatentDiffusion):
        return Sampling.parse(model.config.sampling.model_dump() | changes)
    if changes:
        options = " and ".join(f"--{name}" for name in changes)
        raise ConfigError(
            f"this model, a {type(model).__name__}, draws a picture at once, so that {options} "
            "says nothing to it; latent-diffusion draws in steps. Leave it out."
        )
    return None


@contextlib.contextmanager
def shown_drawing(
    model: LatentModel, pictures: int, sampling: Sampling | None = None, *, progress: bool = True
) -> Iterator[None]:
    """Within, a model that draws in steps shows how far it has come with so many pictures.

    Args:
        model: Any; nothing is shown for one that draws at once.
        pictures: To be drawn within.
        sampling: How, for a model that draws in steps (default: as it is configured).
        progress: False shows no bar.
    """
    if not isinstance(model, LatentDiffusion):
        yield
        return
    with progress_bar("Drawing", pictures, show=progress) as advance:  # noqa: SIM117  # one by one
        with model.drawing(sampling, advance):
            yield


def captions_in_turn(model: LatentModel, texts: Sequence[str], n: int) -> tuple[str, ...]:
    """What each of n pictures is drawn from: the texts in turn; () for a model without captions.

    Args:
        model: Any.
        texts: Asked for (default: captions of its training, in turn).
        n: Pictures.

    Raises:
        ConfigError: Texts for a model that takes none.
    """
    if reads_captions(model):
        known = tuple(texts) or model.examples
        return tuple(known[i % len(known)] for i in range(n))
    if texts:
        raise without_text(model)
    return ()


def one_condition(
    model: LatentModel, label: int | str | None, text: str | None, n: int
) -> Tensor | None:
    """What `decode` takes as labels where n pictures are of the same class or caption.

    Args:
        model: Any.
        label: The class (default: the first).
        text: The caption (default: the first that the model remembers).
        n: Pictures.

    Raises:
        ConfigError: The model does not know the class or caption, or takes none.
    """
    if reads_captions(model):
        if label is not None:
            raise without_classes()
        asked = model.tokenise(model.examples[:1], lenient=True)
        return (asked if text is None else model.tokenise([text])).expand(n, -1)
    if text is not None:
        raise without_text(model)
    return class_labels(model, model.classes[:1] if label is None else [label], n)


def without_classes() -> ConfigError:
    """What to say where a class is asked of a model that learnt from captions."""
    return ConfigError("this model takes text, not classes: --text instead of a label.")
