"""A nursery of processes to kill: each is forked from one that has imported everything already.

`python -m tests.killing` reads jobs from standard input, a JSON object a line, and forks a child
for each, which runs one `ganvas` command and kills itself (SIGKILL, so that nothing is tidied up)
at a given moment. The moment is a number of Python and C calls or the n-th call of a named
function; so every run of the tests kills at the same places.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

NEVER = 10**12


@dataclass(frozen=True)
class Moment:
    """When to be killed: at the `count`-th call of a function, of any function by default."""

    count: int = NEVER
    function: str = ""
    """Its name: a Python function's, or a built-in's such as `fsync`."""
    file: str = ""
    """The end of the path of the code that defines it (Python) or calls it (built-in)."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended."""

    killed: bool
    code: int
    """Exit code, where it was not killed."""
    calls: int
    """Calls that a moment has counted, where it was not killed."""
    output: str


class Nursery:
    """The side of the tests."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._output = folder / "output.txt"
        self._calls = folder / "calls.txt"

    def run(self, *arguments: str, cache: Path, moment: Moment | None = None) -> Outcome:
        """Run `ganvas` with the arguments in a fork, until its end or the moment."""
        job = {
            "arguments": arguments,
            "moment": None if moment is None else asdict(moment),
            "cache": str(cache),
            "output": str(self._output),
            "calls": str(self._calls),
        }
        self._calls.unlink(missing_ok=True)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        status = int(stdout.readline())
        output = self._output.read_text()
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL, output
            return Outcome(True, -1, 0, output)
        return Outcome(False, os.WEXITSTATUS(status), int(self._calls.read_text()), output)


@contextmanager
def open_nursery(folder: Path) -> Iterator[Nursery]:
    """Start the nursery (two seconds) and end it afterwards."""
    command = [sys.executable, "-m", "tests.killing"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        yield Nursery(process, folder)
        assert process.stdin is not None
        process.stdin.close()


class _Trap:
    """Counts calls and ends the process at the moment."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._seen = 0

    def calls(self) -> int:
        return self._seen

    def any_call(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" or event == "c_call":
            self._seen += 1
            if self._seen == self._moment.count:
                os.kill(os.getpid(), signal.SIGKILL)

    def named_call(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            name = frame.f_code.co_name
        elif event == "c_call":
            name = argument.__name__
        else:
            return
        if name == self._moment.function and frame.f_code.co_filename.endswith(self._moment.file):
            self._seen += 1
            if self._seen == self._moment.count:
                os.kill(os.getpid(), signal.SIGKILL)


def _child(job: dict[str, Any]) -> None:
    from ganvas.cli.main import run

    output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ["GANVAS_CACHE"] = job["cache"]
    sys.argv = ["ganvas", *job["arguments"]]
    trap = _Trap(Moment(**(job["moment"] or {})))
    code: Any = 1
    if job["moment"] is not None:
        sys.setprofile(trap.named_call if job["moment"]["function"] else trap.any_call)
    try:
        run()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.setprofile(None)
        sys.stdout.flush()
        sys.stderr.flush()
        Path(job["calls"]).write_text(str(trap.calls()))
        os._exit(code)


def _warm_up() -> None:
    """Train once, so that children find everything imported; it leaves no thread behind."""
    from tests.tiny import tiny, train_quietly

    with tempfile.TemporaryDirectory() as folder:
        os.environ["GANVAS_CACHE"] = f"{folder}/cache"
        train_quietly(tiny("gan", "training.images=16"), Path(folder) / "run")
    assert threading.active_count() == 1


def _serve() -> None:
    from ganvas import api
    from tests.training.judges import HashJudge

    _warm_up()
    with patch.object(api, "make_judge", lambda *_: HashJudge()):
        for line in sys.stdin:
            child = os.fork()
            if not child:
                _child(json.loads(line))
            print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    _serve()
