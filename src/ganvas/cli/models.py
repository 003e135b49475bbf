"""`ganvas models`."""

from typing import Annotated

import typer


def models(
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List every model: paper, year, parameters, and what it can do."""
    import json

    from rich.console import Console
    from rich.table import Table

    from ganvas import api

    rows = api.list_models()
    if json_output:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table(title="ganvas train MODEL", caption="Parameters for 64x64 RGB images.")
    for heading in ("model", "year", "paper", "parameters", "can", "what it does"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        counts = "\n".join(f"{name} {count:,}" for name, count in row["parameters"].items())
        cells = (row["name"], str(row["year"]), row["paper"], counts, "\n".join(row["can"]))
        table.add_row(*cells, row["summary"])
    Console().print(table)
