"""The U-Net of pix2pix."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas.errors import ConfigError
from ganvas.networks.unet import UNet, depth_of, unet
from tests.networks.contract import count


def uniform(*shape: int) -> Tensor:
    """The noise of two pictures, always the same."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, *shape, generator=generator)


def test_parameters_are_those_of_the_paper() -> None:
    """54.414 M: 256 px, three channels, width 64."""
    assert count(lambda: unet((3, 256, 256), (3, 256, 256))) == 54_413_955


@pytest.mark.parametrize(
    ("size", "depth"),
    [((256, 256), 8), ((128, 128), 7), ((64, 64), 6), ((96, 96), 5), ((48, 80), 4), ((8, 8), 3)],
)
def test_depth_of_a_size(size: tuple[int, int], depth: int) -> None:
    assert depth_of(*size) == depth


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 3), (3, 1), (3, 3), (4, 3)])
@pytest.mark.parametrize("size", [(16, 16), (16, 32)])
def test_shapes_and_range(inputs: int, outputs: int, size: tuple[int, int]) -> None:
    network = unet((inputs, *size), (outputs, *size), width=4)
    images = network(torch.rand(2, inputs, *size) * 2 - 1, uniform)
    assert images.shape == (2, outputs, *size)
    assert images.abs().max() <= 1
    assert images.std() > 1e-3


def test_a_picture_does_not_depend_on_its_batch() -> None:
    network = UNet(3, 3, width=8, depth=4)
    x = torch.rand(2, 3, 16, 16)
    together = network(x)
    torch.testing.assert_close(network(x[1:]), together[1:], rtol=1e-4, atol=1e-5)
    network.eval()
    torch.testing.assert_close(network(x), together, rtol=0, atol=0)


def test_is_what_plain_layers_compute() -> None:
    """As the paper lists them: activations before convolutions, norms behind, joined on the way."""
    network = UNet(3, 2, width=4, depth=4)
    x = torch.rand(2, 3, 32, 48) * 2 - 1
    y = F.conv2d(x, network.down[0].weight, stride=2, padding=1)  # type: ignore[arg-type]
    around = [y]
    for i, layer in enumerate(network.down[1:]):
        y = F.conv2d(F.leaky_relu(y, 0.2), layer.weight, stride=2, padding=1)  # type: ignore[arg-type]
        if i < 2:  # none at the innermost layer
            norm = network.down_norms[i]
            y = F.instance_norm(y, weight=norm.weight, bias=norm.bias)  # type: ignore[arg-type]
            around.append(y)
    for i, (layer, norm) in enumerate(zip(network.up, network.up_norms, strict=False)):
        y = F.conv_transpose2d(F.relu(y), layer.weight, stride=2, padding=1)  # type: ignore[arg-type]
        y = F.instance_norm(y, weight=norm.weight, bias=norm.bias)  # type: ignore[arg-type]
        kept = uniform(*y.shape[1:]) >= 0.5
        y = torch.cat([y * kept * 2 if i < 3 else y, around.pop()], 1)
    y = F.conv_transpose2d(F.relu(y), network.up[-1].weight, stride=2, padding=1)  # type: ignore[arg-type]
    expected = torch.tanh(y + network.bias.bias[:, None, None])
    torch.testing.assert_close(network(x, uniform), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_maps_and_their_gradients_lie_channels_last(count: int) -> None:
    """Also those of a single picture, which can pass for more than one layout."""
    network = UNet(3, 3, width=8, depth=4).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    layouts: list[bool] = []

    def look(*tensors: Tensor) -> None:
        layouts.extend(
            x.stride() == torch.empty_like(x, memory_format=torch.channels_last).stride()
            for x in tensors
        )

    for layer in [*network.down[1:], *network.up]:
        layer.register_forward_pre_hook(lambda _, inputs: look(*inputs))
    for norm in [*network.down_norms, *network.up_norms]:
        norm.register_full_backward_hook(lambda _, back, forth: look(*forth))
    images = torch.rand(count, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        network(images).abs().mean().backward()
    assert len(layouts) == 7 + 5
    assert all(layouts)


def test_noise_is_the_callers() -> None:
    """The same numbers give the same picture, others another, none the one without dropout."""
    network = UNet(3, 3, width=8, depth=4)
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(network(x, uniform), network(x, uniform))
    other = network(x, lambda *shape: 1 - uniform(*shape))
    assert not torch.allclose(network(x, uniform), other)
    kept = network(x, lambda *shape: torch.full((2, *shape), 0.5))  # 0.5 is not lost at 0.5
    assert not torch.allclose(kept, network(x))  # what is kept is scaled
    network.dropout = 0.0
    torch.testing.assert_close(network(x, uniform), network(x))


def test_half_of_the_features_are_lost_and_the_rest_doubled() -> None:
    network = UNet(3, 3, width=8, depth=4)
    x = torch.ones(2, 64, 8, 8)
    lost = network._drop(x, uniform)
    assert set(lost.unique().tolist()) == {0.0, 2.0}
    assert 0.9 < lost.mean() < 1.1


@pytest.mark.parametrize("channels_last", [False, True])
def test_bfloat16_is_near_float32(channels_last: bool) -> None:
    network = UNet(3, 3, width=16, depth=4)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    expected = network(x)
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(x).float()
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_every_weight_learns() -> None:
    network = UNet(3, 3, width=4, depth=4)
    output = network(torch.rand(2, 3, 32, 32), uniform)
    (output * torch.randn_like(output)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"64x64 px and their targets 32x32 px"):
        unet((3, 64, 64), (3, 32, 32))
