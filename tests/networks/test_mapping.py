"""The mapping network and truncation, by their definitions."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.networks.layers.equalised import EqualisedConv2d, EqualisedLinear, rectify
from ganvas.networks.layers.mapping import ClassMapping, Mapping, truncate


def test_the_equations() -> None:
    """Weights are stored 100 times as large as they would be, and count a hundredth."""
    mapping = Mapping(8, layers=2)
    z = torch.randn(4, 8)
    x = z / z.square().mean(1, keepdim=True).sqrt()
    for layer in mapping.layers:
        assert isinstance(layer, EqualisedLinear)
        assert layer.bias is not None
        torch.nn.init.normal_(layer.bias)
        x = F.linear(x, 0.01 * layer.weight / 8**0.5, 0.01 * layer.bias)
        x = 2**0.5 * F.leaky_relu(x, 0.2)
    torch.testing.assert_close(mapping(z), x)
    torch.testing.assert_close(mapping(3 * z), x)


def test_scale_is_kept() -> None:
    w = Mapping(256)(torch.randn(64, 256))
    assert 0.5 < w.square().mean() < 2


def test_classes_move_w() -> None:
    mapping = Mapping(8, layers=2, classes=3)
    z = torch.randn(1, 8).expand(3, -1)
    w = mapping(z, torch.arange(3))
    assert (w[0] - w[1]).abs().max() > 0.01
    with pytest.raises(ValueError, match="needs labels"):
        mapping(z)
    y = ClassMapping(8, 3, layers=2)(torch.tensor([0, 1, 0]))
    assert torch.equal(y[0], y[2])
    assert not torch.allclose(y[0], y[1])


def test_float32_under_autocast() -> None:
    mapping = Mapping(16, classes=2)
    z, labels = torch.randn(3, 16), torch.tensor([0, 1, 1])
    with torch.autocast("cpu", torch.bfloat16):
        w = mapping(z, labels)
    assert w.dtype == torch.float32
    assert torch.equal(w, mapping(z, labels))


def test_the_centre_is_unknown_at_first() -> None:
    mapping = Mapping(8)
    assert not mapping.is_centre_known()
    mapping.centre.fill_(0.5)
    assert mapping.is_centre_known()
    other = Mapping(8)
    other.load_state_dict(mapping.state_dict())
    assert other.is_centre_known()


@pytest.mark.parametrize("cutoff", [None, 0, 2, 5])
def test_truncation(cutoff: int | None) -> None:
    ws, centre = torch.randn(3, 4, 8), torch.randn(8)
    found = truncate(ws, centre, 0.3, cutoff)
    end = 4 if cutoff is None else cutoff
    expected: Tensor = centre + 0.3 * (ws - centre)
    torch.testing.assert_close(found[:, :end], expected[:, :end])
    assert torch.equal(found[:, end:], ws[:, end:])


def test_the_ends_of_truncation() -> None:
    w, centre = torch.randn(3, 8), torch.randn(8)
    torch.testing.assert_close(truncate(w, centre, 1), w)
    torch.testing.assert_close(truncate(w, centre, 0), centre.expand(3, 8))
    torch.testing.assert_close(truncate(w, centre, -1), 2 * centre - w)


@pytest.mark.parametrize("activate", [False, True])
def test_equalised_convolutions(activate: bool) -> None:
    layer = EqualisedConv2d(6, 5, 3, activate=activate)
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 6, 4, 4)
    expected = F.conv2d(x, layer.weight / 54**0.5, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), rectify(expected) if activate else expected)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), layer(x), atol=0.05, rtol=0.05)


def test_a_bias_begins_where_it_is_asked_to() -> None:
    layer = EqualisedLinear(3, 2, bias=1.0, learning_rate=0.1)
    torch.testing.assert_close(layer(torch.zeros(1, 3)), torch.ones(1, 2))
    assert EqualisedLinear(3, 2, bias=None).bias is None
