import copy
import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganvas.data.builtin.avatars import generate
from ganvas.losses.penalties import (
    dragan_points,
    gradient_penalty,
    input_gradient,
    interpolate,
    orthogonal,
    r1,
    r2,
    zero_centred,
)
from ganvas.networks import Kind, build_discriminator, dcgan
from ganvas.networks.layers.spectral_norm import spectral_norm


class Linear(nn.Module):
    """D(x) = <w, x>, whose gradient is w everywhere."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return x.flatten(1) @ self.weight[:, None]


class Cubic(Linear):
    """D(x) = <w, x^3> / 3, whose gradient w x^2 is another one for each sample."""

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return super().forward(x**3 / 3, labels)


def small(norm: nn.Module | None = None, activation: nn.Module | None = None) -> nn.Module:
    """A network with convolutions of every form that the penalties rewrite."""
    middle = [norm] if norm else []
    return Judge(
        nn.Conv2d(3, 8, 3, padding=1),
        activation or nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(8, 8, 4, stride=2, padding=1, groups=2, bias=False),
        *middle,
        nn.ReLU(),
        nn.Conv2d(8, 8, (3, 2), stride=(2, 3), padding=(0, 1), dilation=(1, 2)),
        nn.LeakyReLU(0.1),
        nn.Conv2d(8, 4, 3, padding="same"),
        nn.Softplus(),
        nn.Flatten(),
        nn.LazyLinear(1),
    )


class Judge(nn.Module):
    """The layers as a discriminator of (3, 9, 10) that ignores labels."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.layers(torch.randn(2, 3, 9, 10))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        output: Tensor = self.layers(x)
        return output


def usual_squared_norm(network: nn.Module, images: Tensor) -> Tensor:
    """|grad_x D|^2 by sample, by autograd alone."""
    x = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x, None).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def by_weights(penalty: Tensor, network: nn.Module) -> list[Tensor]:
    return list(
        torch.autograd.grad(
            penalty.mean(), list(network.parameters()), allow_unused=True, materialize_grads=True
        )
    )


