"""`ganvas data`: look a source over, or pack it."""

from pathlib import Path
from typing import Annotated

import typer

from ganvas.cli.domains import Domains, Pair, Target

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
    target: Target = None,
    pair: Pair = None,
    domains: Domains = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON, every file by name.")
    ] = False,
) -> None:
    """Say what is in a source and what is wrong with it, file by file."""
    import json

    from rich.console import Console

    from ganvas.data import DataConfig
    from ganvas.data.inspect import Report, inspect, inspect_domains
    from ganvas.data.inspect_text import as_text, two_as_text

    config = DataConfig.parse(
        {"source": source, "target": target, "pair": pair, "domains": domains}
    )
    report = inspect_domains(config) if config.has_target else inspect(source)
    if json_output:
        typer.echo(json.dumps(report.as_dict(), indent=1))
    else:
        text = as_text(report) if isinstance(report, Report) else two_as_text(report)
        Console(soft_wrap=False).print(text)


@app.command("pack")
def pack_source(
    source: Source,
    target: Target = None,
    pair: Pair = None,
    domains: Domains = None,
    resolution: Annotated[
        str | None, typer.Option(help="64, or HEIGHTxWIDTH: 64x96. Default: from the pictures.")
    ] = None,
    channels: Annotated[str, typer.Option(help="auto, 1 grey, 3 colour, 4 with alpha.")] = "auto",
    target_channels: Annotated[
        str, typer.Option(help="The same of the second domain, if there is one.")
    ] = "auto",
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

    values = {"source": source, "target": target, "pair": pair, "domains": domains}
    form = {"resolution": resolution, "channels": channels, "target_channels": target_channels}
    rest = {"fit": fit, "background": background, "images": images}
    config = DataConfig.parse({**values, **form, **rest})
    known = find_pack(config, cache=cache)
    started = time.monotonic()
    pack = known if known is not None else open_pack(config, cache=cache)
    seconds = time.monotonic() - started
    shape = "x".join(map(str, pack.images.shape[1:]))
    classes = f", {len(pack.classes)} classes" if pack.classes else ""
    rate = f"{seconds:.1f} s, {len(pack) / max(seconds, 1e-3):,.0f} images/s"
    typer.echo(f"{len(pack):,} of {shape}{classes} in {pack.folder}")
    if pack.target is not None:
        second = "x".join(map(str, pack.target.images.shape[1:]))
        kind = "pairs with as many" if pack.paired else f"no pairs; {len(pack.target):,}"
        typer.echo(f"{kind} of {second}")
    typer.echo(f"packed in {rate}" if known is None else "packed before: opened as it was")
    for problem in pack.skipped:
        typer.echo(f"left out {problem.name}: {problem.reason}")
