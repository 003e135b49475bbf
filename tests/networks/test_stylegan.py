"""StyleGAN (2019) against the paper's equations and the sizes that the authors' networks print."""

import copy
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.losses import penalties
from ganvas.losses.twice_differentiable import keep_whole_in_graphs
from ganvas.networks import stylegan
from ganvas.networks.layers import rescaling
from ganvas.networks.layers.adain import adain
from ganvas.networks.layers.equalised import EqualisedConv2d
from ganvas.networks.layers.rescaling import blur, double, halve
from ganvas.networks.stylegan import at_level, split_level
from tests.networks import contract

SHAPES = [(1, 28, 28), (3, 16, 24), (4, 48, 48), (3, 32, 32)]
LATENT = contract.LATENT


def away_from_start(network: nn.Module) -> None:
    """Noise and biases are multiplied by 0 at first, which would hide them."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)


def synthesis(shape: tuple[int, int, int] = (3, 32, 32), width: int = 4) -> stylegan.Synthesis:
    torch.manual_seed(0)
    network = stylegan.generator(LATENT, shape, width, max_width=16).synthesis
    away_from_start(network)
    return network


def discriminator(shape: tuple[int, int, int] = (3, 32, 32), classes: int = 0) -> nn.Module:
    torch.manual_seed(0)
    network = stylegan.discriminator(shape, 4, 16, classes)
    away_from_start(network)
    return network


def styles(network: stylegan.Synthesis, n: int = 2) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(n, network.layers, LATENT)


class Bounded(nn.Module):
    """With a range, as the contract asks for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.network(z, labels)
        return images.tanh()


# --- The authors' sizes


def test_the_authors_parameters_at_1024_pixels() -> None:
    """What their networks print: G with the mapping and all ToRGB, D with all FromRGB."""
    shape = (3, 1024, 1024)
    assert contract.count(lambda: stylegan.generator(512, shape, 16)) == 26_219_627
    assert contract.count(lambda: stylegan.discriminator(shape, 16)) == 23_087_249


def test_the_authors_parameters_layer_by_layer() -> None:
    """Rows of the same tables."""
    with torch.device("meta"):
        G = stylegan.generator(512, (3, 1024, 1024), 16)
        D = stylegan.discriminator((3, 1024, 1024), 16)
    S = G.synthesis

    def sizes(*modules: Any) -> int:
        return sum(p.numel() for module in modules for p in module.parameters())

    assert sizes(G.mapping) == 8 * 262_656
    assert sizes(S.blocks[0]) + S.constant.numel() == 534_528 + 2_885_632
    assert sizes(S.blocks[4]) == 1_442_816 + 852_992  # 64x64
    assert sizes(S.blocks[8]) == 21_056 + 18_752  # 1024x1024
    assert [sizes(layer) for layer in S.to_image][-4:] == [387, 195, 99, 51]
    assert sizes(D.blocks[7]) == 2_320 + 4_640  # 1024x1024
    assert sizes(D.blocks[3]) == 590_080 + 1_180_160  # 64x64
    assert sizes(D.from_image[8], D.from_image[4]) == 64 + 1_024
    assert sizes(D.end, D.output) == 2_364_416 + 4_194_816 + 513
    assert S.layers == 18
    assert S.noise_shapes[::2] == tuple((2**i, 2**i) for i in range(2, 11))


def test_weights_at_the_start() -> None:
    torch.manual_seed(0)
    G = stylegan.generator(64, (3, 32, 32), 32)
    S = G.synthesis
    assert torch.equal(S.constant, torch.ones(256, 4, 4))
    for name, parameter in S.named_parameters():
        if name.endswith(("noise_scale", "bias")):
            assert not parameter.any()
        elif name.endswith("weight"):
            assert parameter.std().item() == pytest.approx(1, rel=0.1)
    noise = S.get_buffer("blocks.3.second.noise")
    assert noise.std().item() == pytest.approx(1, rel=0.1)
    assert not any("noise" in name and "scale" not in name for name, _ in S.named_parameters())


# --- Layers


def test_adain_is_equation_1() -> None:
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64) * 4 + 3
    scale, shift = torch.randn(2, 2, 3, 1, 1, dtype=torch.float64)
    found = adain(x, scale, shift)
    for n in range(2):
        for i in range(3):
            mu, sigma = x[n, i].mean(), x[n, i].std(correction=0)
            expected = scale[n, i] * (x[n, i] - mu) / sigma + shift[n, i]
            torch.testing.assert_close(found[n, i], expected)


