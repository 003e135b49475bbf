import math

import torch
from torch.distributions import Normal, kl_divergence

from ganvas.losses.reconstruction import gaussian_nll, squared_error
from ganvas.losses.variational import gaussian_kl, reparameterise
from ganvas.models.phase import Batch, Draws
from ganvas.models.vae import GaussianLikelihood, Vae, VaeConfig


def test_kl_is_the_closed_form_of_two_gaussians() -> None:
    mean, log_variance = torch.randn(7, 5), torch.randn(7, 5)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl(mean, log_variance), expected)
    assert gaussian_kl(torch.zeros(3), torch.zeros(3)).abs().max() == 0


def test_gaussian_nll_is_minus_the_log_density_summed_over_elements() -> None:
    target, mean = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
    log_variance = torch.tensor(-1.3)
    density = Normal(mean, math.exp(-0.65)).log_prob(target).sum((1, 2, 3))
    torch.testing.assert_close(gaussian_nll(target, mean, log_variance), -density)
    torch.testing.assert_close(squared_error(target, mean), ((target - mean) ** 2).sum((1, 2, 3)))


def test_reparameterised_samples_have_the_asked_mean_and_variance() -> None:
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    z = reparameterise(torch.tensor(2.0), torch.tensor(math.log(9.0)), noise)
    assert abs(z.mean() - 2) < 0.03
    assert abs(z.std() - 3) < 0.03


def test_bound_is_summed_over_pixels_and_averaged_over_the_batch() -> None:
    """The classic mistake (a mean over pixels) makes the KL term thousands of times too strong."""
    vae = Vae(VaeConfig(width=4, latent_size=6, decoder_variance=0.5), (3, 16, 16)).eval()
    images = torch.rand(8, 3, 16, 16) * 2 - 1
    batch = Batch(images, None, Draws(torch.Generator().manual_seed(1), slice(0, 8), 8))
    losses = vae.negative_elbo(batch)
    mean, log_variance = vae.posterior(images)
    noise = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    output = vae.decode(mean + (0.5 * log_variance).exp() * noise)
    nll = -Normal(output, math.sqrt(0.5)).log_prob(images).sum((1, 2, 3)).mean()
    kl = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(losses.total, nll + kl)
    torch.testing.assert_close(losses.parts["kl"], kl)


def test_learned_variance_goes_to_the_mean_squared_error() -> None:
    likelihood = GaussianLikelihood("learned")
    optimizer = torch.optim.Adam(likelihood.parameters(), 1e-3)
    error = 0.1 * torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(700):
        optimizer.zero_grad()
        gaussian_nll(error, torch.zeros_like(error), likelihood()).mean().backward()
        optimizer.step()
    assert abs(likelihood().exp().item() / error.square().mean().item() - 1) < 0.05


def test_fixed_variance_stays() -> None:
    likelihood = GaussianLikelihood(0.25)
    assert not any(p.requires_grad for p in likelihood.parameters())
    torch.testing.assert_close(likelihood().exp(), torch.tensor(0.25))
