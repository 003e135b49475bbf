import pytest
import torch

from ganvas.losses.perceptual import perceptual_distance


def test_is_the_papers_equation() -> None:
    a, b = ([torch.randn(2, 3, 4, 5), torch.randn(2, 7, 2, 2)] for _ in range(2))
    weights = [torch.rand(3), torch.rand(7)]
    expected = torch.zeros(2)
    for x, y, w in zip(a, b, weights, strict=True):
        x, y = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
        expected += torch.einsum("c,nchw->n", w, (x - y) ** 2) / x[0, 0].numel()
    torch.testing.assert_close(perceptual_distance(a, b, weights), expected)


def test_without_weights_it_is_one_minus_the_cosine_and_knows_no_scale() -> None:
    a, b = torch.randn(2, 6, 4, 4), torch.randn(2, 6, 4, 4)
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1).mean((1, 2))
    torch.testing.assert_close(perceptual_distance([a], [b]), 1 - cosine)
    torch.testing.assert_close(perceptual_distance([5 * a, a], [b, a]), (1 - cosine) / 2)


def test_gradients_are_finite_where_nothing_is_seen() -> None:
    a = torch.zeros(1, 3, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(perceptual_distance([a], [torch.ones(1, 3, 2, 2)]).sum(), a)
    assert gradient.isfinite().all()


def test_no_or_unequal_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        perceptual_distance([], [])
    with pytest.raises(ValueError, match="shorter"):
        perceptual_distance([torch.ones(1, 1, 1, 1)] * 2, [torch.ones(1, 1, 1, 1)])
