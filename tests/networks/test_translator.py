"""CycleGAN's residual translator."""

import pytest
import torch
import torch.nn.functional as F

from ganvas.errors import ConfigError
from ganvas.networks.layers.reflection import reflected
from ganvas.networks.translator import Translator, translator
from tests.networks.contract import count


@pytest.mark.parametrize(("blocks", "parameters"), [(9, 11_378_179), (6, 7_837_699)])
def test_parameters_are_those_of_the_paper(blocks: int, parameters: int) -> None:
    """11.378 M with nine blocks, 7.838 M with six; three channels, width 64."""
    assert count(lambda: translator((3, 256, 256), (3, 256, 256), blocks=blocks)) == parameters


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 3), (3, 1), (3, 3), (4, 3)])
@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_shapes_and_range(inputs: int, outputs: int, size: tuple[int, int]) -> None:
    network = translator((inputs, *size), (outputs, *size), width=4, blocks=1)
    images = network(torch.rand(2, inputs, *size) * 2 - 1)
    assert images.shape == (2, outputs, *size)
    assert images.abs().max() <= 1
    assert images.std() > 1e-3


def test_is_what_plain_layers_compute() -> None:
    """Convolution, instance norm and ReLU one by one, as the paper lists them."""
    network = Translator(3, 3, width=4, blocks=2)
    x = torch.rand(2, 3, 16, 16) * 2 - 1

    def pad(x: torch.Tensor, margin: int) -> torch.Tensor:
        return F.pad(x, (margin,) * 4, mode="reflect")

    y = F.relu(F.instance_norm(F.conv2d(pad(x, 3), network.enter.weight)))
    for layer in network.down:
        y = F.relu(F.instance_norm(F.conv2d(y, layer.weight, stride=2, padding=1)))  # type: ignore[arg-type]
    for block in network.blocks:
        z = F.relu(F.instance_norm(F.conv2d(pad(y, 1), block.first.weight)))  # type: ignore[union-attr,arg-type]
        y = y + F.instance_norm(F.conv2d(pad(z, 1), block.second.weight))  # type: ignore[union-attr,arg-type]
    for layer in network.up:
        z = F.conv_transpose2d(y, layer.weight, stride=2, padding=1, output_padding=1)  # type: ignore[arg-type]
        y = F.relu(F.instance_norm(z))
    expected = torch.tanh(F.conv2d(pad(y, 3), network.leave.weight, network.leave.bias))
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels_last", [False, True])
def test_bfloat16_is_near_float32(channels_last: bool) -> None:
    network = Translator(3, 3, width=16, blocks=2)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    expected = network(x)
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(x).float()
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_every_weight_learns_but_biases_that_a_norm_takes_out() -> None:
    network = Translator(3, 3, width=4, blocks=1)
    output = network(torch.rand(2, 3, 16, 16))
    (output * torch.randn_like(output)).sum().backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == {
        name for name, p in network.named_parameters() if name.endswith("bias")
        and not name.startswith("leave")
    }  # fmt: skip


@pytest.mark.parametrize(("before", "behind"), [(0, 3), (3, 0), (2, 2), (9, 7)])
@pytest.mark.parametrize("axis", [2, 3])
def test_reflected_mirrors_again_and_again(axis: int, before: int, behind: int) -> None:
    """As indices that go up and down: ... 2 1 0 1 2 3 2 1 ..."""
    x = torch.arange(4.0).view(1, 1, 4, 1).expand(1, 1, 4, 4)
    x = x if axis == 2 else x.transpose(2, 3)
    up_and_down = [abs((i + 3) % 6 - 3) for i in range(-before, 4 + behind)]
    found = reflected(x, axis, before, behind).select(5 - axis, 0).flatten()
    assert found.tolist() == [float(i) for i in up_and_down]


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ConfigError, match="these networks keep the size"):
        translator((3, 64, 64), (3, 32, 64))