def test_adain_measures_bfloat16_in_float32() -> None:
    x = (torch.randn(1, 2, 64, 64) + 20).bfloat16()
    one, zero = torch.ones(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    found = adain(x, one, zero)
    assert found.dtype == torch.bfloat16
    expected = F.instance_norm(x.float(), eps=1e-8)
    torch.testing.assert_close(found.float(), expected, atol=0.01, rtol=0.01)


def test_adain_of_constant_maps_is_their_shift() -> None:
    """As the first maps are before any noise: a deviation of 0 divides by nothing."""
    shift = torch.randn(1, 3, 1, 1)
    x = torch.ones(1, 3, 4, 4, requires_grad=True)
    found = adain(x, torch.ones(1, 3, 1, 1), shift)
    torch.testing.assert_close(found, shift.expand(1, 3, 4, 4))
    (found * torch.randn(1, 3, 4, 4)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_style_is_noise_bias_rectifier_and_adain_in_this_order() -> None:
    torch.manual_seed(0)
    layer = stylegan.Style(LATENT, 3, (4, 6))
    away_from_start(layer)
    x, w, noise = torch.randn(2, 3, 4, 6), torch.randn(2, LATENT), torch.randn(2, 1, 4, 6)
    y = x + noise * layer.noise_scale.view(1, 3, 1, 1) + layer.bias.view(1, 3, 1, 1)
    y = torch.where(y > 0, y, 0.2 * y)
    affine = w @ layer.affine.weight.t() / LATENT**0.5 + layer.affine.bias
    scale, shift = affine[:, :3, None, None] + 1, affine[:, 3:, None, None]
    torch.testing.assert_close(layer(x, w, noise), adain(y, scale, shift), atol=1e-5, rtol=1e-4)


def test_blur_is_the_binomial_filter() -> None:
    x = torch.zeros(1, 2, 5, 5)
    x[0, 0, 2, 2] = x[0, 1, 0, 0] = 16
    binomial = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    found = blur(x)
    assert torch.equal(found[0, 0, 1:4, 1:4], binomial)
    assert torch.equal(found[0, 1, :2, :2], binomial[1:, 1:])
    assert found.sum() == 16 + 9


def with_gain(layer: EqualisedConv2d, fan_in: int) -> Tensor:
    """The weight with He's gain."""
    return layer.weight * math.sqrt(2 / fan_in)


SIZES = [(4, 6), (32, 48)]
"""Of the smaller maps: steps one by one, and fused."""


@pytest.mark.parametrize("size", SIZES)
def test_doubling_equals_its_steps(size: tuple[int, int]) -> None:
    layer = rescaling.Doubling(3, 5)
    x = torch.randn(2, 3, *size)
    doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = blur(F.conv2d(doubled, with_gain(layer, 27), padding=1))
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_halving_equals_its_steps(size: tuple[int, int]) -> None:
    layer = rescaling.Halving(3, 5)
    away_from_start(layer)
    assert layer.bias is not None
    x = torch.randn(2, 3, 2 * size[0], 2 * size[1])
    y = F.conv2d(blur(x), with_gain(layer, 27), padding=1)
    means = y.view(2, 5, size[0], 2, size[1], 2).mean((3, 5))
    expected = F.leaky_relu(means + 2**0.5 * layer.bias[:, None, None], 0.2)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)


def test_layers_keep_the_scale_of_their_inputs() -> None:
    torch.manual_seed(0)
    D = stylegan.discriminator((3, 64, 64), 32, 128)
    x = D.from_image[4](torch.randn(4, 3, 64, 64))
    for block in reversed(D.blocks):
        before, x = x, block[0](x)  # type: ignore[index]
        assert 0.6 < (x.square().mean() / before.square().mean()).sqrt() < 1.5
        x = block[1](x)  # type: ignore[index]


# --- The contract


@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_contract(shape: tuple[int, int, int], classes: int) -> None:
    torch.manual_seed(0)
    G = stylegan.generator(LATENT, shape, 4, classes=classes, mapping_layers=2)
    D = stylegan.discriminator(shape, 4, classes=classes)
    contract.check_generator(Bounded(G), shape, classes)
    contract.check_discriminator(D, shape, classes)
    assert D(torch.randn(3, *shape), contract.labels_for(classes)).shape == (3, 1)


def test_every_parameter_learns() -> None:
    """Those of the levels that are there, a few of them fading in."""
    S, D = synthesis(), discriminator()
    ws = styles(S)
    for network, inputs, ends in (
        (S, (ws, None), "to_image"),
        (D, (torch.randn(2, 3, 32, 32), None), "from_image"),
    ):
        output = network(*inputs, 2.5)
        (output * torch.randn_like(output)).sum().backward()
        idle = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
        assert idle == {f"{ends}.{i}.{what}" for i in (0, 1) for what in ("weight", "bias")}


def test_layers_not_there_yet_have_no_gradient() -> None:
    S, D = synthesis(), discriminator()
    S(styles(S), None, 1).sum().backward()
    D(torch.randn(2, 3, 8, 8), None, 1).sum().backward()
    for name, parameter in [*S.named_parameters(), *D.named_parameters()]:
        part, index, *_ = [*name.split("."), ""]
        if part in ("blocks", "to_image", "from_image") and int(index) > 1:
            assert parameter.grad is None, name


@pytest.mark.parametrize("classes", [0, 2])
def test_penalties(classes: int) -> None:
    contract.check_penalty(discriminator((3, 16, 16), classes), (3, 16, 16), classes)


def test_copies() -> None:
    z, images = torch.randn(2, LATENT), torch.randn(2, 3, 16, 16)
    contract.check_copies(lambda: stylegan.generator(LATENT, (3, 16, 16), 4), z)
    contract.check_copies(lambda: stylegan.discriminator((3, 16, 16), 4), images)


def test_names_of_another_resolution_agree_from_the_coarse_end() -> None:
    for build in (
        lambda size: stylegan.generator(LATENT, (3, size, size), 16, 16),
        lambda size: stylegan.discriminator((3, size, size), 16, 16),
    ):
        small, large = (build(size).state_dict() for size in (16, 64))
        assert {name: value.shape for name, value in small.items()}.items() <= {
            name: value.shape for name, value in large.items()
        }.items()


def test_classes_choose_an_output() -> None:
    D = discriminator(classes=3)
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 2, 1, 2])
    every = torch.cat([D(images, torch.full((4,), label)) for label in range(3)], 1)
    assert torch.equal(D(images, labels)[:, 0], every[torch.arange(4), labels])
    assert every.std(1).min() > 1e-4
    with pytest.raises(ValueError, match="needs labels"):
        D(images)


