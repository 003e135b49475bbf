import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganvas.networks.layers.minibatch import Minibatch
from ganvas.networks.layers.normalisation import Normalisation
from ganvas.networks.layers.residual import (
    AveragedConvolution,
    DiscriminatorBlock,
    GeneratorBlock,
    RepeatedConvolution,
)
from ganvas.networks.resnet import Discriminator, Generator
from tests.networks.contract import (
    LATENT,
    N,
    check_copies,
    check_discriminator,
    check_every_parameter_learns,
    check_generator,
    check_penalty,
    count,
    labels_for,
)

SHAPES = [(3, 8, 8), (1, 16, 16), (4, 16, 24), (1, 28, 28), (3, 32, 32), (3, 48, 48), (3, 64, 96)]
NORMS: list[Normalisation] = ["none", "batch", "layer", "spectral"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [0, 2])
def test_every_size(shape: tuple[int, int, int], classes: int) -> None:
    torch.manual_seed(0)
    check_generator(Generator(LATENT, shape, 4, classes), shape, classes)
    check_discriminator(Discriminator(shape, 4, classes), shape, classes)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [0, 2])
def test_every_norm(norm: Normalisation, classes: int) -> None:
    torch.manual_seed(0)
    shape = (3, 16, 16)
    network = Discriminator(shape, 8, classes, norm=norm)
    check_penalty(network, shape, classes)
    check_every_parameter_learns(network, torch.randn(N, *shape), labels_for(classes))
    check_copies(
        lambda: Discriminator(shape, 4, classes, norm=norm),
        torch.randn(N, *shape),
        labels_for(classes),
    )
    kinds = {type(module) for module in network.modules()}
    assert any(issubclass(kind, nn.BatchNorm2d) for kind in kinds) == (norm == "batch")
    assert (nn.GroupNorm in kinds) == (norm == "layer")
    normalised = {name for name, _ in network.named_parameters() if "original" in name}
    weights = {n for n, p in network.named_parameters() if p.ndim > 1}
    assert normalised == (weights if norm == "spectral" else set())


@pytest.mark.parametrize("minibatch", ["discrimination", "stddev"])
def test_looks_across_the_batch(minibatch: Minibatch) -> None:
    shape = (3, 16, 16)
    network = Discriminator(shape, 8, 2, minibatch=minibatch)
    x, labels = torch.randn(N, *shape), labels_for(2)
    assert labels is not None
    assert not torch.allclose(network(x, labels)[:1], network(x[:1], labels[:1]))
    check_every_parameter_learns(network, x, labels)


@pytest.mark.parametrize("classes", [0, 2])
def test_generator_learns_and_copies(classes: int) -> None:
    z, labels = torch.randn(N, LATENT), labels_for(classes)
    check_every_parameter_learns(Generator(LATENT, (3, 16, 16), 8, classes), z, labels)
    check_copies(lambda: Generator(LATENT, (3, 16, 16), 4, classes), z, labels)


def test_several_outputs() -> None:
    network = Discriminator((3, 16, 16), 4, classes=2, outputs=5)
    assert network(torch.randn(N, 3, 16, 16), labels_for(2)).shape == (N, 5)


def test_parameters_of_the_papers_networks() -> None:
    """By hand from the tables: 128 * 128 * 9 + 128 = 147,584 in a 3 x 3 convolution, and so on."""
    block = 2 * 147_584 + 16_512 + 2 * 2 * 128  # two 3 x 3, the 1 x 1 of the skip, two norms
    wgan_gp = 129 * 2048 + 3 * block + 2 * 128 + 3 * (128 * 9 + 1)
    assert count(lambda: Generator(128, (3, 32, 32), 128)) == wgan_gp == 1_204_483
    first, halving, plain = 3_584 + 147_584 + 512, 2 * 147_584 + 16_512, 2 * 147_584
    critic = first + halving + 2 * plain + 129
    assert count(lambda: Discriminator((3, 32, 32), 128)) == critic == 1_053_825
    # SNGAN has the same discriminator, and a generator of 256 channels.
    assert count(lambda: Discriminator((3, 32, 32), 128, norm="spectral")) == critic
    assert count(lambda: Generator(128, (3, 32, 32), 256)) == 4_276_739


