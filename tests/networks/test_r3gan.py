"""R3GAN against the authors' numbers, and at the sizes that the paper does not have."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.interop.r3gan_names import discriminator_from_official, generator_from_official
from ganvas.losses.penalties import zero_centred
from ganvas.networks import build_discriminator, build_generator, r3gan
from ganvas.networks.layers.resampling import bilinear_double, bilinear_halve

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "r3gan_32.safetensors"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    if not GOLDEN.exists():
        pytest.skip("the numbers recorded from the authors' code are not here (shared/golden)")
    from safetensors.torch import load_file

    return load_file(GOLDEN)


def official(golden: dict[str, Tensor], of: str) -> nn.Module:
    from safetensors import safe_open

    with safe_open(GOLDEN, "pt") as file:
        (text,) = file.metadata().values()
    about = json.loads(text)[of]
    stages = [about[f"{what}PerStage"] for what in ("Width", "Cardinality", "Blocks")]
    network: nn.Module = (
        r3gan.Generator(about["NoiseDimension"], 3, (4, 4), *stages)
        if of == "G"
        else r3gan.Discriminator(3, (4, 4), *stages)
    )
    state = {name[2:]: tensor for name, tensor in golden.items() if name.startswith(f"{of}.")}
    translate = {"G": generator_from_official, "D": discriminator_from_official}[of]
    network.load_state_dict(translate(state))
    return network


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_authors_image(golden: dict[str, Tensor]) -> None:
    assert_close(official(golden, "G")(golden["in.z"]), golden["out.image"])


def test_the_authors_logits_and_penalty(golden: dict[str, Tensor]) -> None:
    network = official(golden, "D")
    assert_close(network(golden["in.real"])[:, 0], golden["out.logits"])
    penalty = zero_centred(network, golden["in.real"])
    assert_close(penalty, golden["out.gradient_penalty_per_image"])


def moved(network: nn.Module) -> nn.Module:
    """Away from the start, where the blocks add nothing."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def test_the_papers_sizes() -> None:
    """The authors' presets, and the number of weights that their layers come to."""
    assert r3gan.stage_widths(768, 3) == [768] * 4  # CIFAR-10
    assert r3gan.stage_widths(384, 4) == [384, 768, 768, 768, 768]  # FFHQ 64
    assert r3gan.stage_widths(96, 6) == [96, 192, 384, 768, 768, 768, 768]  # FFHQ 256
    with torch.device("meta"):
        G, D = r3gan.generator(64, (3, 32, 32), 768), r3gan.discriminator((3, 32, 32), 768)
    blocks = [module for module in G.modules() if isinstance(module, r3gan.Block)]
    assert [block.grouped.groups for block in blocks] == [96] * 8
    weights = 2 * 768 * 1536 + 1536 * (1536 // 96) * 9 + 2 * 1536
    ends = 768 * 16 + 3 * 768
    assert sum(p.numel() for p in G.parameters()) == 8 * weights + ends + 64 * 768 == 20_732_160
    assert sum(p.numel() for p in D.parameters()) == 8 * weights + ends + 768 == 20_683_776


def test_weights_at_the_start() -> None:
    torch.manual_seed(0)
    network = r3gan.discriminator((3, 16, 16), 64)
    total = 6  # three stages of two
    gain = (2 / 1.04) ** 0.5 * total**-0.25
    block = network.stages[1][0]  # type: ignore[index]
    assert isinstance(block, r3gan.Block)
    for layer, fan_in in ((block.widen, 128), (block.grouped, 16 * 9)):
        assert layer.weight.std().item() == pytest.approx(gain / fan_in**0.5, rel=0.05)
    assert not block.narrow.weight.any()
    x = torch.randn(2, 128, 8, 8)
    assert torch.equal(block(x), x)
    assert network.basis.weight.std().item() == pytest.approx(0.25, rel=0.05)
    assert network.from_image.weight.std().item() == pytest.approx(3**-0.5, rel=0.15)


@pytest.mark.parametrize("width", [4, 12, 20, 28])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 24), (4, 48, 48)])
def test_any_size(width: int, shape: tuple[int, int, int]) -> None:
    G = build_generator("r3gan", 8, shape, width)
    D = build_discriminator("r3gan", shape, width, outputs=3)
    images = G(torch.randn(2, 8))
    assert images.shape == (2, *shape)
    assert D(images).shape == (2, 3)


def test_classes() -> None:
    torch.manual_seed(0)
    G = build_generator("r3gan", 8, (3, 16, 16), 4, classes=3)
    D = build_discriminator("r3gan", (3, 16, 16), 4, classes=3, outputs=2)
    z, images = torch.randn(1, 8).expand(3, 8), torch.randn(1, 3, 16, 16).expand(3, 3, 16, 16)
    labels = torch.arange(3)
    for answers in (G(z, labels).flatten(1), D(images, labels)):
        assert (answers[0] - answers[1]).abs().max() > 1e-3
    with pytest.raises(ValueError, match="needs labels"):
        D(images)


def test_projection_is_linear_in_the_classes() -> None:
    D = build_discriminator("r3gan", (3, 16, 16), 4, classes=2)
    assert isinstance(D, r3gan.Discriminator)
    images, labels = torch.randn(3, 3, 16, 16), torch.tensor([0, 1, 0])
    before = D(images, labels)
    with torch.no_grad():
        D.embedding.weight[0] *= 2
    after = D(images, labels)
    torch.testing.assert_close(after[[0, 2]], 2 * before[[0, 2]])
    assert torch.equal(after[1], before[1])


def test_refuses_norms() -> None:
    with pytest.raises(ConfigError, match="no normalisation"):
        build_discriminator("r3gan", (3, 16, 16), 4, norm="batch")


@pytest.mark.parametrize("of", ["G", "D"])
def test_bfloat16_is_near_float32(of: str) -> None:
    torch.manual_seed(0)
    network = moved(
        build_generator("r3gan", 8, (3, 16, 16), 8) if of == "G"
        else build_discriminator("r3gan", (3, 16, 16), 8)
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # fmt: skip
    x = torch.randn(4, 8) if of == "G" else torch.randn(4, 3, 16, 16)
    expected = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(x)
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.03 * expected.norm()
    found.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_second_derivative() -> None:
    network = moved(r3gan.discriminator((1, 8, 8), 4)).double()
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(network, (x,))


def test_resampling() -> None:
    rows = torch.tensor([4.0, 8.0, 0.0]).view(1, 1, 3, 1).expand(1, 1, 3, 4).clone()
    doubled = bilinear_double(rows)[0, 0, :, 4]
    torch.testing.assert_close(doubled, torch.tensor([3.0, 5.0, 7.0, 6.0, 2.0, 0.0]))
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    y = torch.randn(2, 3, 3, 4, dtype=torch.float64)
    torch.testing.assert_close((bilinear_halve(x) * y).sum(), (x * bilinear_double(y)).sum() / 4)
