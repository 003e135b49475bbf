"""`ganvas data`: look a source over, or pack it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Look at pictures before training, or pack them in advance."
)

Source = Annotated[
    str,
    typer.Argument(
        help="A folder, a .zip, a .parquet file or a folder of them, hf:owner/name[:split], or "
        "avatars, ring, grid, swiss-roll, digits."
    ),
]


@app.command("inspect")
def inspect_source(
    source: Source,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON, every file by name.")
    ] = False,
) -> None:
    """Say what is in a source and what is wrong with it, file by file."""
    import json

    from rich.console import Console

    from ganvas.data.inspect import inspect
    from ganvas.data.inspect_text import as_text

    report = inspect(source)
    if json_output:
        typer.echo(json.dumps(report.as_dict(), indent=1))
    else:
        Console(soft_wrap=False).print(as_text(report))


@app.command("pack")
def pack_source(
    source: Source,
    resolution: Annotated[
        str | None, typer.Option(help="64, or HEIGHTxWIDTH: 64x96. Default: from the pictures.")
    ] = None,
    channels: Annotated[str, typer.Option(help="auto, 1 grey, 3 colour, 4 with alpha.")] = "auto",
    fit: Annotated[str, typer.Option(help="crop, pad or stretch.")] = "crop",
    background: Annotated[
        str, typer.Option(help="Colour under transparency and around padded pictures.")
    ] = "white",
    images: Annotated[int | None, typer.Option(help="Use at most so many.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for packs. Default: $GANVAS_CACHE or the system's.")
    ] = None,
) -> None:
    """Decode a source once into a memory-mapped pack; `train` does this on its own when needed."""
    import time

    from ganvas.data import DataConfig, find_pack, open_pack

    values = {"source": source, "resolution": resolution, "channels": channels, "fit": fit}
    config = DataConfig.parse({**values, "background": background, "images": images})
    known = find_pack(config, cache=cache)
    started = time.monotonic()
    pack = known if known is not None else open_pack(config, cache=cache)
    seconds = time.monotonic() - started
    shape = "x".join(map(str, pack.images.shape[1:]))
    classes = f", {len(pack.classes)} classes" if pack.classes else ""
    rate = f"{seconds:.1f} s, {len(pack) / max(seconds, 1e-3):,.0f} images/s"
    typer.echo(f"{len(pack):,} of {shape}{classes} in {pack.folder}")
    typer.echo(f"packed in {rate}" if known is None else "packed before: opened as it was")
    for problem in pack.skipped:
        typer.echo(f"left out {problem.name}: {problem.reason}")
