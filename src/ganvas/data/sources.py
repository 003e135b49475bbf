"""From what the user wrote to a source: one interface over folders, archives, tables, drawings."""

import difflib
from pathlib import Path

from ganvas.errors import DataError

from .archives import open_archive
from .folders import open_folder
from .generated import BUILTIN, open_builtin
from .hub import open_hub
from .source_types import Source
from .stacked import PREFIX, stack
from .tables import open_parquet, parquet_shards

HUB_NAMES = {
    "mnist": "hf:ylecun/mnist",
    "fashion-mnist": "hf:zalando-datasets/fashion_mnist",
    "cifar10": "hf:uoft-cs/cifar10",
}
"""Short names of well-known hub data sets, fetched when first used."""

IMPORTED = "imported"
"""The source of a run made by `ganvas import`: pictures that are not here."""


def open_source(name: str) -> Source:
    """Find out what `name` stands for and list it; see `DataConfig.source` for what may be written.

    A built-in name wins over a file of the same name: write `./avatars` for a folder so called.

    Raises:
        DataError: There is no such source, or it cannot be read.
    """
    base = name.partition(":")[0]
    if name == IMPORTED:
        raise DataError(
            "This run was imported: the file it is from holds weights, but neither its pictures "
            "nor the state of its optimisers, so it cannot be resumed. Give pictures: ganvas train "
            "--from RUN --data PICTURES, or ganvas evaluate RUN --against PICTURES."
        )
    if base in BUILTIN:
        return open_builtin(name)
    if base == PREFIX:
        return stack(name, open_source(_stacked(name)))
    if base in HUB_NAMES:
        name = HUB_NAMES[base] + name.removeprefix(base)
    if name.startswith("hf:"):
        return open_hub(name)
    path = _path(name)
    if path.is_dir():
        shards = parquet_shards(path)
        return open_parquet(name, shards) if shards else open_folder(name, path)
    if not path.exists():
        raise DataError(_not_found(name))
    return _open_file(name, path)


def absolute(name: str) -> str:
    """The source's name, with a path made absolute; other names stay as they are."""
    base = name.partition(":")[0]
    if base == PREFIX:
        return f"{PREFIX}:{absolute(_stacked(name))}"
    if base in (*BUILTIN, *HUB_NAMES, IMPORTED) or name.startswith("hf:"):
        return name
    path = _path(name)
    return str(path.resolve()) if path.exists() else name


def _stacked(name: str) -> str:
    """The source whose pictures `stacked:SOURCE` stacks."""
    inner = name.removeprefix(PREFIX).removeprefix(":")
    if not inner or inner.partition(":")[0] == PREFIX:
        raise DataError(
            f"{name!r} does not say which digits to stack: write stacked:mnist, stacked:digits, or "
            "stacked: and a Parquet file or a folder of grey digits in ten classes."
        )
    return inner


def _path(name: str) -> Path:
    """The path that a name stands for."""
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, ~nobody, a null character
        raise DataError(f"There can be no data source {name[:60]!r}: {error}.") from None
    return path


def _open_file(name: str, path: Path) -> Source:
    if not path.is_file():
        raise DataError(
            f"{name} is neither a file nor a folder, so no pictures can be read from it."
        )
    if path.suffix.lower() == ".parquet":
        return open_parquet(name, [path])
    if path.suffix.lower() == ".zip":
        return open_archive(name, path)
    raise DataError(
        f"{name} is a file that is neither a .zip nor a .parquet. Give a folder of pictures, a ZIP "
        "of them, or a Parquet file as Hugging Face datasets writes it."
    )


def _not_found(name: str) -> str:
    known = [*BUILTIN, *HUB_NAMES]
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    offer = f" Did you mean the built-in {close[0]!r}?" if close else ""
    return (
        f"There is no data source {name!r}.{offer} It can be a folder, a .zip or a .parquet file "
        f"(that path does not exist here), hf:owner/name, or a built-in name: {', '.join(known)}."
    )
