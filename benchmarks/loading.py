"""Reading a pack against decoding files: batches of 64 for a 64-pixel model.

The peer is what most training scripts do: a `torch.utils.data.DataLoader` with two workers that
opens every JPEG with Pillow, crops, resizes and converts it, each epoch anew.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.table import alternate, print_table
from ganvas.data.config import DataConfig
from ganvas.data.loader import Loader, to_model_range
from ganvas.data.pack import Pack, open_pack

COUNT, SIDE, SIZE, BATCH = 4000, 256, 64, 64


class PillowImages(Dataset[Tensor]):
    """Decode on every access."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.jpg"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as image:
            small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 127.5 - 1


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        _make_pictures(folder)
        start = time.perf_counter()
        config = DataConfig(source=str(folder), resolution=(SIZE, SIZE))
        pack = open_pack(config, cache=Path(name) / "cache", progress=False)
        packing = COUNT / (time.perf_counter() - start)
        speeds = alternate(
            {
                "Pillow DataLoader, 2 workers": lambda: _pillow(folder),
                "ganvas pack": lambda: _packed(pack),
            },
            rounds=3,
        )
    base = speeds["Pillow DataLoader, 2 workers"][0]
    rows = [[f"ganvas packing {SIDE}-px JPEGs, once", f"{packing:,.0f}", "", "", ""]]
    for name, (mid, low, high) in speeds.items():
        rows.append([name, f"{mid:,.0f}", f"{low:,.0f}", f"{high:,.0f}", f"{mid / base:,.1f}"])
    print_table(["what", "images/s (median)", "lowest", "highest", "ratio"], rows)


def _make_pictures(folder: Path) -> None:
    folder.mkdir()
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    for i in range(COUNT):
        phase = np.random.default_rng(i).uniform(0, 6, (3, 1, 1))
        waves = 128 + 100 * np.sin(x / (5 + i % 40) + y / (3 + i % 17) + phase)
        pixels = waves.astype(np.uint8).transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / f"{i:05d}.jpg", quality=90)


def _pillow(folder: Path) -> float:
    loader = DataLoader(PillowImages(folder), BATCH, shuffle=True, num_workers=2)
    start = time.perf_counter()
    total = sum(len(batch) for batch in loader)
    return total / (time.perf_counter() - start)


def _packed(pack: Pack) -> float:
    loader = Loader(pack, batch=BATCH, seed=0)
    count = 20 * len(pack) // BATCH * BATCH
    start = time.perf_counter()
    for position in range(0, count, BATCH):
        to_model_range(loader.fetch(position)[0])
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
