"""StyleGAN2 against the authors' numbers, and at the sizes that the paper does not have."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError, RunError
from ganvas.interop.stylegan2_names import discriminator_from_official, generator_from_official
from ganvas.losses import penalties
from ganvas.losses.path_length import path_lengths
from ganvas.losses.penalties import zero_centred
from ganvas.losses.twice_differentiable import keep_whole_in_graphs
from ganvas.networks import stylegan2
from ganvas.networks.layers.mapping import truncate
from ganvas.networks.layers.modulated import StyledConvolution, modulated_plainly
from tests.networks import contract

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
LATENT = contract.LATENT
SHAPES = [(1, 28, 28), (3, 16, 24), (4, 48, 48), (3, 32, 32)]


def generator(shape: tuple[int, int, int] = (3, 32, 32), classes: int = 0) -> stylegan2.Generator:
    """A small one, with noise that is seen."""
    torch.manual_seed(0)
    network = stylegan2.generator(LATENT, shape, 4, 16, 2, classes)
    for layer in network.modules():
        if isinstance(layer, StyledConvolution):
            nn.init.constant_(layer.noise_strength, 0.3)
            nn.init.normal_(layer.bias, std=0.3)
    return network


def discriminator(
    shape: tuple[int, int, int] = (3, 32, 32), classes: int = 0
) -> stylegan2.Discriminator:
    torch.manual_seed(0)
    return stylegan2.discriminator(shape, 4, 16, classes, 2)


class Bounded(nn.Module):
    """With a range, as the contract asks for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.network(z, labels)
        return (images / 4).tanh()


# --- The authors' numbers


@dataclass(frozen=True)
class Recorded:
    """What one file holds, and our networks with its weights."""

    tensors: dict[str, Tensor]
    G: stylegan2.Generator
    D: stylegan2.Discriminator
    labels: Tensor | None

    def assert_close(self, found: Tensor, name: str, within: float = 1e-5) -> None:
        expected = self.tensors[f"out.{name}"]
        assert found.shape == expected.shape
        assert relative(found, expected) < within

    @property
    def styles(self) -> Tensor:
        w: Tensor = self.G.mapping(self.tensors["in.z"], self.labels)
        return w[:, None].expand(-1, self.G.synthesis.layers, -1)


