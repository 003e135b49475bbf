"""Running the command line within the test's process: what it printed and its exit code."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ganvas.cli.main import run

TINY = (
    *("--resolution", "16", "--images", "16", "--set", "data.images=40", "--set", "model.width=4"),
    *("--set", "training.batch=8", "--set", "training.device=cpu"),
    *("--set", "training.score_every=0"),
)
"""A training of two steps."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def ganvas(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `ganvas` with the arguments."""

    def command(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["ganvas", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            run()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return Result(code, captured.out, captured.err)

    return command


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    """Start `ganvas` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ganvas", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
