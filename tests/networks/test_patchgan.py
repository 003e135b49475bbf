"""The discriminator that looks at patches."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganvas.errors import ConfigError
from ganvas.losses.penalties import input_gradient
from ganvas.networks.patchgan import PatchGan, field, patchgan, smallest
from ganvas.networks.translator import Translator
from ganvas.networks.unet import UNet
from tests.networks.contract import count


@pytest.mark.parametrize(
    ("channels", "affine", "parameters"), [(6, True, 2_768_705), (3, False, 2_764_737)]
)
def test_parameters_are_those_of_the_papers(channels: int, affine: bool, parameters: int) -> None:
    """2.769 M on pairs (pix2pix), 2.765 M on pictures (CycleGAN)."""
    assert count(lambda: patchgan((channels, 256, 256), affine=affine)) == parameters


@pytest.mark.parametrize(("layers", "pixels"), [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_an_answer_depends_on_its_field(layers: int, pixels: int) -> None:
    """Exactly these pixels move an answer in the middle, with norms left out."""
    assert field(layers) == pixels
    network = PatchGan(1, 2, layers, affine=False)
    network.norms = torch.nn.ModuleList(torch.nn.Identity() for _ in network.norms)
    side = pixels + 4 * 2**layers
    x = torch.rand(1, 1, side, side, requires_grad=True)
    answers = network(x)
    middle = answers.shape[2] // 2
    (gradient,) = torch.autograd.grad(answers[0, 0, middle, middle], x)
    rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == pixels


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_shapes(layers: int, channels: int) -> None:
    """An answer less than halved pictures have pixels for each of the last two layers."""
    size = (smallest(layers), 2 * smallest(layers))
    network = patchgan((channels, *size), width=4, layers=layers, affine=True)
    answers = network(torch.rand(2, channels, *size))
    assert answers.shape == (2, 1, size[0] // 2**layers - 2, size[1] // 2**layers - 2)


@pytest.mark.parametrize("affine", [True, False])
def test_is_what_plain_layers_compute(affine: bool) -> None:
    network = PatchGan(3, 4, 2, affine=affine)
    x = torch.rand(2, 3, 32, 32)
    y = F.leaky_relu(F.conv2d(x, network.first.weight, network.first.bias, 2, 1), 0.2)
    for i, (layer, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
        stride = 2 if i < 1 else 1
        y = F.conv2d(y, layer.weight, None, stride, 1)  # type: ignore[arg-type]
        y = F.leaky_relu(F.instance_norm(y, weight=norm.weight, bias=norm.bias), 0.2)  # type: ignore[arg-type]
    expected = F.conv2d(y, network.head.weight, network.head.bias, 1, 1)
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)


def test_gradient_by_the_picture_can_be_differentiated() -> None:
    """What R1 needs: the gradient is autograd's, and has one by the weights."""
    network = PatchGan(3, 4, 2, affine=True)
    x = torch.rand(2, 3, 32, 32)
    found = input_gradient(network, x, None)
    again = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(again).sum(), again, create_graph=True)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    for gradient in (found, expected):
        (by_weight,) = torch.autograd.grad(gradient.square().sum(), network.first.weight)
        assert by_weight.abs().sum() > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own
@pytest.mark.parametrize("kind", ["patchgan", "unet", "translator"])
def test_can_be_traced_in_one_graph(kind: str) -> None:
    """By torch.compile, and computes the same."""
    torch.manual_seed(0)
    builders: dict[str, Callable[[], nn.Module]] = {
        "patchgan": lambda: PatchGan(3, 4, 2, affine=True),
        "unet": lambda: UNet(3, 3, 4, 3),
        "translator": lambda: Translator(3, 3, 4, 1),
    }
    network = builders[kind]()
    x, found = torch.rand(2, 3, 32, 32), []
    for way in (network, torch.compile(network, fullgraph=True, backend="aot_eager")):
        network.zero_grad()
        way(x).square().sum().backward()
        gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
        found.append(torch.cat(gradients))
    torch.compiler.reset()
    assert (found[1] - found[0]).norm() < 1e-4 * found[0].norm()


def test_penalty_in_bfloat16_is_near_float32() -> None:
    """R1 by the weights, through matrix products and their second derivatives."""
    torch.manual_seed(0)
    network = PatchGan(3, 16, 2, affine=True)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x, found = torch.rand(2, 3, 32, 32), []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            penalty = input_gradient(network, x, None).square().sum()
        by_weight = torch.autograd.grad(penalty, list(network.parameters()))
        found.append(torch.cat([g.flatten() for g in by_weight]))
    assert (found[1] - found[0]).norm() < 0.1 * found[0].norm()


def test_too_many_layers_for_the_picture_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"discriminator_layers to 2 \(patches of 34 px\)"):
        patchgan((3, 16, 64), layers=3, affine=True)
    with pytest.raises(ConfigError, match="pictures of 6 px or more"):
        patchgan((3, 4, 4), layers=1, affine=True)
