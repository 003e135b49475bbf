"""The classes that the authors' files are made of, as plain records.

The official trainings of StyleGAN2-ADA and StyleGAN3 (NVlabs, PyTorch) pickle dict(G, D, G_ema,
augment_pipe, training_set_kwargs). Each module in it is a call of
`torch_utils.persistence._reconstruct_persistent_obj` on dict(type, version, module_src, class_name,
state), where module_src is a whole Python file that the authors' loader would run: here it is a
text in which a notice is looked for. R3GAN's files name their classes instead. A module's state is
its attributes: `_parameters`, `_buffers`, `_modules`, `_init_kwargs` and others, not needed here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ganvas.interop.pickles import (
    Budget,
    Constructor,
    Record,
    RefusedError,
    Stream,
    read_pickle,
    shown,
)
from ganvas.interop.stored_tensors import StoredTensor, tensor_vocabulary

_PERSISTENT = {
    *("Generator", "MappingNetwork", "FullyConnectedLayer", "SynthesisNetwork", "SynthesisLayer"),
    *("SynthesisBlock", "ToRGBLayer", "Conv2dLayer", "SynthesisInput"),  # StyleGAN2 and 3
    *("Discriminator", "DiscriminatorBlock", "DiscriminatorEpilogue", "MinibatchStdLayer"),
    "AugmentPipe",
}
"""By name in their module_src."""

_R3GAN = (
    *("training.networks.Generator", "training.networks.Discriminator"),
    *("R3GAN.Networks.Generator", "R3GAN.Networks.Discriminator"),
    *("R3GAN.Networks.GeneratorStage", "R3GAN.Networks.DiscriminatorStage"),
    *("R3GAN.Networks.GenerativeBasis", "R3GAN.Networks.DiscriminativeBasis"),
    *("R3GAN.Networks.UpsampleLayer", "R3GAN.Networks.DownsampleLayer"),
    *("R3GAN.Networks.ResidualBlock", "R3GAN.Networks.Convolution"),
    *(f"R3GAN.FusedOperators.BiasedActivation{kind}" for kind in ("CUDA", "Reference")),
    *(
        f"R3GAN.Resamplers.Interpolative{which}sampler{kind}"
        for which in ("Up", "Down")
        for kind in ("CUDA", "Reference")
    ),
    *("torch.nn.modules.container.ModuleList", "torch.nn.modules.conv.Conv2d"),
    "torch.nn.modules.linear.Linear",
)
_ONLY_NAMED = ("torch.float32", "torch.float16", "torch.bfloat16", "numpy.ndarray")

TENSORFLOW = "dnnlib.tflib.network.Network"
"""What the networks are called in files of the TensorFlow trainings."""

_MOST_NAMES, _LONGEST_NAME, _MOST_SETTINGS = 20_000, 500, 1_000
_LONGEST_NOTICE = 1_500
_LONG_NUMBER = re.compile(r"\d{6}")
_SCALAR = re.compile(r"[<>|=]?[fiu][1248]|[<>|=]?b1", re.ASCII)


def read_official(stream: Stream) -> object:
    """The plain data of a file, with `Record`s for modules and `StoredTensor`s; see `read_pickle`.

    Raises RefusedError, which names the class where a file has one that is not the authors'.
    """
    budget = Budget()
    return read_pickle(stream, official_vocabulary(budget), budget)


def official_vocabulary(budget: Budget) -> dict[str, Constructor]:
    """All names that may occur in such a file."""
    return {
        **tensor_vocabulary(budget),
        **{name: _module_named(name) for name in _R3GAN},
        **dict.fromkeys(_ONLY_NAMED, _no_call),
        "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
        "collections.OrderedDict": _dict,
        "dnnlib.util.EasyDict": _dict,
        "builtins.set": _set,
        "numpy.dtype": _dtype,
        "numpy.core.multiarray.scalar": _scalar,
        "numpy._core.multiarray.scalar": _scalar,
        "numpy.core.multiarray._reconstruct": lambda arguments: Record("numpy.ndarray"),
        "numpy._core.multiarray._reconstruct": lambda arguments: Record("numpy.ndarray"),
        TENSORFLOW: _tensorflow,
    }


def _persistent(arguments: tuple[object, ...]) -> Record:
    match arguments:
        case ({"class_name": str(name), "state": dict(state), **rest},):
            pass
        case _:
            raise RefusedError("a module is not described as torch_utils.persistence does it")
    if name not in _PERSISTENT:
        raise RefusedError(
            f"it has a module of a class {shown(name)}, which is none of the networks of StyleGAN2 "
            "or StyleGAN3"
        )
    source = rest.get("module_src")
    return Record(name, _texts(state), source if isinstance(source, str) else "")


def _module_named(name: str) -> Constructor:
    def module(arguments: tuple[object, ...]) -> Record:
        if arguments:
            raise RefusedError(f"a {name} is described by a call, not by its attributes")
        return Record(name)

    return module


def _dict(arguments: tuple[object, ...]) -> dict[str, object]:
    match arguments:
        case ():
            return {}
        case (dict(items),):
            return _texts(items)
        case _:
            raise RefusedError("a dict is not described as Python does it")


def _set(arguments: tuple[object, ...]) -> set[str]:
    match arguments:
        case (list(values),) if all(isinstance(value, str) for value in values):
            return {str(value) for value in values}
        case _:
            raise RefusedError("a set does not hold texts")


def _dtype(arguments: tuple[object, ...]) -> Record:
    match arguments:
        case (str(code), *_) if _SCALAR.fullmatch(code):
            return Record("numpy.dtype", {"code": code})
        case _:
            raise RefusedError("it has numbers of a type that is no number's")


def _scalar(arguments: tuple[object, ...]) -> int | float | bool:
    match arguments:
        case (Record("numpy.dtype", {"code": str(code)}), bytes(data)) if _SCALAR.fullmatch(code):
            dtype = np.dtype(code)
        case _:
            raise RefusedError("a number is not described as NumPy does it")
    if len(data) != dtype.itemsize:
        raise RefusedError("a number has too many or too few bytes")
    value: int | float | bool = np.frombuffer(data, dtype)[0].item()
    return value


def _tensorflow(arguments: tuple[object, ...]) -> object:
    raise RefusedError(
        "it was written by one of the TensorFlow trainings (StyleGAN, StyleGAN2, StyleGAN2-ADA of "
        "2020). Convert it first, where you trust it, with the legacy.py of the authors' PyTorch "
        "code: python legacy.py --source OLD.pkl --dest NEW.pkl; then import NEW.pkl"
    )


def _no_call(arguments: tuple[object, ...]) -> object:
    raise RefusedError("it calls a type that is only to be named")


def _texts(items: Mapping[object, object]) -> dict[str, object]:
    return {key: value for key, value in items.items() if isinstance(key, str)}


@dataclass(frozen=True)
class Network:
    """A network of a file: its tensors by official names, its settings, the notice it carries."""

    kind: str
    state: dict[str, StoredTensor]
    settings: dict[str, object]
    """The arguments it was made with, the nested ones among them; none where the file has none."""
    notice: str

    def copied(self) -> dict[str, Tensor]:
        """Its tensors, float32."""
        return {name: tensor.copy().float() for name, tensor in self.state.items()}


def network(module: Record) -> Network:
    """A network from the record of its outermost module.

    Raises RefusedError where modules are too many or too deep, or tensors are empty or shared.
    """
    state = dict(_tensors(module))
    if not all(tensor.count for tensor in state.values()):
        raise RefusedError("one of its networks has a tensor without values")
    data = {id(tensor.storage.data): len(tensor.storage.data) for tensor in state.values()}
    if sum(tensor.size for tensor in state.values()) > sum(data.values()):
        raise RefusedError("one of its networks has tensors that share their values")
    arguments = module.state.get("_init_kwargs")
    settings = dict(_flat(arguments)) if isinstance(arguments, dict) else {}
    return Network(module.kind, state, settings, notice_in(module.source))


def _tensors(module: Record) -> Iterator[tuple[str, StoredTensor]]:
    """The tensors of a module and those within it, by dotted names.

    What is shared in a file, or contains itself, is met again and again: hence the limits.
    """
    pending, met = [("", module)], 0
    while pending:
        prefix, module = pending.pop()
        passing = module.state.get("_non_persistent_buffers_set")
        for name, member in _members(module):
            met += 1
            if met > _MOST_NAMES or len(prefix) > _LONGEST_NAME:
                raise RefusedError("its networks have more modules, or deeper ones, than any")
            if _LONG_NUMBER.search(name):
                raise RefusedError(f"one of its modules has a {shown(name)}, which none has")
            if isinstance(member, Record):
                pending.append((f"{prefix}{name}.", member))
            elif not (isinstance(passing, set) and name in passing):
                yield prefix + name, member


def _members(module: Record) -> Iterator[tuple[str, StoredTensor | Record]]:
    """The tensors and modules of a module; None stands for what it does without."""
    for kind, expected in (
        ("_parameters", StoredTensor), ("_buffers", StoredTensor), ("_modules", Record),
    ):  # fmt: skip
        members = module.state.get(kind)
        if not isinstance(members, dict):
            raise RefusedError(f"a module of class {shown(module.kind)} has no {kind}")
        for name, member in members.items():
            if isinstance(member, expected):
                yield name, member
            elif member is not None:
                raise RefusedError(f"a module of class {shown(module.kind)} has odd {kind}")


def _flat(arguments: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Settings, those of nested groups among them."""
    pending, met = [arguments], 0
    while pending:
        for name, value in pending.pop().items():
            met += 1
            if met > _MOST_SETTINGS:
                raise RefusedError("one of its networks has more settings than any")
            if isinstance(value, dict):
                pending.append(value)
            else:
                yield name, value


def notice_in(source: str) -> str:
    """The notice at the head of a program text: its first comment, where that is about rights."""
    lines = []
    for line in source[: 4 * _LONGEST_NOTICE].splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.strip("#").strip())
    text = printable(" ".join(lines))
    return text if re.search("copyright|licen[cs]e", text, re.IGNORECASE) else ""


def printable(text: str) -> str:
    """A text without control characters, not too long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST_NOTICE]
