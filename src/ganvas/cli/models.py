"""`ganvas models`."""

from typing import Annotated

import typer


def models(
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List every model: paper, year, parameters, and what it can do."""
    import json

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ganvas import api

    rows = api.list_models()
    if json_output:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(
        title="ganvas train MODEL",
        caption="Parameters for RGB images of 64x64 pixels (pix2pix, cyclegan: 256; cyclegan-few: "
        "128), of ten classes where it takes them.",
        box=box.HORIZONTALS,
        show_lines=True,
    )
    for heading in ("model", "parameters", "what it does"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        counts = "\n".join(f"{name} {_short(count)}" for name, count in row["parameters"].items())
        about = Text(f"{row['summary']}\n")
        about.append(f"{row['paper']}, {row['year']}\n{', '.join(row['can'])}", style="dim")
        table.add_row(row["name"], counts, about)
    Console().print(table)


def _short(count: int) -> str:
    """A number of parameters to three digits: 2.17 M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
