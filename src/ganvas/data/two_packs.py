"""Packing the pictures of both domains, as pairs or each for itself."""

from pathlib import Path

from .config import DataConfig
from .domains import Domains, no_pairs
from .packing import Contents, UnequalError, write_arrays, write_pictures
from .source_types import PictureSource


def write_two(
    domains: Domains,
    config: DataConfig,
    folders: tuple[Path, Path],
    *,
    needs_pairs: bool,
    progress: bool,
) -> tuple[Contents, Contents, bool]:
    """`write_arrays` for two domains; also returns whether row i of both belong together.

    Pairs by name whose sizes differ are taken for pictures that are called alike by chance, unless
    pairs are needed. Both domains get the resolution of the first.

    Raises:
        DataError: As `write_arrays`, or there are no pairs although they are needed.
        UnequalError: Pairs that are needed, or were asked for, differ in size.
    """
    source, target = domains.source, domains.target
    assert target is not None
    if needs_pairs and not domains.paired:
        raise no_pairs(domains)
    if domains.paired and isinstance(source, PictureSource) and isinstance(target, PictureSource):
        configs = (config, config_of_target(config))
        try:
            first, second = write_pictures((source, target), configs, folders, progress)
            return first, second, True
        except UnequalError:
            if needs_pairs or config.pair is not None:  # halves of odd width: cannot be cut at all
                raise
    first = write_arrays(source, config, folders[0], progress)
    alike = config.model_copy(update={"resolution": first.shape[1:3]})
    second = write_arrays(target, config_of_target(alike), folders[1], progress)
    drawn = not isinstance(source, PictureSource)
    return first, second, domains.paired and drawn


def config_of_target(config: DataConfig) -> DataConfig:
    """How the pictures of the second domain are brought to form."""
    return config.model_copy(update={"channels": config.target_channels})
