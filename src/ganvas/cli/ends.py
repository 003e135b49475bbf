"""Pictures as a user names them: by seeds, and by files of points that `ganvas invert` wrote."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.cli.lists import seed_list

if TYPE_CHECKING:
    from ganvas.latent.points import Points
    from ganvas.models.base import LatentModel

_POINTS = ".safetensors"


def seeds_and_files(text: str, option: str) -> list[int | Path]:
    """The seeds and files in "1,me.safetensors,3"; raises ConfigError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    numbers = [part for part in parts if not part.endswith(_POINTS)]
    seeds = iter(seed_list(",".join(numbers), option) if numbers else [])
    return [Path(part) if part.endswith(_POINTS) else next(seeds) for part in parts]


def read_ends(ends: Sequence[int | Path], model: "LatentModel") -> "list[int | Points]":
    """Seeds, and the points of files; raises DataError for a file that is none, or of another."""
    from ganvas.latent.points import read_points

    return [read_points(end, model) if isinstance(end, Path) else end for end in ends]
