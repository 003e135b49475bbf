import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ganvas.errors import ConfigError
from ganvas.losses.likelihoods import bernoulli_nll
from ganvas.losses.reconstruction import gaussian_nll, squared_error
from ganvas.losses.variational import gaussian_kl, reparameterise
from ganvas.models.phase import Batch, Draws
from ganvas.models.schedule import Schedule
from ganvas.models.vae import Vae
from ganvas.models.vae_config import LikelihoodKind, VaeConfig
from ganvas.models.vae_likelihood import (
    BernoulliLikelihood,
    GaussianLikelihood,
    LogisticLikelihood,
)


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


SHAPE = (1, 12, 12)
SMALL = {"networks": "mlp", "hidden": (16, 8), "latent_size": 5}


def test_configurations_of_before_still_load_and_mean_the_same() -> None:
    before = {
        "name": "vae", "networks": "dcgan", "latent_size": 64, "width": 64,
        "decoder_variance": "learned", "conditional": False,
    }  # fmt: skip
    assert VaeConfig.parse(before) == VaeConfig()
    names = set(Vae(VaeConfig(width=4), (3, 16, 16)).state_dict())
    assert "likelihood.scaled_log_variance" in names


def test_settings_that_do_not_go_together_are_refused() -> None:
    for values, said in (
        ({"hidden": [20]}, "networks=mlp"),
        ({"likelihood": "bernoulli", "decoder_variance": 0.1}, "decoder_variance is of gaussian"),
        ({"importance_samples": 5, "beta": 4}, "leave beta at 1"),
        ({"networks": "mlp", "hidden": []}, "at least 1"),
    ):
        with pytest.raises(ConfigError, match=said):
            VaeConfig.parse(values)


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic"])
def test_points_have_no_levels(likelihood: LikelihoodKind) -> None:
    with pytest.raises(ConfigError, match="points in a plane"):
        Vae(VaeConfig(networks="mlp", likelihood=likelihood), (2,))


def test_hidden_gives_the_layers_of_both_networks() -> None:
    vae = Vae(VaeConfig.parse(SMALL), SHAPE)
    sizes = [
        [layer.weight.shape[0] for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
        for network in (vae.encoder, vae.decoder)
    ]
    assert sizes == [[16, 8, 10], [8, 16, 144]]


def test_beta_weighs_the_kl_term_and_warms_up() -> None:
    """In the first tenth of the training the weight rises from 0 to 4."""
    config = VaeConfig.parse({**SMALL, "beta": Schedule(start=0, end=4, until=0.1)})
    vae = Vae(config, SHAPE)
    for progress, beta in ((0.0, 0.0), (0.05, 2.0), (0.1, 4.0), (0.9, 4.0)):
        losses = vae.negative_elbo(batch_of(torch.rand(4, *SHAPE) * 2 - 1, progress))
        expected = losses.parts["reconstruction"] + beta * losses.parts["kl"]
        torch.testing.assert_close(losses.total, expected)


@pytest.mark.parametrize("conditional", [False, True])
def test_importance_bound_is_that_of_the_papers_equation(conditional: bool) -> None:
    """Equation 8, each of whose terms is written out by torch.distributions."""
    config = VaeConfig.parse(
        {**SMALL, "likelihood": "bernoulli", "importance_samples": 7, "conditional": conditional}
    )
    vae = Vae(config, SHAPE, ("a", "b"))
    images = torch.rand(3, *SHAPE).round() * 2 - 1
    batch = batch_of(images)
    batch.labels = torch.tensor([0, 1, 1]) if conditional else None
    (phase,) = vae.phases()
    losses = phase.loss(batch)
    mean, log_variance = vae.posterior(images, batch.labels)
    deviation = (0.5 * log_variance).exp()
    noise = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(1))
    terms = []
    for i in range(7):
        z = mean + deviation * noise[:, i]
        log_p = -bernoulli_nll(images, vae.decoder(z, batch.labels))
        log_p = log_p + Normal(0.0, 1.0).log_prob(z).sum(1)
        terms.append(log_p - Normal(mean, deviation).log_prob(z).sum(1))
    weights = torch.stack(terms, 1).double()
    torch.testing.assert_close(losses.total.double(), -weights.exp().mean(1).log().mean())
    torch.testing.assert_close(losses.parts["elbo"].double(), -weights.mean())
    assert losses.total < losses.parts["elbo"]


def test_what_each_likelihood_draws_is_the_mean_of_its_pictures() -> None:
    output = torch.tensor([[-30.0, -1.0, 0.0, 2.0, 30.0]])
    mean = BernoulliLikelihood().mean(output)
    torch.testing.assert_close(mean, 2 * output.sigmoid() - 1)
    for likelihood in (GaussianLikelihood("learned"), LogisticLikelihood()):
        assert (likelihood.mean(output) == output).all()


def test_learned_scale_goes_to_that_of_the_errors() -> None:
    """Of a logistic with scale s the standard deviation is pi s / sqrt 3."""
    likelihood = LogisticLikelihood()
    optimizer = torch.optim.Adam(likelihood.parameters(), 1e-3)
    uniform = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    levels = ((0.05 * uniform.logit()).clamp(-1, 1) * 127.5).round() / 127.5
    for _ in range(400):
        optimizer.zero_grad()
        likelihood.nll(levels, torch.zeros_like(levels)).mean().backward()
        optimizer.step()
    assert abs(likelihood.measures()["scale"].item() / 0.05 - 1) < 0.05


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "logistic"])
def test_samples_may_be_split_into_micro_batches(likelihood: LikelihoodKind) -> None:
    """The numbers drawn for a picture do not depend on how the batch is divided."""
    config = VaeConfig.parse({**SMALL, "likelihood": likelihood, "importance_samples": 3})
    vae = Vae(config, SHAPE)
    images = torch.rand(6, *SHAPE) * 2 - 1
    whole = vae.negative_importance_bound(batch_of(images)).total
    parts = []
    for rows in (slice(0, 2), slice(2, 6)):
        draws = Draws(torch.Generator().manual_seed(1), rows, 6)
        total = vae.negative_importance_bound(Batch(images[rows], None, draws)).total
        parts.append(total * (rows.stop - rows.start) / 6)
    torch.testing.assert_close(parts[0] + parts[1], whole)


def batch_of(images: torch.Tensor, progress: float = 0.0) -> Batch:
    draws = Draws(torch.Generator().manual_seed(1), slice(0, len(images)), len(images))
    return Batch(images, None, draws, progress=progress)
