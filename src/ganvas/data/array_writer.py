"""A `.npy` file that is written row by row."""

import json
import math
import os
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray


class ArrayWriter:
    """Appends rows to a `.npy` file whose length is known only at the end, and hashes them."""

    def __init__(self, path: Path, row: tuple[int, ...], dtype: type[np.generic]):
        self.rows = 0
        self._row = row
        self._dtype = np.dtype(dtype)
        self._hash = sha256()
        self._stream: BinaryIO = path.open("wb")
        self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self._stream:
            if kind is not None:
                return
            self._stream.seek(0)
            self._write_header()
            self._stream.flush()
            os.fsync(self._stream.fileno())

    @property
    def dtype(self) -> str:
        """The type of the numbers."""
        return str(self._dtype)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return math.prod(self._row) * self._dtype.itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows written so far, and the shape of one."""
        return (self.rows, *self._row)

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows of shape (N, *row)."""
        content = np.ascontiguousarray(rows, self._dtype).data
        self._hash.update(content)
        self._stream.write(content)
        self.rows += len(rows)

    def fingerprint(self, *context: Any) -> str:
        """SHA-256 over the rows and anything else that tells two packs apart."""
        total = self._hash.copy()
        total.update(json.dumps([self.shape, *context], sort_keys=True).encode())
        return total.hexdigest()

    def _write_header(self) -> None:
        # NumPy leaves room in the header for the first dimension to grow in place.
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self._stream, header)
