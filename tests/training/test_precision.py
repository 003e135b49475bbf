"""The answers to `auto`."""

import pytest
import torch
from torch import nn

from ganvas.errors import ConfigError
from ganvas.training import precision
from ganvas.training.precision import (
    autocast,
    resolve_compile,
    resolve_device,
    resolve_precision,
)

CPU = torch.device("cpu")
CONVOLUTIONAL = nn.Sequential(nn.Conv2d(1, 1, 1))


def test_a_device_that_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"training\.device is cuda.*training\.device=auto"):
        resolve_device("cuda")
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("has", [True, False])
def test_auto_takes_bfloat16_where_it_pays(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(precision, "_has_bfloat16", lambda device: has)
    expected = "bfloat16" if has else "float32"
    assert resolve_precision("auto", CPU, CONVOLUTIONAL) == expected
    assert resolve_precision("auto", CPU, nn.Linear(1, 1)) == "float32"
    assert resolve_precision("float32", CPU, CONVOLUTIONAL) == "float32"
    assert resolve_precision("bfloat16", CPU, nn.Linear(1, 1)) == "bfloat16"


def test_compiling_is_for_long_runs_on_a_gpu() -> None:
    cuda = torch.device("cuda")
    assert resolve_compile("auto", cuda, 10**8)
    assert not resolve_compile("auto", cuda, 10**5)
    assert not resolve_compile("auto", CPU, 10**8)
    assert resolve_compile(True, CPU, 1)
    assert not resolve_compile(False, cuda, 10**8)


def test_autocast_is_bfloat16_or_nothing() -> None:
    layer, inputs = nn.Linear(2, 2), torch.ones(1, 2)
    with autocast(CPU, "bfloat16"):
        assert layer(inputs).dtype == torch.bfloat16
    with autocast(CPU, "float32"):
        assert layer(inputs).dtype == torch.float32
