import pytest
import torch

from ganvas.errors import ConfigError
from ganvas.networks import build_discriminator, build_generator
from ganvas.networks.dcgan import Discriminator, Generator, base_grid


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_published_parameter_counts_at_64_pixels() -> None:
    assert count(Generator(100, (3, 64, 64))) == 3_576_704
    assert count(Discriminator((3, 64, 64))) == 2_765_568


def test_weights_are_drawn_as_the_paper_says() -> None:
    torch.manual_seed(0)
    for network in (Generator(100, (3, 64, 64)), Discriminator((3, 64, 64))):
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                assert abs(module.weight.std().item() - 0.02) < 0.002
                assert module.bias is None
            if isinstance(module, torch.nn.BatchNorm2d):
                assert abs(module.weight.mean().item() - 1) < 0.01
                assert not module.bias.any()


def test_first_layer_is_the_transposed_convolution_of_a_single_pixel() -> None:
    network = Generator(8, (3, 16, 24), 4)
    z = torch.randn(2, 8)
    expected = network.layers(network.project(z[:, :, None, None]))
    torch.testing.assert_close(network(z), expected)


def test_no_batch_norm_at_the_ends_that_touch_images() -> None:
    kinds = [type(m).__name__ for m in Generator(8, (3, 32, 32), 4).layers]
    assert kinds[-2:] == ["Double", "Tanh"]
    kinds = [type(m).__name__ for m in Discriminator((3, 32, 32), 4).layers]
    assert kinds[:3] == ["Halve", "LeakyReLU", "Halve"]


@pytest.mark.parametrize(
    ("size", "grid"),
    [((64, 64), (4, 4, 4)), ((28, 28), (7, 7, 2)), ((64, 96), (4, 6, 4)), ((8, 8), (4, 4, 1)),
     ((48, 48), (6, 6, 3)), ((256, 128), (8, 4, 5))],
)  # fmt: skip
def test_base_grid(size: tuple[int, int], grid: tuple[int, int, int]) -> None:
    assert base_grid(*size) == grid


@pytest.mark.parametrize(
    ("size", "nearest"), [((33, 33), "32x32"), ((100, 100), "96x96"), ((6, 6), "8x8")]
)
def test_a_size_that_cannot_be_made_names_the_nearest(size: tuple[int, int], nearest: str) -> None:
    with pytest.raises(ConfigError, match=nearest):
        base_grid(*size)


@pytest.mark.parametrize("build", [build_generator, build_discriminator])
def test_convolutions_refuse_points(build: object) -> None:
    arguments = ("dcgan", 8, (2,), 4) if build is build_generator else ("dcgan", (2,), 4)
    with pytest.raises(ConfigError, match=r"model\.networks=mlp"):
        build(*arguments)  # type: ignore[operator]


def test_conditional_networks_need_labels() -> None:
    with pytest.raises(ValueError, match="needs labels"):
        Discriminator((3, 16, 16), 4, classes=2)(torch.zeros(1, 3, 16, 16))
