import pytest
import torch

from ganvas.errors import ConfigError
from ganvas.networks import Kind, Norm, build_discriminator, build_generator
from ganvas.networks.dcgan import Discriminator, Generator, base_grid
from tests.networks.test_mlp import fingerprint


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


def test_same_seed_same_weights_as_ever() -> None:
    """Recorded before the discriminator's norm could be chosen: old runs stay what they are."""
    torch.manual_seed(0)
    assert fingerprint(Discriminator((3, 16, 16), 4, 2)) == "78dca5b3d041acb1"
    torch.manual_seed(0)
    assert fingerprint(Generator(8, (3, 16, 16), 4, 2)) == "138187380f3dd369"


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_without_batch_norm_samples_are_judged_apart(norm: Norm) -> None:
    torch.manual_seed(0)
    network = build_discriminator("dcgan", (3, 32, 32), 8, norm=norm)
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(network(images)[:2], network(images[:2]))
    usual = build_discriminator("dcgan", (3, 32, 32), 8)
    assert (usual(images)[:2] - usual(images[:2])).abs().max() > 1e-3


def test_each_convolution_has_one_bias_unless_all_is_batch_norm() -> None:
    kinds = {
        norm: [type(m).__name__ for m in Discriminator((3, 16, 16), 4, norm=norm).layers]
        for norm in ("none", "batch", "layer")
    }
    assert kinds["batch"] == ["Halve", "LeakyReLU", "Halve", "BatchNorm2d", "LeakyReLU"]
    assert kinds["layer"] == ["Halve", "Bias", "LeakyReLU", "Halve", "GroupNorm", "LeakyReLU"]
    assert kinds["none"] == ["Halve", "Bias", "LeakyReLU", "Halve", "Bias", "LeakyReLU"]


def test_without_norms_the_signal_keeps_its_scale() -> None:
    torch.manual_seed(0)
    network = Discriminator((3, 64, 64), 16, norm="none")
    scale = network.layers(torch.randn(8, 3, 64, 64)).square().mean().item() ** 0.5
    assert 0.5 < scale < 2


def test_layer_norm_takes_each_sample_over_all_its_maps() -> None:
    torch.manual_seed(0)
    layer = Discriminator((3, 16, 16), 4, norm="layer").layers[4]
    x = torch.randn(2, 8, 5, 5) * 3 + 1
    expected = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(layer(x), expected, atol=1e-4, rtol=1e-4)


def test_bias_stays_in_bfloat16() -> None:
    network = Discriminator((3, 16, 16), 4, norm="none")
    with torch.autocast("cpu", torch.bfloat16):
        assert network.layers(torch.randn(2, 3, 16, 16)).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["dcgan", "mlp"])
def test_spectral_norm_bounds_every_layer(kind: Kind) -> None:
    """Each matrix, as drawn and as changed, has the largest singular value 1."""
    torch.manual_seed(0)
    network = build_discriminator(kind, (3, 16, 16), 4, classes=2, norm="spectral").eval()
    layers = [m for m in network.modules() if hasattr(m, "parametrizations")]
    assert len(layers) == 4  # of dcgan: two convolutions, the head and the projection
    for layer in layers:
        assert isinstance(layer.weight, torch.Tensor)
        sigma = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert sigma.item() == pytest.approx(1, rel=0.05)
    answers = network(torch.randn(2, 3, 16, 16), torch.tensor([0, 1]))
    assert answers.shape == (2, 1)
