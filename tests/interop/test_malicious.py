"""Files that want to run something, or to use up memory or time: refused, with the reason."""

import copyreg
import io
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganvas.errors import RunError
from ganvas.interop import pickles
from ganvas.interop.importing import import_official
from tests.interop.official_files import Persistent, stand_ins, stylegan_file

MARKER = "GANVAS_TEST_MARKER"
"""The environment variable with the path that a file which runs would write."""


def mark(*arguments: object) -> None:
    """What a file must never come to call."""
    Path(os.environ[MARKER]).write_text("it ran")


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "marker"
    monkeypatch.setenv(MARKER, str(path))
    yield path
    assert not path.exists(), "something in the file was executed"


def refused(data: bytes, folder: Path) -> str:
    """Why a file was refused; one paragraph, and nothing is left behind."""
    file = folder / "file.pkl"
    file.write_bytes(data)
    before = sorted(folder.iterdir())
    with pytest.raises(RunError) as error:
        import_official(file, folder / "run", progress=False)
    assert sorted(folder.iterdir()) == before
    message = str(error.value)
    assert message.startswith(f"{file} was not imported: ")
    assert message.isprintable()
    return message


def shell() -> Calls:
    return Calls(os.system, f'{sys.executable} -c "open(r\\"$GANVAS_TEST_MARKER\\", \\"w\\")"')


def evaluated() -> Calls:
    return Calls(eval, "__import__('tests.interop.test_malicious').interop.test_malicious.mark()")


BAD = {
    "os.system": (shell, f"{os.system.__module__}.system"),
    "eval": (evaluated, "builtins.eval"),
    "exec": (lambda: Calls(exec, "pass"), "builtins.exec"),
    "a function of ours": (lambda: Calls(mark), "tests.interop.test_malicious.mark"),
    "getattr": (lambda: Calls(getattr, OrderedDict, "fromkeys"), "builtins.getattr"),
    "subprocess": (lambda: Calls(subprocess.Popen, ["true"]), "subprocess.Popen"),
    "torch.load": (lambda: Calls(torch.load, "x"), "torch.serialization.load"),
    "partial": (lambda: Calls(__import__("functools").partial, mark), "functools.partial"),
    "NumPy's loader": (lambda: Calls(np.load, "x"), ".load"),
    "an inner name": (lambda: Calls(OrderedDict.fromkeys, [1]), "builtins.getattr"),
}  # fmt: skip


def dumped(value: object, protocol: int) -> bytes:
    try:
        return pickle.dumps(value, protocol)
    except (pickle.PicklingError, TypeError):
        pytest.skip("this protocol has no words for it")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", BAD)
def test_calls_are_not_made(name: str, protocol: int, marker: Path, tmp_path: Path) -> None:
    make, named = BAD[name]
    message = refused(dumped({"G_ema": make()}, protocol), tmp_path)
    assert "it asks for" in message
    assert (named if protocol > 2 else named.rpartition(".")[2]) in message  # 2 has Python 2's


def test_the_files_here_would_run(marker: Path) -> None:
    """The proof is worth something: the same bytes, loaded by pickle, leave the marker."""
    for make in (shell, evaluated, lambda: Calls(mark)):
        pickle.loads(pickle.dumps(make()))
        assert marker.exists()
        marker.unlink()


def test_within_the_state_of_a_network(marker: Path, tmp_path: Path) -> None:
    with stand_ins():
        module = Persistent("Generator")
        module.weight_gain = Calls(mark)  # type: ignore[assignment]
        data = pickle.dumps({"G_ema": module})
    assert "tests.interop.test_malicious.mark" in refused(data, tmp_path)


def test_within_a_real_file(marker: Path, tmp_path: Path) -> None:
    data = stylegan_file("stylegan2_32.safetensors", content={"augment_pipe": Calls(mark)})
    assert "tests.interop.test_malicious.mark" in refused(data, tmp_path)


def test_the_text_of_a_module_is_not_run(marker: Path, tmp_path: Path) -> None:
    """Its first statement would end this process (`official_files.SOURCE`)."""
    with stand_ins():
        data = pickle.dumps({"G_ema": Persistent("Generator")})
    assert "is no generator of StyleGAN2" in refused(data, tmp_path)


