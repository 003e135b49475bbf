"""What every generator and discriminator must do, for the tests of single networks."""

import copy
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganvas.losses.penalties import input_gradient

LATENT, N = 8, 3


def count(build: Callable[[], nn.Module]) -> int:
    """Parameters of a network that is not drawn: paper sizes take no time and no memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in build().parameters())


def labels_for(classes: int) -> Tensor | None:
    return torch.arange(N) % classes if classes else None


def check_generator(network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """Shapes and ranges in both modes and under autocast; a single picture in evaluation."""
    z, labels = torch.randn(N, LATENT), labels_for(classes)
    with torch.no_grad():
        for parameter in network.parameters():  # gains of 0 would hide what they multiply
            parameter.add_(0.02 * torch.randn_like(parameter))
    for _ in range(2):
        images = network(z, labels)
        assert images.shape == (N, *shape)
        assert images.abs().max() <= 1
        assert images.std() > 0.01
        network.eval()
    alone = network(z[1:2], None if labels is None else labels[1:2])
    torch.testing.assert_close(alone, images[1:2], atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        low = network(z, labels).float()
    assert (low - images).square().mean() < 0.01 * images.square().mean()
    if labels is not None:
        assert not torch.allclose(network(z, 1 - labels.clamp(max=1)), images)


def check_discriminator(network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """Shapes in both modes and under autocast; the classes matter."""
    images, labels = torch.rand(N, *shape) * 2 - 1, labels_for(classes)
    for _ in range(2):
        outputs = network(images, labels)
        assert outputs.shape[0] == N
        assert torch.isfinite(outputs).all()
        network.eval()
    with torch.autocast("cpu", torch.bfloat16):
        low = network(images, labels).float()
    assert (low - outputs).norm() < 0.1 * outputs.norm()
    if labels is not None:
        assert not torch.allclose(network(images, 1 - labels.clamp(max=1)), outputs)


def check_every_parameter_learns(network: nn.Module, *inputs: Tensor | None) -> None:
    """Away from the zeros at which gains begin, which hold back gradients for one step."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(0.5)
    output = network(*inputs)
    (output * torch.randn_like(output)).sum().backward()
    idle = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert not idle


def check_penalty(network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """`input_gradient` is autograd's, and differentiable by the weights; buffers stay."""
    images, labels = torch.rand(N, *shape) * 2 - 1, labels_for(classes)
    network.eval()  # so that plain autograd sees the same normalisation
    before = copy.deepcopy(network.state_dict())
    found = input_gradient(network, images, labels)
    x = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(x, labels).sum(), x, create_graph=True)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)
    parameters = list(network.parameters())
    slopes, expected_slopes = (
        torch.autograd.grad(
            gradient.square().sum(), parameters, allow_unused=True, materialize_grads=True
        )
        for gradient in (found, expected)
    )
    assert sum(bool(slope.any()) for slope in expected_slopes) > len(parameters) // 3
    for slope, expected_slope in zip(slopes, expected_slopes, strict=True):
        torch.testing.assert_close(slope, expected_slope, atol=1e-5, rtol=1e-3)
    network.train()
    assert torch.isfinite(input_gradient(network, images, labels)).all()
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


def check_copies(build: Callable[[], nn.Module], *inputs: Tensor | None) -> None:
    """The same seed draws the same network; a copy and a loaded one are the network they are of."""
    networks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks.append(build())
    same, other = (
        all(torch.equal(a, b) for a, b in zip(p.parameters(), q.parameters(), strict=True))
        for p, q in pairwise(networks)
    )
    assert same
    assert not other
    network, _, loaded = networks
    network(*inputs)  # moves running statistics and singular vectors
    loaded.load_state_dict(network.state_dict())
    copied = copy.deepcopy(network)
    expected = network.eval()(*inputs)
    assert torch.equal(copied.eval()(*inputs), expected)
    assert torch.equal(loaded.eval()(*inputs), expected)
    with torch.no_grad():
        next(network.parameters()).mul_(3).add_(1)
    assert torch.equal(copied(*inputs), expected)
