"""Metrics on given features against torch-fidelity's and prdc's own functions, and their memory.

The peers are no dependencies of ganvas: `pip install --no-deps torch-fidelity prdc scipy tqdm`.
Without them the table has our times alone. What each computes:

- Fréchet distance: the same number.
- Kernel distance: torch-fidelity's mean over its default 100 random subsets of 1,000 (100 million
  pairs of each kind); ganvas over all pairs (50, 50 and 100 million), with a 95% interval.
- Precision and recall (k=3), and precision, recall, density and coverage (k=5): the same numbers,
  ganvas' with intervals. "Together" is the sum of the two peers' calls against one pass.
- Inception score: the same number, of 1,000 classes.
"""

import importlib.util
import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from unittest.mock import MagicMock

import torch
from torch import Tensor

from benchmarks.table import alternate, print_table
from ganvas.evaluation.frechet import frechet_distance
from ganvas.evaluation.inception_score import inception_score
from ganvas.evaluation.kernel import kernel_distance
from ganvas.evaluation.manifold import manifold_scores

COUNT, MANY, SIZE, CLASSES, ROUNDS = 10_000, 50_000, 2048, 1000, 3
PRECISION = "precision, recall (k=3)"
DENSITY = "precision, recall, density, coverage (k=5)"
TOGETHER = "the last two together"

Metric = Callable[[Tensor, Tensor], object]

OURS: dict[str, Metric] = {
    "Fréchet distance": frechet_distance,
    "kernel distance": kernel_distance,
    PRECISION: lambda real, fake: manifold_scores(real, fake, ks=(3,)),
    DENSITY: lambda r, f: manifold_scores(r, f, ks=(5,)),
    TOGETHER: manifold_scores,
    "Inception score": lambda real, fake: inception_score(fake[:, :CLASSES]),
}
LARGE = ("Fréchet distance", "kernel distance", TOGETHER)


def main() -> None:
    print(f"Seconds for {COUNT:,} x {SIZE:,} on each side, median of {ROUNDS} (lowest - highest).")
    _print_speeds(_peers(), *_features(COUNT))
    print(f"\nPeak memory of a whole process with {MANY:,} x {SIZE:,} on each side.\n", flush=True)
    print_table(["metric", "GB", "seconds"], [[name, *_peak(name)] for name in LARGE])


def _print_speeds(peers: dict[str, Metric], real: Tensor, fake: Tensor) -> None:
    ours = {name: _timed(metric, real, fake) for name, metric in OURS.items()}
    theirs = {f"peer {name}": _timed(metric, real, fake) for name, metric in peers.items()}
    seconds = alternate(ours | theirs, ROUNDS)
    if peers:
        parts = zip(seconds[f"peer {PRECISION}"], seconds[f"peer {DENSITY}"], strict=True)
        middle, low, high = (sum(part) for part in parts)
        seconds[f"peer {TOGETHER}"] = (middle, low, high)
    rows = []
    for name in OURS:
        peer = seconds.get(f"peer {name}")
        ratio = f"{peer[0] / seconds[name][0]:.1f}" if peer else ""
        rows.append([name, _range(peer) if peer else "", _range(seconds[name]), ratio])
    print_table(["metric", "torch-fidelity / prdc", "ganvas", "times as fast"], rows)


def _features(count: int) -> tuple[Tensor, Tensor]:
    """Real and fake features, never negative, as Inception's are."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(count, SIZE, generator=generator).relu_()
    fake = torch.randn(count, SIZE, generator=generator).mul_(1.02).relu_()
    return real, fake


def _timed(metric: Metric, real: Tensor, fake: Tensor) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter()
        with redirect_stdout(io.StringIO()):  # prdc prints the numbers of samples
            metric(real, fake)
        return time.perf_counter() - start

    return measure


def _range(seconds: tuple[float, float, float]) -> str:
    return "{:.2f} ({:.2f} - {:.2f})".format(*seconds)


def _peers() -> dict[str, Metric]:
    """The peers' own functions on features, if they are installed."""
    if not all(importlib.util.find_spec(name) for name in ("torch_fidelity", "prdc")):
        print(
            "torch-fidelity and prdc are not installed, so there is nothing to compare with: "
            "pip install --no-deps torch-fidelity prdc scipy tqdm\n"
        )
        return {}
    if importlib.util.find_spec("torchvision") is None:
        # torch-fidelity imports it to read pictures, which nothing here does.
        for name in ("", ".datasets", ".transforms", ".transforms.functional"):
            sys.modules[f"torchvision{name}"] = MagicMock()
    fid = import_module("torch_fidelity.metric_fid")
    kid = import_module("torch_fidelity.metric_kid")
    prc = import_module("torch_fidelity.metric_prc")
    isc = import_module("torch_fidelity.metric_isc")
    prdc = import_module("prdc")

    def frechet(real: Tensor, fake: Tensor) -> object:
        statistics = [fid.fid_features_to_statistics(values) for values in (real, fake)]
        return fid.fid_statistics_to_metric(*statistics, verbose=False)

    def precision_recall(real: Tensor, fake: Tensor) -> object:
        return prc.prc_features_to_metric(fake, real, verbose=False)

    def density_coverage(real: Tensor, fake: Tensor) -> object:
        return prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)

    return {
        "Fréchet distance": frechet,
        "kernel distance": lambda real, fake: kid.kid_features_to_metric(real, fake, verbose=False),
        PRECISION: precision_recall,
        DENSITY: density_coverage,
        "Inception score": lambda real, fake: isc.isc_features_to_metric(fake[:, :CLASSES]),
    }


def _peak(name: str) -> tuple[str, str]:
    """Gigabytes (10⁹) and seconds of one metric, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.metrics", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    gigabytes, seconds = done.stdout.split()
    return gigabytes, seconds


def _report_peak(name: str) -> None:
    seconds = _timed(OURS[name], *_features(MANY))()
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(f"{peak / 1e9:.2f} {seconds:.0f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _report_peak(sys.argv[1])
    else:
        main()
