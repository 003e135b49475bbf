"""`ganvas`: one command, one verb a file."""

import os
import sys

import typer

from ganvas.cli import (
    compare,
    data,
    directions,
    edit,
    evaluate,
    export,
    failures,
    import_,
    invert,
    mix,
    models,
    reconstruct,
    report,
    sample,
    train,
    translate,
    vary,
    walk,
)
from ganvas.errors import GanvasError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="GANs and VAEs on one canvas: train, measure and explore on your own pictures.",
)
app.command("train")(train.train)
app.command("resume")(train.resume)
app.command("models")(models.models)
app.add_typer(data.app, name="data")
app.command("sample")(sample.sample)
app.command("translate")(translate.translate)
app.command("reconstruct")(reconstruct.reconstruct)
app.command("interpolate")(walk.interpolate)
app.command("invert")(invert.invert)
app.command("mix")(mix.mix)
app.command("vary")(vary.vary)
app.command("edit")(edit.edit)
app.command("directions")(directions.directions)
app.command("export")(export.export)
app.command("import")(import_.import_)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("story")(compare.story)
app.command("failures")(failures.failures)
app.command("report")(report.report)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from ganvas import __version__

        typer.echo(f"ganvas {__version__}")
        raise typer.Exit


def run() -> None:
    """Run the command line; an error that a user can mend ends it with one paragraph and code 2."""
    try:
        app()
    except GanvasError as error:
        typer.echo(f"ganvas: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("ganvas: stopped at once; what was written before is whole.", err=True)
        sys.exit(130)
    except SystemExit as end:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            _leave(end.code)
        raise
    except BrokenPipeError:  # `ganvas ... | head`
        sys.stderr.close()
        sys.exit(0)


def _leave(code: int | str | None) -> None:
    """End one of several processes without taking its libraries down piece by piece.

    With gloo that aborted a process now and then ("terminate called without an active exception",
    torch 2.13), after everything was written; torchrun then called the whole training failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
