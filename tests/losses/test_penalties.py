import torch
from torch import Tensor, nn

from ganvas.losses.penalties import r1
from ganvas.networks.dcgan import Discriminator


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(12))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return x.flatten(1) @ self.weight[:, None]


def test_r1_of_a_linear_discriminator_is_its_squared_weight_per_sample() -> None:
    network = Linear()
    penalty = r1(network, torch.randn(5, 3, 2, 2))
    torch.testing.assert_close(penalty, network.weight.square().sum().expand(5))
    (gradient,) = torch.autograd.grad(penalty.mean(), network.weight)
    torch.testing.assert_close(gradient, 2 * network.weight)


def test_r1_is_that_of_autograd_and_leaves_running_statistics_alone() -> None:
    network = Discriminator((3, 16, 16), 4)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    images = torch.randn(6, 3, 16, 16)
    mine = r1(network, images)
    mine_by_weight = torch.autograd.grad(mine.mean(), list(network.parameters()))
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name])

    x = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    theirs = gradient.square().sum((1, 2, 3))
    theirs_by_weight = torch.autograd.grad(theirs.mean(), list(network.parameters()))
    torch.testing.assert_close(mine, theirs)
    for ours, other in zip(mine_by_weight, theirs_by_weight, strict=True):
        torch.testing.assert_close(ours, other)