def test_the_discriminator_sees_the_others_of_its_batch() -> None:
    D = discriminator()
    images = torch.randn(4, 3, 32, 32)
    assert (D(images)[:1] - D(images[:1].expand(4, -1, -1, -1))[:1]).abs() > 1e-4


# --- Noise and styles


def test_noise_constant_none_and_given() -> None:
    S = synthesis((3, 16, 24))
    assert S.noise_shapes == ((4, 6), (4, 6), (8, 12), (8, 12), (16, 24), (16, 24))
    assert S.layer_resolutions == (4, 4, 8, 8, 16, 16)
    ws = styles(S)
    constant = [noise for name, noise in S.named_buffers() if name.endswith("noise")]
    assert [noise.shape[2:] for noise in constant] == list(S.noise_shapes)
    zeros = [torch.zeros(1, 1, *size) for size in S.noise_shapes]
    own = [torch.randn(2, 1, *size) for size in S.noise_shapes]
    assert torch.equal(S(ws), S(ws))
    assert torch.equal(S(ws), S(ws, constant))
    assert torch.equal(S(ws, ()), S(ws, zeros))
    pictures = [S(ws), S(ws, ()), S(ws, own)]
    for one, other in pairwise([*pictures, pictures[0]]):
        assert (one - other).abs().max() > 1e-2
    torch.testing.assert_close(
        S(ws[1:], [noise[1:] for noise in own]), S(ws, own)[1:], atol=1e-5, rtol=1e-4
    )


def test_noise_of_layers_not_there_may_be_missing_but_no_other() -> None:
    S = synthesis()
    ws = styles(S)
    own = [torch.randn(2, 1, *size) for size in S.noise_shapes]
    assert torch.equal(S(ws, own[:4], 0.5), S(ws, own, 0.5))
    with pytest.raises(ValueError, match="3 of 4"):
        S(ws, own[:3], 0.5)


def test_noise_does_nothing_at_first() -> None:
    torch.manual_seed(0)
    S = stylegan.generator(LATENT, (3, 16, 16), 4).synthesis
    assert torch.equal(S(styles(S)), S(styles(S), ()))