def storage(data: bytes) -> bytes:
    """A file whose G_ema is a storage of these bytes."""
    return pickle.dumps({"G_ema": Calls(torch.storage._load_from_bytes, data)})


def saved(value: object, new: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [
    lambda: pickle.dumps(Calls(mark)),
    lambda: saved(Calls(mark), new=False),
    lambda: saved(Calls(mark), new=True),
    lambda: saved({"weight": torch.zeros(2)}, new=True),
    lambda: b"",
], ids=["pickle", "torch.save", "torch.save, ZIP", "a ZIP without harm", "nothing"])  # fmt: skip
def test_within_a_storage(data: Callable[[], bytes], marker: Path, tmp_path: Path) -> None:
    """What `_load_from_bytes` gets is torch.save's, which can hold any pickle."""
    refused(storage(data()), tmp_path)


GLOBAL_TRICKS = {
    "a known name from elsewhere": b"cevil\nGenerator\n.",
    "a known name, deeper": b"ctorch_utils.persistence\nos.system\n.",
    "its globals": b"ctraining.networks\nGenerator.__init__.__globals__\n.",
    "a space": b"cos system\nx\n.",
    "on the stack": b"\x8c\x02os\x8c\x06system\x93.",
    "on the stack, dotted": b"\x8c\x05torch\x8c\x09os.system\x93.",
    "escape codes": b"c\x1b[31mevil\x07\nx\r\n.",
    "no text on the stack": b"K\x01K\x02\x93.",
    "not ASCII": "cévil\nx\n.".encode(),
}


@pytest.mark.parametrize("data", GLOBAL_TRICKS.values(), ids=GLOBAL_TRICKS)
def test_names_from_elsewhere(data: bytes, tmp_path: Path) -> None:
    refused(data, tmp_path)


