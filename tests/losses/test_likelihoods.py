import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from ganvas.losses.likelihoods import (
    HALF_LEVEL,
    bernoulli_nll,
    density_to_mass,
    dequantise,
    discretised_logistic_nll,
)
from ganvas.losses.reconstruction import gaussian_nll
from ganvas.losses.variational import importance_bound, log_prior_over_posterior

LEVELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1


def test_bernoulli_is_the_log_probability_of_black_and_white() -> None:
    logits = 3 * torch.randn(5, 1, 4, 4)
    white = (torch.rand(5, 1, 4, 4) < 0.5).float()
    expected = -Bernoulli(logits=logits).log_prob(white).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_nll(2 * white - 1, logits), expected)
    one = torch.zeros(1, 1)
    both = (
        bernoulli_nll(one - 1, one + 0.7).neg().exp()
        + bernoulli_nll(one + 1, one + 0.7).neg().exp()
    )
    torch.testing.assert_close(both, torch.ones(1))


def test_grey_is_the_mean_over_its_binarisations() -> None:
    logits, grey = torch.tensor([[1.3]]), torch.tensor([[-0.4]])
    white = (grey.item() + 1) / 2
    ends = [bernoulli_nll(torch.full((1, 1), end), logits).item() for end in (-1.0, 1.0)]
    mean = (1 - white) * ends[0] + white * ends[1]
    assert bernoulli_nll(grey, logits).item() == pytest.approx(mean)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[-2e3, 2e3]], requires_grad=True)
    nll = bernoulli_nll(torch.tensor([[1.0, -1.0]]), logits)
    assert nll.item() == 4e3
    (gradient,) = torch.autograd.grad(nll.sum(), logits)
    assert gradient.tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize("mean", [-1.0, -0.99, 0.013, 0.8, 1.0])
@pytest.mark.parametrize("scale", [1e-3, 0.02, 0.3, 30.0])
def test_masses_of_all_levels_sum_to_one(mean: float, scale: float) -> None:
    means = torch.full((256, 1), mean, dtype=torch.float64)
    log_scale = torch.tensor(math.log(scale), dtype=torch.float64)
    masses = (-discretised_logistic_nll(LEVELS[:, None], means, log_scale)).exp()
    assert masses.sum().item() == pytest.approx(1, abs=1e-12)


def test_a_mass_is_the_difference_of_the_logistic_at_the_edges() -> None:
    log_scale = torch.tensor(-2.0, dtype=torch.float64)
    mean = torch.tensor([[0.1]], dtype=torch.float64)
    for level in (0, 100, 140, 255):
        x = LEVELS[level].view(1, 1)
        edges = [torch.sigmoid((x + h - mean) / log_scale.exp()) for h in (-HALF_LEVEL, HALF_LEVEL)]
        low = 0.0 if level == 0 else edges[0].item()
        high = 1.0 if level == 255 else edges[1].item()
        nll = discretised_logistic_nll(x, mean, log_scale).item()
        assert nll == pytest.approx(-math.log(high - low), rel=1e-9)


def test_a_level_far_from_the_mean_has_a_log_mass_and_a_gradient_in_float32() -> None:
    mean = torch.full((1, 3), 0.9, requires_grad=True)
    target = torch.tensor([[-1.0, -0.5, LEVELS[1].item()]])
    log_scale = torch.tensor(-7.0, requires_grad=True)
    nll = discretised_logistic_nll(target, mean, log_scale)
    wide = discretised_logistic_nll(target.double(), mean.double(), log_scale.double())
    assert nll.item() == pytest.approx(wide.item(), rel=1e-5)
    gradients = torch.autograd.grad(nll.sum(), [mean, log_scale])
    assert all(bool(g.isfinite().all() and g.ne(0).all()) for g in gradients)


def test_masses_are_summed_over_values_and_kept_by_picture() -> None:
    target = torch.rand(4, 3, 2, 2) * 2 - 1
    mean = torch.zeros(4, 3, 2, 2)
    whole = discretised_logistic_nll(target, mean, torch.tensor(-1.0))
    single = discretised_logistic_nll(target.view(-1, 1), mean.view(-1, 1), torch.tensor(-1.0))
    torch.testing.assert_close(whole, single.view(4, -1).sum(1))


def test_a_density_becomes_a_bound_on_the_mass_of_a_level() -> None:
    """Against the Gaussian's exact mass of a level, which is above the bound, by little."""
    density = Normal(torch.tensor(0.2, dtype=torch.float64), 0.01)
    level = LEVELS[153]
    exact = (density.cdf(level + HALF_LEVEL) - density.cdf(level - HALF_LEVEL)).log().item()
    uniform = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    spread = dequantise(level.expand(20_000, 1), uniform[:, None])
    assert spread.min() >= level - HALF_LEVEL
    assert spread.max() <= level + HALF_LEVEL
    nll = gaussian_nll(spread, torch.tensor(0.2, dtype=torch.float64), torch.tensor(math.log(1e-4)))
    bound = -density_to_mass(nll, values=1).mean().item()
    assert exact - 0.05 < bound < exact


def test_an_even_density_over_the_levels_has_eight_bits() -> None:
    width_of_all = 256 * 2 * HALF_LEVEL
    nll = torch.tensor([3 * math.log(width_of_all)])
    bits = density_to_mass(nll, values=3).item() / (3 * math.log(2))
    assert bits == pytest.approx(8, abs=1e-5)


def test_bound_of_equal_weights_is_their_logarithm_and_rises_with_k() -> None:
    torch.testing.assert_close(importance_bound(torch.full((2, 7), -3.0)), torch.full((2,), -3.0))
    weights = torch.randn(500, 64, generator=torch.Generator().manual_seed(0)) * 2
    means = [importance_bound(weights[:, :k]).mean().item() for k in (1, 4, 16, 64)]
    assert means == sorted(means)
    assert abs(means[-1] - 2.0) < 0.4  # log E[exp(2 e)] = 2


def test_bound_is_computed_in_float32() -> None:
    weights = torch.tensor([[-800.0, -801.0]], dtype=torch.bfloat16)
    bound = importance_bound(weights)
    assert bound.dtype == torch.float32
    wide = weights.double().logsumexp(1) - math.log(2)
    assert bound.item() == pytest.approx(wide.item(), rel=1e-6)


def test_prior_over_posterior_is_the_ratio_of_the_densities() -> None:
    mean, log_variance, noise = (torch.randn(6, 3, dtype=torch.float64) for _ in range(3))
    z = mean + (0.5 * log_variance).exp() * noise
    expected = Normal(0.0, 1.0).log_prob(z) - Normal(mean, (0.5 * log_variance).exp()).log_prob(z)
    torch.testing.assert_close(log_prior_over_posterior(z, log_variance, noise), expected.sum(1))