def test_a_style_acts_from_its_layer_on() -> None:
    """Maps after each styled layer: those before the first exchanged style stay as they are."""
    S = synthesis()
    maps: list[Tensor] = []
    for module in S.modules():
        if isinstance(module, stylegan.Style):
            module.register_forward_hook(lambda _module, _inputs, output: maps.append(output))
    ws = styles(S)
    for layer in range(S.layers):
        maps.clear()
        mixed = torch.cat([ws[:, :layer], torch.randn(2, S.layers - layer, LATENT)], 1)
        images = S(ws), S(mixed)
        before, after = maps[: S.layers], maps[S.layers :]
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            assert torch.equal(one, other) == (i < layer)
        assert not torch.equal(*images)


def test_the_generator_gives_every_layer_the_same_w() -> None:
    G = stylegan.generator(LATENT, (3, 16, 16), 4)
    z = torch.randn(2, LATENT)
    w = G.mapping(z)
    assert torch.equal(G(z), G.synthesis(torch.stack([w] * G.synthesis.layers, 1)))
    away_from_start(G)
    assert torch.equal(G(z, None, ()), G.synthesis(G.mapping(z)[:, None].expand(-1, 6, -1), ()))


# --- Growth


def test_split_level() -> None:
    expected = {0.0: (0, 1.0), 0.25: (1, 0.25), 1.0: (1, 1.0), 2.75: (3, 0.75), 3.0: (3, 1.0)}
    assert {level: split_level(level, 3) for level in expected} == expected
    assert split_level(None, 3) == (3, 1.0)
    for level in (-0.1, 3.01, float("nan")):
        with pytest.raises(ValueError, match="no level"):
            split_level(level, 3)


def test_no_level_is_the_last() -> None:
    S, D = synthesis(), discriminator()
    ws = styles(S)
    images = S(ws)
    assert torch.equal(images, S(ws, None, 3.0))
    assert torch.equal(D(images), D(images, None, 3.0))


@pytest.mark.parametrize("finest", [1, 2, 3])
def test_generator_fades_in_linearly(finest: int) -> None:
    S = synthesis()
    ws = styles(S)
    smaller, full = S(ws, None, finest - 1), S(ws, None, finest)
    assert full.shape[2] == 2 * smaller.shape[2] == 4 * 2**finest
    for share in (1e-6, 0.25, 0.7, 1 - 1e-6):
        expected = (1 - share) * double(smaller) + share * full
        found = S(ws, None, finest - 1 + share)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert (full - double(smaller)).abs().max() > 0.1


@pytest.mark.parametrize("finest", [1, 2, 3])
def test_discriminator_fades_in_linearly(finest: int) -> None:
    """The maps in which both paths meet; and nothing jumps where a doubling begins or ends."""
    D = discriminator()
    assert isinstance(D, stylegan.Discriminator)
    met: list[Tensor] = []
    meets = D.end if finest == 1 else D.blocks[finest - 2]
    meets.register_forward_pre_hook(lambda _module, inputs: met.append(inputs[0]))
    small = torch.randn(2, 3, 2 * 2**finest, 2 * 2**finest)
    large = double(small) + torch.randn(2, 3, 4 * 2**finest, 4 * 2**finest)
    D(halve(large), None, finest - 1)
    D(large, None, finest)
    D(large, None, finest - 0.3)
    if finest > 1:  # the smaller discriminator's maps enter the same block
        met[0] = D.from_image[finest - 1](halve(large))
    torch.testing.assert_close(met[2], 0.3 * met[0] + 0.7 * met[1], atol=1e-5, rtol=1e-4)
    assert (met[1] - met[0]).abs().max() > 0.1
    begins = D(double(small), None, finest - 1 + 1e-7)
    torch.testing.assert_close(begins, D(small, None, finest - 1), atol=1e-5, rtol=1e-4)
    ends = D(large, None, finest - 1e-7)
    torch.testing.assert_close(ends, D(large, None, finest), atol=1e-5, rtol=1e-4)


def test_real_pictures_at_a_level() -> None:
    images = torch.randn(2, 3, 16, 24)
    assert torch.equal(at_level(images, 2), images)
    for level, size in ((0, (4, 6)), (0.5, (8, 12)), (1, (8, 12)), (1.01, (16, 24))):
        seen = at_level(images, level)
        assert seen.shape == (2, 3, *size)
        torch.testing.assert_close(seen.mean((2, 3)), images.mean((2, 3)), atol=1e-5, rtol=1e-5)
    small = images.view(2, 3, 8, 2, 12, 2).mean((3, 5))
    torch.testing.assert_close(at_level(images, 1), small)
    blurred = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(at_level(images, 1.25), 0.25 * images + 0.75 * blurred)
    torch.testing.assert_close(at_level(images, 1 + 1e-7), blurred, atol=1e-5, rtol=1e-5)


