"""Start-up: what a user waits for before anything happens (targets: 0.5 s and 0.2 s)."""

import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.table import alternate, print_table

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import ganvas": ["-c", "import ganvas, sys; assert 'torch' not in sys.modules"],
    "ganvas --help": ["-m", "ganvas", "--help"],
    "ganvas train --help": ["-m", "ganvas", "train", "--help"],
}


def main() -> None:
    measured = alternate({name: _timer(words) for name, words in COMMANDS.items()}, rounds=7)
    rows = [
        [name, *(f"{1000 * seconds:,.0f} ms" for seconds in values)]
        for name, values in measured.items()
    ]
    print_table(["whole process", "median", "lowest", "highest"], rows)


def _timer(words: list[str]) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    return measure


if __name__ == "__main__":
    main()
