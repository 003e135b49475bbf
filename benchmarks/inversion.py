"""Inversion, measured: `python -m benchmarks.inversion RUN [RUN ...]`, runs on `avatars`.

For each run and space: how near pictures that the model drew itself come back, held-out avatars,
and noise, what the verdict on each is, and the processor's seconds for one.
"""

import sys
import time
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.table import print_table
from ganvas import api
from ganvas.data.loader import to_model_range
from ganvas.data.source_types import DrawnSource
from ganvas.data.sources import open_source
from ganvas.latent.inversion import Inverter
from ganvas.latent.space import SPACES, SpaceName, open_space
from ganvas.latent.verdict import OWN_PICTURES, self_check, verdicts
from ganvas.models.base import LatentModel, Styles

OWN, HELD_OUT, NOISE = 50, 12, 4
FIRST_SEED, FIRST_HELD_OUT = 5_000, 60_000
FOUND = 25.0  # dB


def main() -> None:
    runs = [Path(run) for run in sys.argv[1:]]
    if not runs:
        raise SystemExit("name runs on avatars: python -m benchmarks.inversion RUN [RUN ...]")
    rows = []
    for run in runs:
        model = api.load(run)
        names: tuple[SpaceName, ...] = SPACES if isinstance(model, Styles) else ("z",)
        for name in names:
            rows += _rows(run.name, model, name)
            print(rows[-3:], file=sys.stderr, flush=True)
    print_table(
        ["run", "space", "pictures", "n", "PSNR (dB)", f"to {FOUND:g} dB", "feature distance",
         "within", "edge", "outside", "CPU s each"],
        rows,
    )  # fmt: skip


def _rows(run: str, model: LatentModel, name: SpaceName) -> list[list[str]]:
    inverter = Inverter(open_space(model, name))
    yardstick = self_check(inverter, OWN_PICTURES)
    rows = []
    for what, images in _pictures(model).items():
        began = time.process_time()
        found = inverter.invert(images)
        seconds = (time.process_time() - began) / len(images)
        said = Counter(verdicts(found, yardstick))
        rows.append([
            run, name, what, str(len(images)), f"{found.psnr.mean():.1f}",
            f"{(found.psnr >= FOUND).double().mean():.0%}", f"{found.distance.mean():.3f}",
            *(str(said[verdict]) for verdict in ("within", "at the edge of", "outside")),
            f"{seconds:.2f}",
        ])  # fmt: skip
    return rows


def _pictures(model: LatentModel) -> dict[str, Tensor]:
    source = open_source("avatars")
    assert isinstance(source, DrawnSource)
    _, height, width = model.shape
    drawn = source.draw(range(FIRST_HELD_OUT, FIRST_HELD_OUT + HELD_OUT), (height, width))
    generator = torch.Generator().manual_seed(0)
    return {
        "its own": model.sample(OWN, FIRST_SEED),
        "held out": to_model_range(torch.from_numpy(drawn).permute(0, 3, 1, 2)),
        "noise": torch.rand(NOISE, *model.shape, generator=generator) * 2 - 1,
    }


if __name__ == "__main__":
    main()