def test_the_networks_grow_on_any_base() -> None:
    S, D = synthesis((1, 28, 56)), discriminator((1, 28, 56))
    real = torch.randn(2, 1, 28, 56)
    for level in (0, 0.5, 1, 1.5, 2, None):
        images = S(styles(S), None, level)
        if level is not None:
            assert images.shape == at_level(real, level).shape
        assert D(images, None, level).shape == (2, 1)


# --- Derivatives, precision, compilation


@pytest.mark.parametrize("level", [None, 0.5])
def test_second_derivative_by_the_styles(level: float | None) -> None:
    S = synthesis((1, 8, 8), 3).double()
    ws = torch.randn(1, S.layers, LATENT, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda ws: S(ws, None, level), (ws,))


def test_path_lengths_through_torch_func() -> None:
    """The gradient by w that StyleGAN2 regularises, differentiated by the weights."""
    S = synthesis((3, 16, 16))
    ws, y = styles(S), torch.randn(2, 3, 16, 16)
    weights = [p for n, p in S.named_parameters() if not n.startswith("to_image.") or ".2." in n]

    def drawn(ws: Tensor) -> Tensor:
        return torch.sum(S(ws) * y)

    by_func = torch.func.grad(drawn)(ws).square().sum()
    leaf = ws.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(drawn(leaf), leaf, create_graph=True)
    for found, expected in zip(
        torch.autograd.grad(by_func, weights, allow_unused=True),
        torch.autograd.grad(gradient.square().sum(), weights, allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("level", [None, 1.5])
def test_bfloat16_is_near_float32(level: float | None) -> None:
    S, D = synthesis(), discriminator()
    for network in (S, D):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ws = styles(S, 4)
    images = S(ws, None, level)
    judged = D(images, None, level)
    with torch.autocast("cpu", torch.bfloat16):
        low = S(ws, None, level)
        low_judged = D(images, None, level)
    assert (low.dtype, low_judged.dtype) == (torch.bfloat16, torch.float32)
    assert (low.float() - images).norm() < 0.03 * images.norm()
    assert (low_judged - judged).norm() < 0.05 * judged.norm()
    assert images.is_contiguous(memory_format=torch.channels_last)
    (low.float().square().sum() + low_judged.square().sum()).backward()
    assert all(p.grad.isfinite().all() for p in S.parameters() if p.grad is not None)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own
def test_compiled_whole_once_a_doubling() -> None:
    from torch._dynamo.testing import CompileCounter

    S, D = synthesis((3, 16, 16)), discriminator((3, 16, 16))
    ws = styles(S)
    counter = CompileCounter()
    fast_S, fast_D = (torch.compile(n, backend=counter, fullgraph=True) for n in (S, D))
    counts = []
    for level in (None, 1.0, 1.1, 1.2, 1.3, 1.7, 2.0):
        images = fast_S(ws, None, level)
        torch.testing.assert_close(images, S(ws, None, level))
        shown = images.detach()
        torch.testing.assert_close(fast_D(shown, None, level), D(shown, None, level))
        counts.append(counter.frame_count)
    assert counts[2:6] == [counts[2]] * 4  # a doubling fades in without compiling anew
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own
def test_compiled_gradients_are_the_eager_ones() -> None:
    S = synthesis((3, 16, 16)).double()  # float32 rounds a good part of small gradients away
    eager = copy.deepcopy(S)
    fast = torch.compile(S, backend="aot_eager", fullgraph=True)
    ws = styles(S).double()
    for network in (fast, eager):
        network(ws).square().sum().backward()
    for found, expected in zip(S.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own
def test_compiled_penalties_are_the_eager_ones() -> None:
    keep_whole_in_graphs()
    D = discriminator((3, 16, 16), classes=2)
    images, labels = torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 0, 1])
    compiled = torch.compile(
        penalties._input_gradient, fullgraph=True, dynamic=False, backend="aot_eager"
    )
    found, expected = (
        torch.autograd.grad(
            gradient(penalties.Plain(D), images, labels, True).square().sum(), list(D.parameters())
        )
        for gradient in (compiled, penalties._input_gradient)
    )
    for fast, slow in zip(found, expected, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-6, rtol=1e-3)
    torch.compiler.reset()
