import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ganvas.networks.layers.convolution import Double, Halve
from ganvas.networks.layers.spectral_norm import spectral_norm

Make = Callable[[], nn.Module]

every_layer = pytest.mark.parametrize(
    ("make", "axis", "inputs"),
    [
        (lambda: nn.Linear(6, 5), 0, torch.randn(4, 6)),
        (lambda: nn.Conv2d(3, 5, 3), 0, torch.randn(2, 3, 8, 8)),
        (lambda: nn.ConvTranspose2d(3, 5, 4), 1, torch.randn(2, 3, 8, 8)),
        (lambda: Halve(3, 5), 0, torch.randn(2, 3, 8, 8)),
        (lambda: Double(3, 5), 1, torch.randn(2, 3, 8, 8)),
        (lambda: nn.Embedding(7, 5), 0, torch.tensor([1, 6])),
    ],
    ids=["linear", "conv", "transposed", "halve", "double", "embedding"],
)


def sigma(weight: Tensor, axis: int = 0) -> Tensor:
    """The largest singular value, by decomposition."""
    norm: Tensor = torch.linalg.matrix_norm(weight.detach().transpose(0, axis).flatten(1), ord=2)
    return norm


def original(layer: nn.Module) -> nn.Parameter:
    return dict(layer.named_parameters())["parametrizations.weight.original"]


def weight_of(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


@every_layer
def test_largest_singular_value_becomes_1(make: Make, axis: int, inputs: Tensor) -> None:
    layer = spectral_norm(make())
    for _ in range(200):
        layer(inputs)
    assert sigma(weight_of(layer), axis).item() == pytest.approx(1, abs=1e-4)
    ratio = original(layer) / weight_of(layer)
    torch.testing.assert_close(ratio.mean(), sigma(original(layer), axis), atol=1e-3, rtol=1e-3)


@every_layer
def test_first_pass_is_normalised_already(make: Make, axis: int, inputs: Tensor) -> None:
    assert sigma(weight_of(spectral_norm(make())), axis).item() == pytest.approx(1, abs=0.1)


def test_follows_the_weights_one_step_in_each_pass() -> None:
    """Algorithm 1 step by step."""
    layer = spectral_norm(nn.Linear(4, 3))
    W, u = original(layer).detach().double(), layer.state_dict()["parametrizations.weight.0.u"]
    v = W.T @ u.double()
    v /= v.norm()
    u = W @ v
    s = u.norm()
    u /= s
    assert torch.allclose(weight_of(layer).double(), W / s)
    assert torch.allclose(layer.state_dict()["parametrizations.weight.0.u"].double(), u)


def test_float32_under_autocast() -> None:
    layer = spectral_norm(nn.Conv2d(8, 16, 3)).eval()
    expected = weight_of(layer)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(weight_of(layer), expected)
        assert layer(torch.randn(1, 8, 4, 4)).dtype == torch.bfloat16


def test_evaluation_changes_nothing_and_depends_on_directions_alone() -> None:
    layer = spectral_norm(nn.Linear(6, 5)).eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    expected = weight_of(layer)
    assert torch.equal(weight_of(layer), expected)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
    with torch.no_grad():
        dict(layer.named_buffers())["parametrizations.weight.0.u"].mul_(1e-3)
    torch.testing.assert_close(weight_of(layer), expected)


def test_average_of_two_networks_is_normalised() -> None:
    """As the moving average makes it: weights and vectors averaged, the vector no longer unit."""
    layer = spectral_norm(nn.Linear(12, 9))
    average = copy.deepcopy(layer).eval()
    x = torch.randn(2, 12)
    for _ in range(300):
        with torch.no_grad():
            original(layer).add_(0.01 * torch.randn(9, 12))
        layer(x)
        for mean, new in zip(
            average.state_dict().values(), layer.state_dict().values(), strict=True
        ):
            mean.lerp_(new, 0.05)
    assert sigma(weight_of(average)).item() == pytest.approx(1, abs=0.02)


def test_gradient_is_that_of_torchs_implementation() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(6, 5).double()
    theirs = parametrizations.spectral_norm(copy.deepcopy(plain), n_power_iterations=200)
    ours = spectral_norm(plain)
    x, target = torch.randn(4, 6).double(), torch.randn(4, 5).double()
    for _ in range(200):
        ours(x)
    for layer in (ours, theirs):
        (layer(x) * target).sum().backward()
    (found, expected) = (original(layer).grad for layer in (ours, theirs))
    assert found is not None
    torch.testing.assert_close(found, expected)
    # And that of the exact division.
    W = original(ours).detach().requires_grad_()
    exact = nn.functional.linear(x, W / torch.linalg.matrix_norm(W, ord=2), ours.bias.detach())
    (slope,) = torch.autograd.grad((exact * target).sum(), W)
    torch.testing.assert_close(found, slope, atol=1e-6, rtol=1e-5)


def test_second_derivatives() -> None:
    layer = spectral_norm(nn.Linear(4, 3).double()).eval()
    x = torch.randn(2, 4, dtype=torch.float64)

    def norm_of_gradient(weight: Tensor) -> Tensor:
        def output(x: Tensor) -> Tensor:
            values: Tensor = torch.func.functional_call(
                layer, {"parametrizations.weight.original": weight}, x
            )
            return values.square().sum()

        gradient: Tensor = torch.func.grad(output)(x)
        return gradient.square().sum()

    # Of the formula with u' and v held constant, as they are for numbers that do not move them.
    W = original(layer).detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(norm_of_gradient(W), W)
    u = dict(layer.named_buffers())["parametrizations.weight.0.u"]
    v = nn.functional.normalize(u @ W.detach(), dim=0)
    u = nn.functional.normalize(W.detach() @ v, dim=0)

    def closed_form(weight: Tensor) -> Tensor:
        V = weight / (u @ weight @ v)
        return (2 * (x @ V.T + layer.bias.detach()) @ V).square().sum()

    torch.testing.assert_close(found, torch.func.grad(closed_form)(W.detach()))


def test_several_passes_before_one_backward() -> None:
    """A discriminator sees real and fake images in turn; each pass keeps its own vectors."""
    layer = spectral_norm(nn.Linear(4, 3))
    (layer(torch.randn(2, 4)).sum() + layer(torch.randn(2, 4)).sum()).backward()
    gradient = original(layer).grad
    assert gradient is not None
    assert gradient.any()


def test_steps_of_an_unrolled_discriminator() -> None:
    """Weights that are results of other steps, differentiated through (Metz et al. 2017)."""
    network = nn.Sequential(
        spectral_norm(nn.Linear(3, 4)), nn.ReLU(), spectral_norm(nn.Linear(4, 1))
    )
    x = torch.randn(5, 3, requires_grad=True)
    weights: dict[str, Tensor] = dict(network.named_parameters())
    for _ in range(2):
        loss = torch.func.functional_call(network, weights, x).square().sum()
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        weights = {
            name: weight - 0.1 * gradient
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
    output = torch.func.functional_call(network, weights, x.detach()).sum()
    (slope,) = torch.autograd.grad(output, x)  # only by way of the steps
    assert slope.any()


def test_layers_without_weights_are_refused() -> None:
    with pytest.raises(TypeError, match="no weight"):
        spectral_norm(nn.BatchNorm2d(3, affine=False))
