import torch
from torch import nn

from ganvas.losses.adaptive import adaptive_weight, with_gradient


def test_is_the_ratio_of_gradients_at_the_last_layer() -> None:
    layer, features = nn.Conv2d(5, 3, 3, padding=1), torch.randn(2, 5, 6, 4)
    output = layer(features)
    first, second = output.abs().sum(), (output**2).mean()
    lengths = [torch.autograd.grad(loss, layer.weight, retain_graph=True)[0].norm()
               for loss in (first, second)]  # fmt: skip
    by_output = [torch.autograd.grad(loss, output, retain_graph=True)[0]
                 for loss in (first, second)]  # fmt: skip
    weight = adaptive_weight(features, *by_output)
    torch.testing.assert_close(weight, lengths[0] / (lengths[1] + 1e-4))
    assert not weight.requires_grad


def test_is_bounded_and_in_float32_under_autocast() -> None:
    features, gradient = torch.randn(1, 2, 4, 4), 1e9 * torch.ones(1, 3, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        weight = adaptive_weight(features.bfloat16(), gradient, torch.zeros_like(gradient))
    assert weight == 1e4
    assert weight.dtype == torch.float32


def test_hands_a_gradient_on() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    gradient = torch.randn(3, 4)
    total = with_gradient(torch.tensor(7.25), 2 * x, gradient)
    assert total == 7.25
    torch.testing.assert_close(torch.autograd.grad(total, x)[0], 2 * gradient)
