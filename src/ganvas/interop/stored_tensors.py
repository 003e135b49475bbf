"""Tensors as pickles describe them: found, checked and bounded, copied only when asked for.

Within a pickle, torch writes a tensor as a call of `torch._utils._rebuild_tensor_v2` on a storage,
and the storage as a call of `torch.storage._load_from_bytes` on what `torch.save` makes of it in
its format of before 2020: five small pickles (a magic number, a version, facts of the machine, the
storage as a persistent id, its key), the number of values, and their bytes. All of it is read here
by `ganvas.interop.pickles`; `torch.load` is not used.
"""

import io
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.interop.pickles import (
    Budget,
    Constructor,
    Name,
    RefusedError,
    Stream,
    read_pickle,
    shown,
)

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001

_DTYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
_MOST_DIMENSIONS = 8


@dataclass(frozen=True, eq=False)
class Storage:
    """Values in a row, as bytes of the file."""

    dtype: torch.dtype
    data: bytes
    start: int
    """The first byte of the values in `data`."""
    count: int
    """How many values."""


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor in a storage, not copied yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.count * self.storage.dtype.itemsize

    def copy(self) -> Tensor:
        """The tensor, contiguous, in memory of its own."""
        if not self.count:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        storage = self.storage
        values = torch.frombuffer(
            bytearray(memoryview(storage.data)[storage.start :]),
            dtype=storage.dtype,
            count=storage.count,
        )
        return values.as_strided(self.shape, self.strides, self.offset).clone(
            memory_format=torch.contiguous_format
        )


def tensor_vocabulary(budget: Budget) -> dict[str, Constructor]:
    """The names by which torch writes tensors."""
    return {
        "torch.storage._load_from_bytes": lambda arguments: _storage(arguments, budget),
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
    }


def _storage(arguments: tuple[object, ...], budget: Budget) -> Storage:
    match arguments:
        case (bytes(data),):
            pass
        case _:
            raise RefusedError("a tensor's storage is not made of bytes")
    stream = Stream(io.BytesIO(data), len(data))
    vocabulary = dict.fromkeys(_DTYPES, _no_call)
    numbers = [read_pickle(stream, {}, budget) for _ in range(2)]
    if numbers != [_MAGIC, _VERSION]:
        raise RefusedError("a tensor's storage is not in the form that torch writes into a pickle")
    machine = read_pickle(stream, {}, budget)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise RefusedError("a tensor was written on a machine with the other order of bytes")
    found = read_pickle(stream, vocabulary, budget, persistent=_described)
    read_pickle(stream, {}, budget)  # the list of the one storage's key
    if not isinstance(found, tuple):
        raise RefusedError("a tensor's storage is not described as torch does it")
    dtype, count = found
    written = int.from_bytes(stream.read(8), "little")
    if written != count or stream.left != count * dtype.itemsize:
        raise RefusedError(
            f"a tensor's storage says that it has {count:,} values, but has {stream.left:,} bytes"
        )
    return Storage(dtype, data, len(data) - stream.left, count)


def _described(identity: tuple[object, ...]) -> tuple[torch.dtype, int]:
    """Type and number of values of a storage's persistent id."""
    match identity:
        case ("storage", Name(text), str(), str(), int(count), *_) if 0 <= count < 2**40:
            return _DTYPES[text], count
        case _:
            raise RefusedError("a tensor's storage is not described as torch does it")


def _tensor(arguments: tuple[object, ...]) -> StoredTensor:
    match arguments:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
            pass
        case _:
            raise RefusedError("a tensor is not described as torch does it")
    tensor = StoredTensor(storage, offset, _sizes(shape), _sizes(strides))
    if len(shape) != len(strides) or len(shape) > _MOST_DIMENSIONS or offset < 0:
        raise RefusedError("a tensor's shape makes no sense")
    last = offset + sum(
        (size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True)
    )
    if tensor.count > storage.count or (tensor.count and last >= storage.count):
        raise RefusedError(
            f"a tensor of shape {shown(str(tensor.shape))} lies outside of its {storage.count:,} "
            "values"
        )
    return tensor


def _sizes(values: tuple[object, ...]) -> tuple[int, ...]:
    sizes = tuple(value for value in values if isinstance(value, int) and 0 <= value < 2**40)
    if len(sizes) != len(values):
        raise RefusedError("a tensor's shape makes no sense")
    return sizes


def _parameter(arguments: tuple[object, ...]) -> StoredTensor:
    match arguments:
        case (StoredTensor() as tensor, bool(), *_):
            return tensor
        case _:
            raise RefusedError("a parameter is not described as torch does it")


def _no_call(arguments: tuple[object, ...]) -> object:
    raise RefusedError("it calls the type of a storage, which is only to be named")
