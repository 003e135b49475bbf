"""Files of the structure that the authors' trainings write, made without their code.

Modules of the test's own stand in for `torch_utils.persistence` and the like while a file is
pickled; what they are in real files, code that runs when loaded, is a text here.
"""

import contextlib
import json
import pickle
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"

SOURCE = """# Copyright (c) 2021, SOMEBODY.  All rights reserved.
#
# Any use without an express license agreement is prohibited.

raise SystemExit("the text of a module was run")
"""
_BUFFERS = {
    *("resample_filter", "noise_const", "w_avg", "Kernel", "up_filter", "down_filter"),
    *("magnitude_ema", "transform", "freqs", "phases"),
}
TRAINING_SET = {"class_name": "training.dataset.ImageFolderDataset", "path": "/a/b.zip", "xflip": 0}


class Persistent(nn.Module):
    """Pickles itself as the authors' decorator makes modules do it."""

    def __init__(self, class_name: str) -> None:
        super().__init__()
        self.class_name = class_name
        self.weight_gain = np.float64(0.5)  # what real modules have, too
        self.in_size = np.broadcast_to(np.asarray(4), [2])

    def __reduce__(self) -> tuple[object, ...]:
        meta = {
            "type": "class", "version": 6, "module_src": SOURCE, "class_name": self.class_name,
            "state": self.__dict__,
        }  # fmt: skip
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


def golden(name: str) -> tuple[dict[str, Tensor], dict[str, dict[str, object]]]:
    """The tensors of a recorded file and the settings of its networks."""
    if not (GOLDEN / name).exists():
        pytest.skip("the numbers recorded from the authors' code are not here (shared/golden)")
    with safe_open(GOLDEN / name, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        (text,) = file.metadata().values()
    return tensors, json.loads(text)


def part(tensors: Mapping[str, Tensor], of: str) -> dict[str, Tensor]:
    """The state of one network."""
    return {name[2:]: tensor for name, tensor in tensors.items() if name.startswith(f"{of}.")}


def persistent(
    state: Mapping[str, Tensor], class_name: str, settings: Mapping[str, object]
) -> nn.Module:
    """A StyleGAN network as its file describes it."""
    module = _tree(state, lambda path: Persistent("SynthesisLayer" if path else class_name))
    vars(module)["_init_args"] = ()
    vars(module)["_init_kwargs"] = sys.modules["dnnlib.util"].EasyDict(settings)
    return module


def r3gan(state: Mapping[str, Tensor], class_name: str) -> nn.Module:
    """An R3GAN network, of classes that are named rather than written out."""

    def make(path: str) -> nn.Module:
        if path.endswith("Layers"):
            return nn.ModuleList()
        module = "training.networks" if not path else "R3GAN.Networks"
        made: nn.Module = getattr(sys.modules[module], "Convolution" if path else class_name)()
        vars(made)["DataType"] = torch.bfloat16
        return made

    return _tree({f"Model.{name}": tensor for name, tensor in state.items()}, make)


def _tree(state: Mapping[str, Tensor], make: Callable[[str], nn.Module]) -> nn.Module:
    """Modules within each other, each made of its path, with the tensors of the dotted names."""
    root = make("")
    for name, tensor in state.items():
        module, path = root, ""
        *parents, last = name.split(".")
        for parent in parents:
            path = f"{path}.{parent}" if path else parent
            if not hasattr(module, parent):
                module.add_module(parent, make(path))
            module = module.get_submodule(parent)
        if last in _BUFFERS:
            module.register_buffer(last, tensor)
        else:
            module.register_parameter(last, nn.Parameter(tensor, requires_grad=False))
    return root


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """Within, the authors' modules can be named."""

    def _reconstruct_persistent_obj(meta: object) -> object:
        raise AssertionError("a persistent object was reconstructed")

    def class_of(module: str, name: str, *bases: type) -> type:
        return type(name, bases, {"__module__": module})

    members: dict[str, dict[str, object]] = {
        "torch_utils": {},
        "torch_utils.persistence": {"_reconstruct_persistent_obj": _reconstruct_persistent_obj},
        "dnnlib": {},
        "dnnlib.util": {"EasyDict": class_of("dnnlib.util", "EasyDict", dict)},
        "dnnlib.tflib": {},
        "dnnlib.tflib.network": {"Network": class_of("dnnlib.tflib.network", "Network", object)},
        "training": {},
        "training.networks": {
            name: class_of("training.networks", name, nn.Module)
            for name in ("Generator", "Discriminator", "Elsewhere")
        },
        "R3GAN": {},
        "R3GAN.Networks": {"Convolution": class_of("R3GAN.Networks", "Convolution", nn.Module)},
    }
    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    before = {name: sys.modules.get(name) for name in members}
    for name, contents in members.items():
        sys.modules[name] = module = types.ModuleType(name)
        vars(module).update(contents)
    try:
        yield
    finally:
        for name, module_before in before.items():
            if module_before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module_before


def stylegan_file(
    name: str,
    protocol: int = 4,
    *,
    settings: Mapping[str, object] = MappingProxyType({}),
    discriminator_settings: Mapping[str, object] = MappingProxyType({}),
    content: Mapping[str, object] = MappingProxyType({}),
    discriminator_of: str | None = None,
) -> bytes:
    """A file of the networks of a recording; the discriminator can be another's.

    The G in training differs from G_ema in w_avg. Settings are added to those of the networks;
    `content` replaces items, None removes one.
    """
    tensors, about = golden(name)
    judge, about_judge = golden(discriminator_of or name)
    own = {k: v for k, v in about["G"].items() if k != "mapping_layers"}
    own["mapping_kwargs"] = {"num_layers": about["G"]["mapping_layers"]}
    with stand_ins():
        items: dict[str, object] = {"training_set_kwargs": TRAINING_SET, "augment_pipe": None}
        averaged = part(tensors, "G")
        raw = {**averaged, "mapping.w_avg": averaged["mapping.w_avg"] + 1}
        items["G"] = persistent(raw, "Generator", {**own, **settings})
        items["G_ema"] = persistent(averaged, "Generator", {**own, **settings})
        if "D" in about_judge:
            judged = {**about_judge["D"], **discriminator_settings}
            items["D"] = persistent(part(judge, "D"), "Discriminator", judged)
        items |= content
        return pickle.dumps({k: v for k, v in items.items() if v is not None}, protocol)


def r3gan_file(G: Mapping[str, Tensor], D: Mapping[str, Tensor]) -> bytes:
    """A file of R3GAN networks."""
    with stand_ins():
        content = {
            "G": r3gan(G, "Generator"), "D": r3gan(D, "Discriminator"),
            "G_ema": r3gan(G, "Generator"), "training_set_kwargs": TRAINING_SET,
        }  # fmt: skip
        return pickle.dumps(content)
