import torch

from ganvas.networks.layers.attention import SelfAttention


def test_adds_nothing_at_first_but_learns_to() -> None:
    layer = SelfAttention(16)
    x = torch.randn(2, 16, 4, 6)
    output = layer(x)
    assert torch.equal(output, x)
    (output * torch.randn_like(output)).sum().backward()
    assert layer.gamma.grad is not None
    assert layer.gamma.grad != 0


def test_equations_place_by_place() -> None:
    """Equations 1 to 3, written as loops over places, keys and values being 2 x 2 maxima."""
    torch.manual_seed(0)
    layer = SelfAttention(8)
    with torch.no_grad():
        layer.gamma.fill_(0.7)
    x = torch.randn(1, 8, 4, 2)
    query, key, value, output = (
        m.weight.detach()[:, :, 0, 0] for m in (layer.query, layer.key, layer.value, layer.output)
    )
    windows = [x[0, :, 2 * i : 2 * i + 2, :].flatten(1) for i in range(2)]
    keys = torch.stack([(key @ window).amax(1) for window in windows])
    values = torch.stack([(value @ window).amax(1) for window in windows])
    found = layer(x)
    for row in range(4):
        for column in range(2):
            here = x[0, :, row, column]
            shares = torch.softmax(keys @ (query @ here), 0)
            expected = here + 0.7 * output @ (shares @ values)
            torch.testing.assert_close(found[0, :, row, column], expected)


def test_few_channels_and_second_derivatives() -> None:
    layer = SelfAttention(2).double()
    with torch.no_grad():
        layer.gamma.fill_(1.0)
    x = torch.randn(1, 2, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)


def test_under_autocast() -> None:
    layer = SelfAttention(16)
    with torch.no_grad():
        layer.gamma.fill_(1.0)
    x = torch.randn(2, 16, 8, 8)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x.bfloat16())
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.02 * expected.norm()
