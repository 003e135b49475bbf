import pytest
import torch
from torch import nn

from ganvas.errors import ConfigError
from ganvas.networks.biggan import Discriminator, Generator
from ganvas.networks.layers.attention import SelfAttention
from ganvas.networks.layers.batch_norm import standing_statistics
from ganvas.networks.layers.minibatch import Minibatch
from ganvas.networks.layers.normalisation import Normalisation
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
ATTENDING = (3, 40, 40)
"""The smallest images whose networks have attention."""


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [0, 2])
def test_every_size(shape: tuple[int, int, int], classes: int) -> None:
    torch.manual_seed(0)
    check_generator(Generator(LATENT, shape, 4, classes), shape, classes)
    check_discriminator(Discriminator(shape, 4, classes), shape, classes)


@pytest.mark.slow
def test_largest_size() -> None:
    torch.manual_seed(0)
    check_generator(Generator(LATENT, (3, 256, 256), 1), (3, 256, 256), 0)
    check_discriminator(Discriminator((3, 256, 256), 1), (3, 256, 256), 0)


def test_published_parameter_counts() -> None:
    """At 128 px, those that the paper's authors' code states (compare_gan, resnet_biggan_test)."""
    assert count(lambda: Generator(120, (3, 128, 128), 96, 1000)) == 70_433_988
    assert count(lambda: Discriminator((3, 128, 128), 96, 1000)) == 87_982_370
    # By the tables alone: no source states these.
    assert count(lambda: Generator(140, (3, 256, 256), 96, 1000)) == 82_235_844
    assert count(lambda: Discriminator((3, 256, 256), 96, 1000)) == 99_225_890


@pytest.mark.parametrize(("classes", "shape"), [(0, (3, 16, 16)), (2, ATTENDING)])
def test_learns_and_copies(classes: int, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    z, labels = torch.randn(N, LATENT), labels_for(classes)
    check_every_parameter_learns(Generator(LATENT, shape, 4, classes), z, labels)
    check_copies(lambda: Generator(LATENT, shape, 2, classes), z, labels)
    x = torch.randn(N, *shape)
    check_every_parameter_learns(Discriminator(shape, 4, classes), x, labels)
    check_copies(lambda: Discriminator(shape, 2, classes), x, labels)
    check_penalty(Discriminator(shape, 4, classes), shape, classes)


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_other_norms(norm: Normalisation) -> None:
    torch.manual_seed(0)
    shape = (3, 16, 16)
    check_discriminator(Discriminator(shape, 4, 2, norm=norm), shape, 2)
    check_penalty(Discriminator(shape, 4, 2, norm=norm), shape, 2)


@pytest.mark.parametrize("minibatch", ["discrimination", "stddev"])
def test_looks_across_the_batch(minibatch: Minibatch) -> None:
    network = Discriminator((3, 16, 16), 4, minibatch=minibatch)
    x = torch.randn(N, 3, 16, 16)
    assert not torch.allclose(network(x)[:1], network(x[:1]))


@pytest.mark.parametrize(
    ("side", "attended"), [(32, None), (40, 20), (64, 32), (96, 48), (128, 64), (256, 64)]
)
def test_where_attention_is(side: int, attended: int | None) -> None:
    """Both networks attend on the map of the same size."""
    seen: list[int] = []

    def watch(module: nn.Module, inputs: tuple[torch.Tensor, ...], _: object) -> None:
        seen.append(inputs[0].shape[2])

    with torch.no_grad():
        G, D = Generator(LATENT, (1, side, side), 1), Discriminator((1, side, side), 1)
        for module in (*G.modules(), *D.modules()):
            if isinstance(module, SelfAttention):
                module.register_forward_hook(watch)
        D(G(torch.randn(2, LATENT)))
    assert seen == ([] if attended is None else [attended] * 2)


def test_latents_enter_in_chunks() -> None:
    network = Generator(8, (3, 16, 16), 4, classes=2)  # two blocks: three chunks
    assert network.chunks == [4, 2, 2]
    assert Generator(120, (3, 32, 32), 1).chunks == [30] * 4
    assert network.project.in_features == 4
    sizes = {m.in_features for m in network.modules() if isinstance(m, nn.Linear)}
    assert sizes == {4, 2 + 128}
    with pytest.raises(ConfigError, match=r"latent_size=2 .* 3 chunks .* model\.latent_size=60"):
        Generator(2, (3, 16, 16), 4)


def test_images_beyond_the_tables_are_refused() -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="512x512"):
        Discriminator((3, 512, 512), 1)


def test_every_matrix_but_the_generators_embedding_is_normalised() -> None:
    for network in (Generator(LATENT, ATTENDING, 4, 2), Discriminator(ATTENDING, 4, 2)):
        plain = {
            name
            for name, parameter in network.named_parameters()
            if parameter.ndim > 1 and not name.endswith("parametrizations.weight.original")
        }
        assert plain == ({"embedding.weight"} if isinstance(network, Generator) else set())


def test_weights_are_drawn_orthogonal() -> None:
    network = Generator(LATENT, (3, 16, 16), 4, 2)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            matrix = parameter.detach().flatten(1)
            small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
            torch.testing.assert_close(small, torch.eye(len(small)), atol=1e-5, rtol=0)
        elif name.endswith("bias"):
            assert not parameter.any()


def test_standing_statistics_normalise_truncated_latents() -> None:
    """Evaluation by them is what a batch's own statistics would give for such latents."""
    torch.manual_seed(0)
    network = Generator(LATENT, (3, 16, 16), 4)
    for _ in range(20):
        network(torch.randn(64, LATENT))  # the running statistics of untruncated latents
    z = 0.1 * torch.randn(256, LATENT)
    expected = network(z)
    network.eval()
    before = (network(z) - expected).square().mean()
    standing_statistics(network, [(part, None) for part in (z[:128], z[128:])])
    after = (network(z) - expected).square().mean()
    assert after < 0.1 * before