def assert_all_close(ours: list[Tensor], others: list[Tensor], tolerance: float) -> None:
    """Each within the tolerance of the largest number of its tensor."""
    for mine, other in zip(ours, others, strict=True):
        scale = float(other.abs().max())
        torch.testing.assert_close(mine, other, rtol=0, atol=tolerance * (scale or 1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "rectifiers": small,
    "batch norm": lambda: small(nn.BatchNorm2d(8)),
    "group norm": lambda: small(nn.GroupNorm(1, 8)),
    "smooth": lambda: small(activation=nn.SiLU()),
}


# --- the zero-centred penalties -------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 8, 64])
def test_r1_of_a_linear_discriminator_is_its_squared_weight_per_sample(batch: int) -> None:
    network = Linear(torch.randn(12, dtype=torch.float64))
    penalty = r1(network, torch.randn(batch, 3, 2, 2, dtype=torch.float64))
    torch.testing.assert_close(penalty, network.weight.square().sum().expand(batch))
    (gradient,) = by_weights(penalty, network)
    torch.testing.assert_close(gradient, 2 * network.weight)


def test_zero_centred_penalties_are_each_samples_own() -> None:
    network, x = Cubic(torch.randn(12, dtype=torch.float64)), torch.randn(8, 12).double()
    for penalty in (r1, r2, zero_centred):
        torch.testing.assert_close(
            penalty(network, x), (network.weight * x.square()).square().sum(1)
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_penalty_and_its_gradient_are_those_of_autograd(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]().double()
    images = torch.randn(6, 3, 9, 10, dtype=torch.float64)
    before = {key: buffer.clone() for key, buffer in network.named_buffers()}
    mine = r1(network, images)
    mine_by_weight = by_weights(mine, network)
    for key, buffer in network.named_buffers():  # running statistics stay as they are
        assert torch.equal(buffer, before[key])

    theirs = usual_squared_norm(network, images)
    torch.testing.assert_close(mine, theirs)
    assert_all_close(mine_by_weight, by_weights(theirs, network), 1e-10)


def test_the_gradient_by_the_weights_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    network = small(activation=nn.SiLU()).double()
    images = torch.randn(2, 3, 9, 10, dtype=torch.float64)
    weight = next(network.parameters())
    (gradient, *_) = by_weights(r1(network, images), network)
    step = torch.zeros_like(weight)
    step[1, 2, 0, 1] = 1e-6
    with torch.no_grad():
        weight.add_(step)
        above = r1(network, images).mean()
        weight.sub_(2 * step)
        below = r1(network, images).mean()
    torch.testing.assert_close(gradient[1, 2, 0, 1], (above - below) / 2e-6, rtol=1e-5, atol=0)


def test_weights_that_do_not_matter_get_a_gradient_of_zero() -> None:
    """As autograd's own: None would make Adam skip them, with stale averages."""
    network = Linear(torch.randn(12))
    network.bias = nn.Parameter(torch.zeros(()))
    by_weight, by_bias = torch.autograd.grad(
        r1(network, torch.randn(5, 12)).mean(), list(network.parameters())
    )
    assert by_weight.abs().max() > 0
    assert by_bias == 0


def test_penalties_are_float32_under_autocast() -> None:
    torch.manual_seed(0)
    network, images = small(), torch.randn(4, 3, 9, 10)
    expected = r1(network, images)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = r1(network, images)
        rounded = r1(network, images.bfloat16())
        one_centred = gradient_penalty(network, images)
    assert penalty.dtype == rounded.dtype == one_centred.dtype == torch.float32
    for found in (penalty, rounded):
        torch.testing.assert_close(found, expected, rtol=0.1, atol=0)


@pytest.mark.parametrize("penalty", [r1, gradient_penalty])
@pytest.mark.parametrize("kind", ["dcgan", "resnet", "r3gan"])
def test_bfloat16_moves_a_penalty_s_gradient_less_than_another_batch_would(
    kind: Kind, penalty: Callable[[nn.Module, Tensor], Tensor]
) -> None:
    """The noise of sampling: how far apart the gradients of batches of 64 pictures lie."""
    network = build_discriminator(kind, (3, 32, 32), 8, norm="none")
    for parameter in network.parameters():  # r3gan's blocks begin with zeros
        torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    parameters = list(network.parameters())

    def gradient(images: Tensor, dtype: torch.dtype) -> Tensor:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            total = penalty(network, images).mean()
        return torch.cat([g.flatten() for g in torch.autograd.grad(total, parameters)])

    pictures = torch.from_numpy(generate(range(256), (32, 32))).permute(0, 3, 1, 2) / 127.5 - 1
    batches = pictures.chunk(4)
    exact = torch.stack([gradient(batch, torch.float32) for batch in batches])
    rounded = torch.stack([gradient(batch, torch.bfloat16) for batch in batches])
    assert not torch.equal(rounded, exact)
    noise = exact.std(0).norm()
    assert (rounded - exact).norm(dim=1).mean() < 0.5 * noise


def test_labels_reach_a_conditional_network() -> None:
    network = dcgan.Discriminator((3, 16, 16), 4, classes=3, norm="none")
    image = torch.randn(1, 3, 16, 16).expand(3, -1, -1, -1)
    penalties = r1(network, image, torch.arange(3))
    assert len(set(penalties.tolist())) == 3


# --- the one-centred penalties --------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 8, 64])
@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_gradient_penalty_of_a_linear_discriminator_is_exact(batch: int, norm: float) -> None:
    weight = torch.randn(12, dtype=torch.float64)
    network = Linear(norm * weight / weight.norm())
    points = torch.randn(batch, 3, 2, 2, dtype=torch.float64)
    two_sided = gradient_penalty(network, points)
    one_sided = gradient_penalty(network, points, one_sided=True)
    expected = torch.full((batch,), (norm - 1) ** 2, dtype=torch.float64)
    torch.testing.assert_close(two_sided, expected, atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(one_sided, expected * (norm > 1), atol=1e-12, rtol=1e-9)
    (gradient,) = by_weights(two_sided, network)  # 2 (|w| - 1) w / |w|
    torch.testing.assert_close(gradient, 2 * (norm - 1) * network.weight / norm)


def test_gradient_penalty_takes_the_norm_of_each_sample() -> None:
    """A norm over the batch, or of the mean gradient, would be another number."""
    network, x = Cubic(torch.randn(12, dtype=torch.float64)), torch.randn(8, 12).double()
    norms = (network.weight * x.square()).norm(dim=1)
    torch.testing.assert_close(gradient_penalty(network, x), (norms - 1) ** 2)
    torch.testing.assert_close(
        gradient_penalty(network, x, one_sided=True), torch.relu(norms - 1) ** 2
    )
    alone = torch.cat([gradient_penalty(network, row) for row in x.split(1)])
    torch.testing.assert_close(gradient_penalty(network, x), alone)


@pytest.mark.parametrize("one_sided", [False, True])
def test_a_gradient_of_zero_has_a_finite_derivative(one_sided: bool) -> None:
    network = Linear(torch.zeros(12))
    penalty = gradient_penalty(network, torch.randn(4, 12), one_sided=one_sided)
    torch.testing.assert_close(penalty, torch.full((4,), 0.0 if one_sided else 1.0))
    (gradient,) = by_weights(penalty, network)
    assert torch.equal(gradient, torch.zeros(12))


def test_interpolated_points_lie_between_by_each_samples_share() -> None:
    real, fake = torch.ones(3, 3, 2, 2), torch.full((3, 3, 2, 2), -1.0)
    points = interpolate(real, fake, torch.tensor([0.0, 0.25, 1.0]))
    for point, expected in zip(points, (-1.0, -0.5, 1.0), strict=True):
        assert torch.equal(point, torch.full((3, 2, 2), expected))
    assert interpolate(torch.ones(5, 2), torch.zeros(5, 2), torch.rand(5)).shape == (5, 2)


def test_dragan_disturbs_by_half_the_deviation_of_the_batch() -> None:
    torch.manual_seed(0)
    real = 3 * torch.randn(256, 3, 4, 4)
    noise, share = torch.rand_like(real), torch.rand(256)
    moved = dragan_points(real, noise, share) - real
    assert torch.equal(dragan_points(real, noise, torch.zeros(256)), real)
    largest = 0.5 * float(real.std())
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= largest * 1.001
    # Products of two numbers uniform in [0, 1]: mean 1/4, mean square 1/9.
    assert float(moved.mean()) == pytest.approx(largest / 4, rel=0.1)
    assert float(moved.square().mean()) == pytest.approx(largest**2 / 9, rel=0.15)
    # One share a sample: its largest movement is its share of the largest.
    assert torch.all(moved.flatten(1).amax(1) <= share * largest * 1.001)
    torch.testing.assert_close(moved.flatten(1).mean(1), share * largest / 2, rtol=0.35, atol=0.01)


# --- what the network sees ------------------------------------------------------------------------


def turn_and_dim(images: Tensor) -> Tensor:
    """Something linear in the images that mixes pixels and has a gradient of its own."""
    return 0.5 * images.roll(1, 3).flip(2) + 0.1 * images.mean((1, 2, 3), keepdim=True)


def warp(images: Tensor) -> Tensor:
    """Something that is not."""
    return torch.tanh(turn_and_dim(images))


@pytest.mark.parametrize("transform", [turn_and_dim, warp])
def test_the_gradient_is_that_by_the_images_before_the_transform(
    transform: Callable[[Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    network = small(activation=nn.SiLU()).double()
    images = torch.randn(2, 3, 9, 10, dtype=torch.float64)
    gradient = input_gradient(network, images, None, transform)
    step = torch.zeros_like(images)
    step[1, 2, 3, 4] = 1e-6
    with torch.no_grad():
        slope = (network(transform(images + step)) - network(transform(images - step))).sum() / 2e-6
    torch.testing.assert_close(gradient[1, 2, 3, 4].detach(), slope, rtol=1e-6, atol=1e-12)

    x = images.clone().requires_grad_()
    (theirs,) = torch.autograd.grad(network(transform(x)).sum(), x, create_graph=True)
    torch.testing.assert_close(gradient, theirs)
    mine_by_weight = by_weights(zero_centred(network, images, None, transform), network)
    assert_all_close(mine_by_weight, by_weights(theirs.square().flatten(1).sum(1), network), 1e-10)


def test_a_transform_draws_its_random_numbers_once() -> None:
    calls = []

    def dim(images: Tensor) -> Tensor:
        calls.append(1)
        return images * torch.rand(len(images), 1)

    r1(Linear(torch.randn(12)), torch.randn(5, 12), None, dim)
    assert len(calls) == 1


# --- the penalty on weights -----------------------------------------------------------------------


def test_orthogonal_rows_of_any_length_are_free() -> None:
    layer = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        turned = torch.linalg.qr(torch.randn(3, 3)).Q * torch.tensor([0.5, 1.0, 4.0])[:, None]
        layer.weight.copy_(turned)
    assert float(orthogonal(layer).detach()) == pytest.approx(0, abs=1e-8)


def test_orthogonal_is_the_formula_over_all_matrices_and_no_others() -> None:
    torch.manual_seed(0)
    linear, convolution = nn.Linear(4, 3), nn.Conv2d(3, 2, 3)
    transposed = nn.ConvTranspose2d(2, 5, 3)
    others = nn.Embedding(7, 6), nn.BatchNorm2d(5)
    network = nn.Sequential(linear, convolution, transposed, *others)
    expected = torch.zeros(())
    for weight in (linear.weight, convolution.weight, transposed.weight.transpose(0, 1)):
        W = weight.flatten(1)
        expected = expected + (W @ W.T * (1 - torch.eye(len(W)))).square().sum()
    with torch.autocast("cpu", torch.bfloat16):
        penalty = orthogonal(network)
    torch.testing.assert_close(penalty, expected)


def test_orthogonal_of_a_spectrally_normalised_layer_is_that_of_its_own_weight() -> None:
    layer = nn.Conv2d(3, 4, 3)
    expected = orthogonal(layer)
    torch.testing.assert_close(orthogonal(spectral_norm(layer)), expected)


def test_the_steepest_descent_of_orthogonal_is_that_of_the_formula() -> None:
    """4 (W W^T * (1 - I)) W."""
    layer = nn.Linear(5, 3, bias=False).double()
    (gradient,) = torch.autograd.grad(orthogonal(layer), layer.weight)
    W = layer.weight
    torch.testing.assert_close(gradient, 4 * (W @ W.T * (1 - torch.eye(3))) @ W)


# --- compiled -------------------------------------------------------------------------------------


needs_a_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="torch.compile on a CPU needs a C++ compiler",
)


@pytest.mark.slow
@needs_a_compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own, as it compiles
@pytest.mark.parametrize("norm", ["batch", "spectral"])
def test_compiled_gradients_are_the_eager_ones(norm: str) -> None:
    """By the weights, for R1 and WGAN-GP, of the networks as training compiles them."""
    torch.manual_seed(0)
    network: nn.Module = small(nn.BatchNorm2d(8) if norm == "batch" else None)
    if norm == "spectral":
        for layer in list(network.modules()):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                spectral_norm(layer)
    eager, images = copy.deepcopy(network), torch.randn(6, 3, 9, 10)
    before = {key: buffer.clone() for key, buffer in network.named_buffers()}
    network.compile()
    for penalty in (r1, gradient_penalty):
        fast = by_weights(penalty(network, images), network)
        slow = by_weights(penalty(eager, images), eager)
        assert max(float(g.abs().max()) for g in slow) > 1e-4
        assert_all_close(fast, slow, 1e-5)
    for key, buffer in network.named_buffers():
        assert torch.equal(buffer, before[key])
    seen = zero_centred(network, images, None, turn_and_dim)
    torch.testing.assert_close(seen, zero_centred(eager, images, None, turn_and_dim))
