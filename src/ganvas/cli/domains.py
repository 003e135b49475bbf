"""The options that say where the second domain is, for models that translate."""

from typing import Annotated

import typer

Target = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="What to translate into: a second folder, ZIP, ... (equal file names are pairs).",
    ),
]
Pair = Annotated[
    str | None,
    typer.Option(
        metavar="AB|BA",
        help="Every picture holds two, side by side: what to translate on the left (AB) or on the "
        "right (BA).",
    ),
]
Domains = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Two classes of the data (none,round of avatars:glasses), two image columns of a "
        "Parquet file, or two views of avatars (segmentation,image).",
    ),
]