OPERATIONS = {
    "INST": b"(Nios\nsystem\n.",
    "OBJ": b"(cR3GAN.Networks\nConvolution\nNo.",
    "PERSID": b"Pthing\n.",
    "BINPERSID": b"K\x01Q.",
    "EXT1": b"\x82\x01.",
    "EXT2": b"\x83\x01\x00.",
    "EXT4": b"\x84\x01\x00\x00\x00.",
    "NEXT_BUFFER": b"\x97.",
    "READONLY_BUFFER": b"K\x01\x98.",
    "NEWOBJ_EX": b"cbuiltins\nset\n)}\x92.",
    "BYTEARRAY8": b"\x96" + struct.pack("<Q", 1) + b"x.",
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_that_no_file_needs(name: str, tmp_path: Path) -> None:
    message = refused(OPERATIONS[name], tmp_path)
    assert f"operation {name}," in message or "a persistent id" in message


def test_extension_codes_of_this_process(marker: Path, tmp_path: Path) -> None:
    """A registered code stands for a function without naming it."""
    copyreg.add_extension("tests.interop.test_malicious", "mark", 77)
    try:
        data = pickle.dumps(Calls(mark), 2)
        assert b"\x82M" in data
        assert "EXT1" in refused(data, tmp_path)
    finally:
        copyreg.remove_extension("tests.interop.test_malicious", "mark", 77)


NONSENSE = {
    "calls a text": b"X\x01\x00\x00\x00a)R.",
    "calls a class with a number": b"cbuiltins\nset\nK\x01R.",
    "builds a number": b"K\x01}b.",
    "attributes that are no dict": b"cR3GAN.Networks\nConvolution\n)\x81K\x01b.",
    "appends to a number": b"K\x01K\x02a.",
    "stores in a list": b"]K\x01K\x02s.",
    "an odd number of items": b"}(K\x01u.",
    "a key that is a tuple": b"})K\x01s.",
    "a set of numbers": b"\x8f(K\x01\x90.",
    "what was never stored": b"h\x05.",
    "a mark too many": b"t.",
    "a value too many": b"0.",
    "beyond a mark": b"K\x01(a.",
    "nothing at the end": b"N0.",
    "a negative place": b"Np-1\n.",
    "storages are not called": b"ctorch\nfloat32\n)R.",
    "a set of lists": b"cbuiltins\nset\n(](]etR.",
    "a dict of numbers": b"ccollections\nOrderedDict\nK\x01\x85R.",
    "a scalar of objects": b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.",
    "only a number": b"K\x01.",
    "an empty dict": b"}.",
    "a list": b"].",
    "a long number": b"L" + b"9" * 10_000 + b"L\n.",
    "cyclic": b"}q\x00X\x05\x00\x00\x00G_emah\x00s.",
    "an unknown operation": b"\xff.",
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
def test_nonsense(data: bytes, tmp_path: Path) -> None:
    refused(data, tmp_path)


BOMBS = {
    "a place far away": b"Nr\xff\xff\xff\x7fK\x01.",
    "bytes that are not there": b"\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "text that is not there": b"\x8d" + struct.pack("<Q", 2**40) + b"x.",
    "a frame that is not there": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "a number that is not there": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"1.",
    "a negative length": b"\x8b" + struct.pack("<i", -1) + b"1.",
    "many dicts": b"}" * 3_000 + b".",
    "copies of a list": b"(" + b"N" * 900 + b"lq\x00" + b"cbuiltins\nset\nh\x00\x85R" * 50 + b".",
    "copies of a dict": (
        b"}q\x00(" + b"".join(b"X\x02\x00\x00\x00%02dN" % i for i in range(90)) + b"u"
        + b"ccollections\nOrderedDict\nh\x00\x85R" * 300 + b"."
    ),
    "nested": b"]" * 900 + b"a" * 899 + b".",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_memory_stays_small(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles.Budget, "__init__", lambda self: setattr(self, "left", 2_000))
    tracemalloc.start()
    try:
        refused(BOMBS[name], tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_deep_nesting_does_not_end_the_process(tmp_path: Path) -> None:
    """300,000 lists in each other: too deep for the stack of whoever would look into them."""
    data = b"}X\x05\x00\x00\x00G_ema" + b"]" * 300_000 + b"a" * 299_999 + b"s."
    assert "no network G_ema" in refused(data, tmp_path)


def tensor_file(
    count: int, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, says: int = 0
) -> bytes:
    """A file with a tensor of `count` values, whose storage says that it has `says`."""
    data = saved(torch.arange(count, dtype=torch.float32).untyped_storage(), new=False)
    if says:
        data = data.replace(struct.pack("<q", 4 * count), struct.pack("<q", says))
    tensor = Calls(
        torch._utils._rebuild_tensor_v2, Calls(torch.storage._load_from_bytes, data), offset,
        shape, strides, False, OrderedDict(),
    )  # fmt: skip
    return pickle.dumps({"G_ema": tensor})


@pytest.mark.parametrize("data", [
    tensor_file(4, (2**20, 2**20), (0, 0)),
    tensor_file(4, (2, 2), (2, 2)),
    tensor_file(4, (4,), (1,), offset=1),
    tensor_file(4, (4,), (1,), offset=-1),
    tensor_file(4, (-1, -4), (1, 1)),
    tensor_file(4, (2**62, 2**62), (1, 1)),
    tensor_file(4, (4,), (1, 1)),
    tensor_file(4, (1,) * 60, (1,) * 60),
    tensor_file(4, (4,), (1,), says=2**40),
], ids=["expanded", "too long", "beyond", "before", "negative", "overflowing", "strides",
        "dimensions", "says more"])  # fmt: skip
def test_tensors_outside_of_their_storage(data: bytes, tmp_path: Path) -> None:
    message = refused(data.replace(b"UntypedStorage", b"FloatStorage"), tmp_path)
    assert "tensor" in message


def test_modules_in_themselves(tmp_path: Path) -> None:
    """A module that is its own child, and one whose children double with every level."""
    with stand_ins():
        module = Persistent("Generator")
        wide = module
        for _ in range(60):
            outer = Persistent("Generator")
            outer._modules.update(a=wide, b=wide)
            wide = outer
        data = pickle.dumps({"G_ema": wide})
    assert "more modules" in refused(data, tmp_path)
    own = (
        b"cR3GAN.Networks\nConvolution\n)\x81q\x00}(X\x0b\x00\x00\x00_parameters}"
        b"X\x08\x00\x00\x00_buffers}X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00ah\x00sub"
    )
    data = b"}X\x05\x00\x00\x00G_ema" + own + b"s."
    assert "more modules" in refused(data, tmp_path)


def other_files() -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "text")
    from safetensors.torch import save

    with stand_ins():
        network = sys.modules["dnnlib.tflib.network"].Network
        tensorflow = pickle.dumps((network(), network(), network()))
    return {
        "empty": b"",
        "PNG": b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
        "JPEG": b"\xff\xd8\xff\xe0" + b"\0" * 50,
        "ZIP": archive.getvalue(),
        "safetensors": save({"a": torch.zeros(3)}),
        "gzip": b"\x1f\x8b\x08" + b"\0" * 50,
        "web page": b"<!DOCTYPE html><html>Quota exceeded</html>",
        "web page after a line feed": b"\n<!doctype html>\n",
        "array": b"\x93NUMPY\x01\x00" + b"\0" * 50,
        "Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
        "text": b"hello, world\n",
        "zeros": b"\0" * 100,
        "TensorFlow": tensorflow,
        "state dict": pickle.dumps({"weight": [1.0]}),
        "another class": pickle.dumps({"G_ema": OrderedDict(a=np.zeros(3))}),
        "torch.save": saved({"a": torch.zeros(2)}, new=False),
    }


SAYS = {
    "empty": "empty", "PNG": "PNG", "JPEG": "JPEG", "ZIP": "ZIP", "safetensors": "safetensors",
    "gzip": "unpack it", "web page": "web page",
    "web page after a line feed": "web page", "array": "NumPy", "Git LFS": "git lfs pull",
    "text": "no pickle",
    "zeros": "no pickle", "TensorFlow": "legacy.py --source", "state dict": "weight",
    "another class": "G_ema", "torch.save": "not a dict of networks",
}  # fmt: skip


@pytest.mark.parametrize("kind", SAYS)
def test_files_of_another_kind(kind: str, tmp_path: Path) -> None:
    assert SAYS[kind] in refused(other_files()[kind], tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.9, 0.9999])
def test_truncated(share: float, tmp_path: Path) -> None:
    data = stylegan_file("stylegan2_32.safetensors")
    assert "cut off" in refused(data[: int(share * len(data))], tmp_path)
    assert "cut off" in refused(data[:-1], tmp_path)


@pytest.mark.parametrize("path", ["absent.pkl", "."])
def test_no_file(path: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"Give the \.pkl"):
        import_official(tmp_path / path, tmp_path / "run")


def test_what_is_there_instead_of_a_file(tmp_path: Path) -> None:
    run, pipe = tmp_path / "run", tmp_path / "pipe"
    run.mkdir()
    (run / "config.yaml").touch()
    os.mkfifo(pipe)
    address = Path("https://example.org/ffhq.pkl")
    for path, says in (
        (tmp_path, "is a folder"), (run, "a run of ganvas already"), (pipe, "a device or a pipe"),
        (address, "download it first"), (tmp_path / "absent.pkl", "does not exist"),
    ):  # fmt: skip
        with pytest.raises(RunError, match=says):
            import_official(path, tmp_path / "out")


def small() -> bytes:
    """A file with something of each kind, which is no network."""
    with stand_ins():
        module = Persistent("Generator")
        module.register_parameter("weight", torch.nn.Parameter(torch.zeros(3)))
        module.more = Persistent("SynthesisLayer")
        items = {"G_ema": module, "a": {"b"}, "c": OrderedDict(d=1.5), "f": [None, True, (1, b"g")]}
        return pickle.dumps(items)


SMALL = small()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1))
def test_whatever_is_changed_is_explained(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL)
    for place, byte in changes:
        data[place] = byte
    refused(bytes(data), tmp_path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_explained(tmp_path: Path, data: bytes) -> None:
    refused(data, tmp_path)