@pytest.fixture(scope="module", params=["stylegan2_32", "stylegan2_32_conditional"])
def recorded(request: pytest.FixtureRequest) -> Recorded:
    path = GOLDEN / f"{request.param}.safetensors"
    if not path.exists():
        pytest.skip("the numbers recorded from the authors' code are not here (shared/golden)")
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        (text,) = file.metadata().values()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about = json.loads(text)["G"]
    size, classes = about["img_resolution"], about["c_dim"]
    shape, width = (3, size, size), about["channel_base"] // size
    widest, layers = about["channel_max"], about["mapping_layers"]
    G = stylegan2.generator(about["z_dim"], shape, width, widest, layers, classes)
    D = stylegan2.discriminator(shape, width, widest, classes, layers)
    G.load_state_dict(generator_from_official(part(tensors, "G.")))
    D.load_state_dict(discriminator_from_official(part(tensors, "D.")))
    return Recorded(tensors, G, D, tensors["in.c"].argmax(1) if classes else None)


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference by the largest number."""
    return float((found.detach() - expected).abs().max() / expected.abs().max())


def test_the_authors_styles(recorded: Recorded) -> None:
    centre, w = recorded.G.mapping.centre, recorded.styles[:, 0]
    assert recorded.G.mapping.is_centre_known()
    recorded.assert_close(w, "w")
    recorded.assert_close(truncate(w, centre, 0.7), "w_psi0.7")
    recorded.assert_close(truncate(recorded.styles, centre, 0.5, 4), "ws_psi0.5_cutoff4")


@torch.no_grad()
def test_the_authors_images(recorded: Recorded) -> None:
    z, labels, ws = recorded.tensors["in.z"], recorded.labels, recorded.styles
    recorded.assert_close(recorded.G(z, labels), "image_const")
    recorded.assert_close(recorded.G(z, labels, ()), "image_none")
    mixed = torch.cat([ws[:, :4], ws.flip(0)[:, 4:]], 1)
    recorded.assert_close(recorded.G.synthesis(mixed, ()), "image_mix4_none")


def test_the_authors_logits_and_penalty(recorded: Recorded) -> None:
    real, labels = recorded.tensors["in.real"], recorded.labels
    recorded.assert_close(recorded.D(real, labels), "logits")
    penalty = zero_centred(recorded.D, real, labels)
    recorded.assert_close(penalty, "r1_per_image")
    weight = recorded.D.convolution.weight
    (gradient,) = torch.autograd.grad(penalty.mean(), weight)
    recorded.assert_close(gradient, "r1_grad_b4.conv.weight")


def test_the_authors_path_lengths(recorded: Recorded) -> None:
    ws, noise = recorded.styles.detach(), recorded.tensors["in.pl_noise"]
    lengths = path_lengths(recorded.G.synthesis, ws, noise)
    recorded.assert_close(lengths, "pl_lengths", within=1e-4)


def test_bfloat16_is_as_far_as_its_rounding(recorded: Recorded) -> None:
    """8 bits of mantissa round by 0.4%. Measured: 0.9% of images, 1% of logits, 3% of R1."""
    tensors, labels = recorded.tensors, recorded.labels
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        images = recorded.G(tensors["in.z"], labels)
        logits = recorded.D(tensors["in.real"], labels)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = zero_centred(recorded.D, tensors["in.real"], labels)
    for found, name, bound in (
        (images, "image_const", 0.015), (logits, "logits", 0.02), (penalty, "r1_per_image", 0.05),
    ):  # fmt: skip
        assert found.dtype == torch.float32
        expected = tensors[f"out.{name}"]
        assert 1e-4 < (found - expected).norm() / expected.norm() < bound


# --- The structure


def test_parameters_of_the_authors_networks() -> None:
    """What the authors' networks have, configuration F at 1024 and ADA's at 256."""
    large, small = (3, 1024, 1024), (3, 256, 256)
    assert contract.count(lambda: stylegan2.generator(512, large, 32)) == 30_370_060
    assert contract.count(lambda: stylegan2.discriminator(large, 32)) == 29_012_513
    assert contract.count(lambda: stylegan2.generator(512, small, 64, 512, 2)) == 23_191_522
    assert contract.count(lambda: stylegan2.discriminator(small, 64)) == 24_001_089


def test_layers() -> None:
    synthesis = generator((3, 16, 24)).synthesis
    assert synthesis.layers == 6
    assert synthesis.noise_shapes == ((4, 6), (8, 12), (8, 12), (16, 24), (16, 24))
    assert synthesis.layer_resolutions == (4, 8, 8, 16, 16, 16)


@pytest.mark.parametrize("layer", range(8))
def test_each_style_acts_from_its_resolution_on(layer: int) -> None:
    """The picture's coarser parts, which the layers before have drawn, stay."""
    synthesis = generator().synthesis
    ws = torch.randn(1, synthesis.layers, LATENT)
    other = ws.clone()
    other[:, layer] += 1
    seen: dict[str, list[Tensor]] = {"ws": [], "other": []}
    for name, styles in (("ws", ws), ("other", other)):
        handles = [
            block.register_forward_hook(lambda _, __, out, n=name: seen[n].append(out[1]))
            for block in synthesis.blocks
        ]
        synthesis(styles)
        for handle in handles:
            handle.remove()
    changed = [
        image.shape[2]
        for image, moved in zip(seen["ws"], seen["other"], strict=True)
        if not torch.equal(image, moved)
    ]
    first = synthesis.layer_resolutions[layer]
    if layer % 2 and layer < 7:  # it also colours the resolution before
        first //= 2
    assert changed == [size for size in (4, 8, 16, 32) if size >= first]


def test_noise() -> None:
    network = generator()
    z = torch.randn(2, LATENT)
    own = [m.noise[None, None] for m in network.modules() if isinstance(m, StyledConvolution)]
    torch.testing.assert_close(network(z, None, own), network(z))
    none = network(z, None, ())
    torch.testing.assert_close(none, network(z, None, [0 * noise for noise in own]))
    assert not torch.allclose(none, network(z))
    each = [torch.randn(2, 1, *shape) for shape in network.synthesis.noise_shapes]
    together = network(z, None, each)
    alone = network(z[1:], None, [noise[1:] for noise in each])
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="1 noises for 7 layers"):
        network(z, None, each[:1])


