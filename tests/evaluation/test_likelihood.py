"""The likelihood against models of which it is known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from ganvas.data.loader import to_model_range
from ganvas.evaluation.evaluate import Observed, Real, Reference, as_tensor
from ganvas.evaluation.features.random import RandomFeatures
from ganvas.evaluation.likelihood import LikelihoodFound, measure_likelihood
from ganvas.losses.likelihoods import dequantise
from ganvas.models import build_model
from ganvas.models.base import LatentModel
from ganvas.models.phase import derive_seed
from ganvas.models.vae import Vae
from ganvas.models.vae_config import VaeConfig
from tests.tiny import tiny

SHAPE = (1, 4, 4)
VALUES = 16
LATENTS = 3
VARIANCE = 0.05


def reference_of(images: np.ndarray) -> Reference:
    """Of pictures (N, H, W, C) alone: features are not asked for."""
    nothing = Observed(torch.empty(0, 1))
    features = RandomFeatures(torch.device("cpu"))
    shape = (images.shape[3], *images.shape[1:3])
    pictures = Real(images, np.arange(len(images)), None)
    return Reference(
        features, "x", "y", shape, "test", pictures, (), nothing, pictures, nothing, ()
    )


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 4, 4, 1), np.uint8)


def measured(
    model: LatentModel,
    images: np.ndarray,
    samples: int = 20,
    seed: int = 0,
) -> LikelihoodFound:
    counted: list[int] = []
    found = measure_likelihood(
        model, reference_of(images), samples, len(images), seed, counted.append
    )
    assert sum(counted) == (len(images) if found.scores else 0)
    return found


def values(found: LikelihoodFound) -> dict[str, float]:
    return {score.name: score.value for score in found.scores if score.value is not None}


class _Linear(nn.Module):
    """x = W z, or the posterior of z that belongs to it, in the form of a VAE's networks."""

    def __init__(self, weight: Tensor, is_encoder: bool) -> None:
        super().__init__()
        self.weight, self.is_encoder = nn.Parameter(weight), is_encoder

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        if not self.is_encoder:
            return (x @ self.weight.T).view(-1, *SHAPE)
        precision = 1 + self.weight.square().sum(0) / VARIANCE
        mean = x.flatten(1) @ self.weight / VARIANCE / precision
        output = torch.cat([mean, -precision.log().expand_as(mean)], 1)
        return output / 0.1  # the gain of the posterior


def linear_vae() -> tuple[Vae, Tensor]:
    """A VAE whose posterior is exact, and its W (16, 3) with orthogonal columns."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.linalg.qr(torch.randn(VALUES, LATENTS, generator=generator))[0]
    weight = weight * torch.tensor([1.0, 0.3, 0.0])
    config = VaeConfig(networks="mlp", latent_size=LATENTS, decoder_variance=VARIANCE)
    vae = Vae(config, SHAPE)
    vae.encoder, vae.decoder = _Linear(weight, True), _Linear(weight, False)
    return vae, weight


def test_gaussian_likelihood_is_the_exact_marginal_with_the_width_of_the_levels() -> None:
    """ppca: p(x) = N(0, W W^T + s^2 I), of dequantised pictures, over 16 levels of width 2/255."""
    vae, weight = linear_vae()
    images = pictures(40)
    found = values(measured(vae, images, samples=2_000))
    generator = torch.Generator().manual_seed(derive_seed(0, "likelihood", 0))
    clean = to_model_range(as_tensor(images))
    spread = dequantise(clean, torch.rand(clean.shape, generator=generator)).flatten(1)
    covariance = weight.double() @ weight.double().T + VARIANCE * torch.eye(VALUES).double()
    marginal = MultivariateNormal(torch.zeros(VALUES).double(), covariance)
    exact = -marginal.log_prob(spread.double()) - VALUES * math.log(2 / 255)
    assert found["nll"] == pytest.approx(exact.mean().item(), abs=0.02)
    bits = found["nll"] / VALUES / math.log(2)
    assert found["bits_per_dimension"] == pytest.approx(bits)
    assert found["negative_elbo"] > found["nll"]


def test_latents_that_say_nothing_are_counted_as_idle() -> None:
    vae, _ = linear_vae()
    found = measured(vae, pictures(40))
    assert values(found)["active_units"] == 2
    assert found.protocol is not None
    kl = found.protocol.kl_by_dimension
    assert kl[0] > kl[1] > 0.01
    assert kl[2] == pytest.approx(0, abs=1e-6)
    assert "2 of 3 latent dimensions are in use" in found.notes[1]
    assert "The other 1 could be left out" in found.notes[1]


def test_a_collapsed_posterior_is_told_in_a_sentence() -> None:
    vae, weight = linear_vae()
    vae.encoder = _Linear(torch.zeros_like(weight), True)
    found = measured(vae, pictures(40))
    assert values(found)["active_units"] == 0
    assert "The posterior has collapsed" in found.notes[1]
    assert "model.beta" in found.notes[1]


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic"])
def test_a_decoder_that_ignores_its_latents_has_the_likelihood_of_its_one_picture(
    likelihood: str,
) -> None:
    config = VaeConfig.parse({"networks": "mlp", "latent_size": 2, "likelihood": likelihood})
    vae = Vae(config, SHAPE).eval()
    last = [layer for layer in vae.decoder.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.zeros_(last.weight)
    head = [layer for layer in vae.encoder.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.zeros_(head.weight)  # q(z|x) is the prior
    images = np.where(pictures(20) > 127, 255, 0).astype(np.uint8)
    found = values(measured(vae, images, samples=3))
    if likelihood == "bernoulli":
        assert found["nll"] == pytest.approx(VALUES * math.log(2), rel=1e-5)
        assert found["bits_per_dimension"] == pytest.approx(1, rel=1e-5)
    else:
        edge = 1 / (1 + math.exp((1 - 1 / 255) / 0.3))  # the mass of each end around 0
        assert found["nll"] == pytest.approx(-VALUES * math.log(edge), rel=1e-4)
    assert found["negative_elbo"] == pytest.approx(found["nll"], rel=1e-5)


def test_grey_pictures_have_no_bernoulli_likelihood_and_a_note_says_so() -> None:
    config = VaeConfig(networks="mlp", latent_size=2, likelihood="bernoulli")
    found = measured(Vae(config, SHAPE), pictures(20))
    assert not found.scores
    assert found.protocol is None
    assert "data.binarise" in found.notes[0]


def test_more_samples_give_less_and_a_seed_the_same() -> None:
    torch.manual_seed(0)
    config = VaeConfig(networks="mlp", latent_size=8, decoder_variance=0.01)
    vae = Vae(config, SHAPE).eval()
    one, many = (values(measured(vae, pictures(70), samples)) for samples in (1, 100))
    assert many["nll"] < one["nll"] - 1
    assert one["nll"] == pytest.approx(one["negative_elbo"])
    assert values(measured(vae, pictures(70), 100)) == many
    assert values(measured(vae, pictures(70), 100, seed=1)) != many


def test_other_models_and_points_have_none() -> None:
    for recipe in ("gan", "autoencoder"):
        model = build_model(tiny(recipe, "model.networks=mlp").model, SHAPE)
        assert isinstance(model, LatentModel)
        assert measured(model, pictures(10)) == LikelihoodFound()
    points = Vae(VaeConfig(networks="mlp"), (2,))
    assert measured(points, pictures(10)) == LikelihoodFound()
