"""Small pictures, sound and broken, for the tests of the data path."""

import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30), seed: int = 0) -> Image.Image:
    """A smooth picture (width, height) of any mode, so that JPEG and resizing keep it."""
    phases = np.random.default_rng(seed).uniform(0, 6, (3, 1, 1))
    y, x = np.mgrid[0 : size[1], 0 : size[0]] / 20.0
    waves = 127.5 + 100 * np.sin(x[None] + y[None] * [[[1]], [[2]], [[3]]] + phases)
    rgb = Image.fromarray(waves.astype(np.uint8).transpose(1, 2, 0))
    if mode == "I;16":
        return Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    if mode in ("LA", "RGBA"):
        rgb.putalpha(Image.fromarray(waves[0].astype(np.uint8)))
    return rgb.convert(mode)


def encode(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that declares 40,000 x 40,000 pixels."""
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    body = _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + body + _png_chunk(b"IEND", b"")


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def fill_folder(root: Path, names: Sequence[str], **how: Any) -> Path:
    """One different PNG per name."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(picture(seed=seed, **how)))
    return root


def write_table(
    path: Path,
    columns: Mapping[str, Sequence[bytes | None]],
    labels: Sequence[int] | None = None,
    classes: Sequence[str] = (),
    rows_per_group: int = 1000,
) -> Path:
    """What `datasets` writes, without the metadata of the features if there are no classes."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    cells: dict[str, Any] = {
        name: arrow.array([{"bytes": content, "path": None} for content in contents], kind)
        for name, contents in columns.items()
    }
    features: dict[str, Any] = {name: {"_type": "Image"} for name in columns}
    if labels is not None:
        cells["label"] = arrow.array(labels, arrow.int64())
        features["label"] = {"names": list(classes), "_type": "ClassLabel"}
    table = arrow.table(cells)
    if classes:
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(metadata)
    parquet.write_table(table, path, row_group_size=rows_per_group)
    return path


def write_parquet(
    path: Path,
    contents: Sequence[bytes | None],
    labels: Sequence[int] | None = None,
    classes: Sequence[str] = (),
    rows_per_group: int = 1000,
) -> Path:
    """A table with one column of pictures."""
    return write_table(path, {"image": contents}, labels, classes, rows_per_group)
