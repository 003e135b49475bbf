"""`ganvas report`."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")],
) -> None:
    """Write the report of a run again, also of one that is still going on or was killed."""
    from ganvas.evaluation.report import write_report

    typer.echo(write_report(run))
