"""The classifier of the data as the eyes of a model that compares pictures while it trains."""

from collections.abc import Callable

from ganvas.data.pack import Pack
from ganvas.errors import ConfigError, DataError
from ganvas.evaluation.features.classifier import train_or_load_classifier
from ganvas.models.autoencoder_kl import AutoencoderKl
from ganvas.models.base import Model
from ganvas.training.config import RunConfig
from ganvas.training.distributed import Processes, wait_for_main


def open_eyes(
    model: Model, pack: Pack, config: RunConfig, processes: Processes, say: Callable[[str], None]
) -> None:
    """Give a model the frozen network that its configuration asks for, if any.

    A classifier is trained by the first process, once for a data set; it is the same each time, so
    that a run that is resumed goes on as it would have.

    Args:
        model: What is about to be trained.
        pack: Its data.
        config: The run's.
        processes: Which of all processes this is.
        say: Told where a classifier has to be trained.

    Raises:
        ConfigError: There is nothing that a classifier could learn to tell, or a file is missing.
        DataError: A file is damaged.
    """
    if not isinstance(model, AutoencoderKl):
        return
    if model.config.perceptual == "classifier":
        if not processes.is_main:
            wait_for_main(processes)
        try:
            features = train_or_load_classifier(
                pack, config.data, model.device, progress=processes.is_main, say=say
            )
        except DataError as error:
            raise ConfigError(
                f"model.perceptual=classifier cannot be: {error} Or set model.perceptual=random."
            ) from None
        if processes.is_main:
            wait_for_main(processes)
        model.look_through(features.network)
    model.open_eyes()
