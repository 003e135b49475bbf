"""From what a user names to pictures to translate, and a place for what they become."""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal, cast

from ganvas.data.config import DataConfig
from ganvas.data.domains import common_folder, stems
from ganvas.data.held_out import Examples, held_out_pairs
from ganvas.data.pack import Pack, open_pack
from ganvas.data.source_types import PictureSource
from ganvas.data.sources import open_source
from ganvas.errors import ConfigError, DataError
from ganvas.models.translation import Direction, TranslationModel
from ganvas.training.config import RunConfig
from ganvas.translation.inputs import FileInputs, FileSource, Form, HeldOutInputs, Targets

Pair = Literal["AB", "BA"]
Channels = Literal[1, 3, 4]

OWN = 64
"""So many of the run's own pictures are translated where none are given."""


def forms(
    model: TranslationModel, direction: Direction, data: DataConfig, *, resize: bool
) -> tuple[Form, Form]:
    """How the model takes pictures, and in what form their targets are to compare with.

    Args:
        model: What translates them.
        direction: Which way.
        data: What it was trained with: how pictures were made to fit, and on what background.
        resize: Bring them to the size that it learned from.
    """
    shapes = {"A": model.shape, "B": model.target_shape}
    first, second = (
        Form(
            cast(Channels, shapes[domain][0]),
            data,
            (shapes[domain][1], shapes[domain][2]) if resize else None,
        )
        for domain in direction
    )
    return first, second


def open_inputs(
    name: str, direction: Direction, takes: tuple[Form, Form], target: str | None, pair: Pair | None
) -> FileInputs:
    """The pictures that a user gave, with their targets where it is known which they are.

    Args:
        name: A picture file, a folder or a ZIP of them, or Parquet.
        direction: Which way they go.
        takes: The forms of pictures and targets.
        target: Where their targets lie, by equal names.
        pair: They hold both domains side by side, A left ("AB") or right ("BA").

    Raises:
        ConfigError: Both `target` and `pair` are given.
        DataError: There are no such pictures, or none has a target.
    """
    if target is not None and pair is not None:
        raise ConfigError(
            "--target and --pair each say where the targets are: give one of them. --pair is for "
            "pictures that hold both side by side."
        )
    source, (form, target_form) = open_pictures(name), takes
    if pair is not None:
        form = replace(form, part="left" if pair == direction else "right")
        target_form = replace(target_form, part="right" if pair == direction else "left")
        everyone = {index: index for index in range(len(source))}
        return FileInputs(source, form, Targets(source, target_form, everyone))
    if target is None:
        return FileInputs(source, form)
    partners = open_pictures(target)
    return FileInputs(source, form, Targets(partners, target_form, _partners(source, partners)))


def own_inputs(config: RunConfig, direction: Direction) -> tuple[HeldOutInputs, bool]:
    """Pictures of a run's own data, and whether the model was never trained on them.

    Those that were held out; where so few pictures were there that none was, the first ones.

    Raises DataError where the data is not there any more.
    """
    data = config.data
    pack = open_pack(data, needs_pairs=config.model.needs_pairs)
    held_out = held_out_pairs(pack, data, "test", OWN)
    assert pack.target is not None  # or `held_out_pairs` had refused
    unseen = all(len(examples.images) for examples in held_out)
    sides = [
        (_names(side, examples, data), examples.images)
        if unseen
        else (list(side.names[:OWN]), side.images[:OWN])
        for side, examples in zip((pack, pack.target), held_out, strict=True)
    ]
    (names, images), (_, targets) = sides if direction == "AB" else reversed(sides)
    return HeldOutInputs(names, images, targets if pack.paired else None), unseen


def open_pictures(name: str) -> PictureSource:
    """List what a user gave to translate: a picture file, a folder or a ZIP of them, or Parquet.

    Raises:
        DataError: It does not exist, cannot be read, or holds no pictures.
    """
    try:
        path = Path(name).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, ~nobody, a null character
        raise DataError(f"There can be no file {name[:60]!r} to translate: {error}.") from None
    if path.is_file() and path.suffix.lower() not in (".zip", ".parquet"):
        return FileSource(name, path)
    if not exists and not name.startswith("hf:"):
        raise DataError(
            f"There is no file or folder {name!r} here. Give a picture, a folder or a ZIP of "
            "pictures; or nothing, to translate pictures of the run's own data."
        )
    source = open_source(str(path.resolve()) if exists else name)
    assert isinstance(source, PictureSource)  # those that are drawn have names that are no paths
    return source


def check_place(out: Path, name: str | None) -> None:
    """Raise ConfigError where results would lie among the pictures, to be translated next time."""
    if name is None:
        return
    pictures = Path(name).expanduser()
    if pictures.is_dir() and out.expanduser().resolve().is_relative_to(pictures.resolve()):
        raise ConfigError(
            f"--out {out} lies within {name}, whose pictures are translated: the next time, the "
            "results would be translated, too. Choose a folder beside it."
        )
    if out.suffix.lower() == ".png" or out.is_file():
        raise ConfigError(
            f"--out {out}: the results are written into a folder, under the names of the pictures. "
            f"Give a folder, such as {out.with_suffix('')}."
        )


def _names(pack: Pack, examples: Examples, data: DataConfig) -> list[str]:
    """Of rows of a pack their files' names; of what was drawn after them, a number."""
    drawn = data.source.partition(":")[0]
    return [
        pack.names[index] if index < len(pack) else f"{drawn}-{index:06d}"
        for index in examples.indices.tolist()
    ]


def _partners(source: PictureSource, target: PictureSource) -> dict[int, int]:
    """The target's place for every picture that has a partner of the same name.

    Raises DataError where none has.
    """
    if len(source) == len(target) == 1:
        return {0: 0}
    mine, theirs = source.listing.names, target.listing.names
    for folders in (("", ""), (common_folder(mine), common_folder(theirs))):
        places = {stem: index for index, stem in enumerate(stems(theirs, folders[1]))}
        called = stems(mine, folders[0])
        found = {index: places[stem] for index, stem in enumerate(called) if stem in places}
        if found:
            return found
    raise DataError(
        f"None of the {len(source):,} pictures in {source.name} has a target of the same name "
        f"in {target.name}: for {mine[0]} one called {PurePosixPath(mine[0]).stem} (of any format) "
        f"is looked for, but there is {theirs[0]}. Rename them, or leave out --target."
    )