def channels(network: nn.Module) -> list[tuple[int, int]]:
    blocks = [m for m in network.modules() if isinstance(m, GeneratorBlock | DiscriminatorBlock)]
    return [(block.conv1.in_channels, block.conv2.out_channels) for block in blocks]


def test_channels_of_the_papers_tables() -> None:
    """Miyato et al. 2018, tables 5 (48 px) and 6 (128 px)."""
    with torch.device("meta"):
        G48, D48 = Generator(128, (3, 48, 48), 64), Discriminator((3, 48, 48), 64)
        G128, D128 = Generator(128, (3, 128, 128), 64), Discriminator((3, 128, 128), 64)
    assert channels(G48) == [(512, 256), (256, 128), (128, 64)]
    assert G48.grid == (512, 6, 6)
    assert channels(D48) == [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]
    assert [m.halve for m in D48.modules() if isinstance(m, DiscriminatorBlock)] == [True] * 4 + [
        False
    ]
    assert channels(G128) == [(1024, 1024), (1024, 512), (512, 256), (256, 128), (128, 64)]
    assert channels(D128) == [
        (3, 64), (64, 128), (128, 256), (256, 512), (512, 1024), (1024, 1024),
    ]  # fmt: skip


def test_weights_are_drawn_as_in_the_papers() -> None:
    torch.manual_seed(0)
    network = Discriminator((3, 32, 32), 64)
    block = network.blocks[1]
    assert isinstance(block, DiscriminatorBlock)
    glorot = (2 / (2 * 64 * 9)) ** 0.5
    assert block.conv1.weight.std().item() == pytest.approx(2**0.5 * glorot, rel=0.02)
    assert block.conv1.weight.abs().max() <= 2**0.5 * glorot * 3**0.5
    assert isinstance(block.skip, nn.Conv2d)
    assert block.skip.weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.03)
    assert all(not p.any() for n, p in network.named_parameters() if n.endswith("bias"))


def test_cheap_convolutions_are_what_they_stand_for() -> None:
    up, down = RepeatedConvolution(3, 5).double(), AveragedConvolution(3, 5).double()
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    repeated = F.interpolate(x, scale_factor=2)
    torch.testing.assert_close(up(x), F.conv2d(repeated, up.weight, up.bias, padding=1))
    large = F.conv2d(x, down.weight, down.bias, padding=1)
    torch.testing.assert_close(down(x), F.avg_pool2d(large, 2))


def test_blocks_are_the_papers_written_out() -> None:
    """With repeating and averaging where the papers have them."""
    torch.manual_seed(0)
    up = GeneratorBlock(3, 5, nn.BatchNorm2d)
    x = torch.randn(2, 3, 4, 6)
    h = F.interpolate(F.relu(up.norm1(x)), scale_factor=2)
    h = F.relu(up.norm2(F.conv2d(h, up.conv1.weight, up.conv1.bias, padding=1)))
    expected = up.conv2(h) + up.skip(F.interpolate(x, scale_factor=2))
    torch.testing.assert_close(up(x, None), expected, atol=1e-5, rtol=1e-5)
    for first in (False, True):
        down = DiscriminatorBlock(3, 5, 4, "layer", first=first)
        h = x if first else F.relu(F.group_norm(x, 1))
        h = down.conv1(h)
        h = F.relu(h if first else F.group_norm(h, 1))
        h = F.conv2d(h, down.conv2.weight, down.conv2.bias, padding=1) + down.skip(x)
        torch.testing.assert_close(down(x), F.avg_pool2d(h, 2), atol=1e-5, rtol=1e-5)


def test_conditional_networks_need_labels() -> None:
    with pytest.raises(ValueError, match="needs labels"):
        Generator(LATENT, (3, 16, 16), 4, classes=2)(torch.zeros(1, LATENT))
    with pytest.raises(ValueError, match="needs labels"):
        Discriminator((3, 16, 16), 4, classes=2)(torch.zeros(1, 3, 16, 16))
