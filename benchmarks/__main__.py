"""`python -m benchmarks [NAME ...]`: run the named benchmarks, or all."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import torch

NAMES = ("startup", "loading", "training", "penalties", "translation", "metrics")


def main() -> None:
    names = sys.argv[1:] or NAMES
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parent,
    ).stdout.strip()  # fmt: skip
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    print(f"# python -m benchmarks {' '.join(names)}")
    print(
        f"commit {commit}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {device}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
    for name in names:
        print(f"\n## {name}", flush=True)
        import_module(f"benchmarks.{name}").main()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