def test_the_whole_network_with_weights_for_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """The papers' form of all layers at once."""
    network, z = generator().eval(), torch.randn(3, LATENT)
    expected = network(z)

    def plainly(self: StyledConvolution, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        y = modulated_plainly(x, self.weight, self.style(w), doubles=self.doubles)
        y = y + self.noise_strength * noise + self.bias[:, None, None]
        return 2**0.5 * nn.functional.leaky_relu(y, 0.2)

    monkeypatch.setattr(StyledConvolution, "forward", plainly)
    torch.testing.assert_close(network(z), expected, atol=1e-5, rtol=1e-4)


# --- The contract of all networks


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_size(shape: tuple[int, int, int], classes: int) -> None:
    contract.check_generator(Bounded(generator(shape, classes)), shape, classes)
    contract.check_discriminator(discriminator(shape, classes), shape, classes)


@pytest.mark.parametrize("classes", [0, 3])
def test_every_parameter_learns(classes: int) -> None:
    labels = contract.labels_for(classes)
    contract.check_every_parameter_learns(
        generator(classes=classes), torch.randn(contract.N, LATENT), labels
    )
    images = torch.rand(contract.N, 3, 32, 32)
    contract.check_every_parameter_learns(discriminator(classes=classes), images, labels)


@pytest.mark.parametrize("classes", [0, 3])
def test_penalties(classes: int) -> None:
    contract.check_penalty(discriminator((3, 16, 16), classes), (3, 16, 16), classes)


def test_copies() -> None:
    def build() -> nn.Module:
        return stylegan2.generator(LATENT, (3, 16, 16), 4, 16, 2)

    contract.check_copies(build, torch.randn(contract.N, LATENT))
    contract.check_copies(
        lambda: stylegan2.discriminator((3, 16, 16), 4), torch.rand(contract.N, 3, 16, 16)
    )


def test_maps_are_channels_last_throughout() -> None:
    wrong: list[str] = []

    def look(name: str, maps: Tensor) -> None:
        if maps.shape[1] > 3 and not maps.is_contiguous(memory_format=torch.channels_last):
            wrong.append(name)

    G, D = (n.to(memory_format=torch.channels_last) for n in (generator(), discriminator()))  # type: ignore[call-overload]
    for name, layer in [*G.named_modules(), *D.named_modules()]:
        if isinstance(layer, StyledConvolution | stylegan2.DiscriminatorBlock):
            layer.register_forward_hook(lambda _, __, out, n=name: look(n, out))
    for context in (torch.no_grad(), torch.autocast("cpu", torch.bfloat16)):
        with context:
            D(G(torch.randn(2, LATENT)))
    assert not wrong


def test_sizes_that_it_cannot_draw() -> None:
    with pytest.raises(ConfigError, match="nearest size"):
        stylegan2.generator(LATENT, (3, 30, 30), 4)


# --- Derivatives


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_path_lengths_have_derivatives(memory_format: torch.memory_format) -> None:
    network = generator((3, 16, 16))
    synthesis = network.synthesis.to(memory_format=memory_format)  # type: ignore[call-overload]
    ws, y = torch.randn(2, 6, LATENT), torch.randn(2, 3, 16, 16)
    found = path_lengths(synthesis, ws, y)
    leaf = ws.clone().requires_grad_()
    (slope,) = torch.autograd.grad((synthesis(leaf) * y).sum(), leaf, create_graph=True)
    expected = slope.square().sum(2).mean(1).sqrt()
    torch.testing.assert_close(found, expected)
    weights = [
        layer.weight for layer in synthesis.modules() if isinstance(layer, StyledConvolution)
    ]
    for a, b in zip(
        torch.autograd.grad(found.sum(), weights),
        torch.autograd.grad(expected.sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Penalties compiled by a backend that runs what was traced as it is."""
    keep_whole_in_graphs()
    compiled = torch.compile(
        penalties._input_gradient, fullgraph=True, dynamic=False, backend="aot_eager"
    )
    monkeypatch.setattr(penalties, "_compiled", lambda: compiled)
    yield
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own
@pytest.mark.usefixtures("traced")
def test_compiled() -> None:
    """The generator in one graph, with gradients and without, and R1 with its second derivative."""
    G, D = generator((3, 16, 16), 2), discriminator((3, 16, 16), 2)
    z, labels = torch.randn(4, LATENT), torch.tensor([0, 1, 0, 1])
    for context in (torch.enable_grad(), torch.no_grad()):
        with context:
            compiled = torch.compile(G, fullgraph=True, dynamic=False, backend="aot_eager")
            torch.testing.assert_close(compiled(z, labels), G(z, labels), atol=1e-5, rtol=1e-4)
    images, eager = torch.randn(4, 3, 16, 16), copy.deepcopy(D)
    D.compile()
    fast, slow = (
        torch.autograd.grad(
            zero_centred(network, images, labels).mean(), list(network.parameters())
        )
        for network in (D, eager)
    )
    for found, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


# --- Names


def test_names_that_have_no_place() -> None:
    for translate, name in (
        (generator_from_official, "synthesis.b8.skip.weight"),
        (generator_from_official, "mapping.w_average"),
        (discriminator_from_official, "b8.conv2.weight"),
    ):
        with pytest.raises(RunError, match=name.replace(".", r"\.")):
            translate({name: torch.zeros(1)})
    with pytest.raises(RunError, match=r"b4\.fromrgb"):  # another architecture
        discriminator_from_official({f"b{size}.fromrgb.weight": torch.zeros(1) for size in (8, 4)})
    with pytest.raises(RunError, match="filter"):
        generator_from_official({"synthesis.b4.resample_filter": torch.ones(4, 4) / 16})
