"""How probable a VAE finds pictures that it never saw, and which of its latents it uses.

By importance sampling (Burda, Grosse & Salakhutdinov 2016, eq. 8; Rezende, Mohamed & Wierstra 2014,
appendix E):

    -log p(x) <= -log 1/n sum_i p(x, z_i) / q(z_i|x),   z_i ~ q(z|x)

in expectation; the two are equal in the limit of many samples. All numbers are for the probability
of a picture with 8 bits a value, so that those of different likelihoods may be compared. A Gaussian
has a density: it is taken at pictures spread evenly over their levels, which makes it a bound on
that probability (`ganvas.losses.likelihoods.density_to_mass`). Of a Bernoulli likelihood pictures
with grey levels have no probability.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas.data.loader import to_model_range
from ganvas.evaluation.definitions import make_score
from ganvas.evaluation.estimate import Estimate, mean
from ganvas.evaluation.evaluate import Advance, Real, Reference
from ganvas.evaluation.protocol import LikelihoodProtocol, Score
from ganvas.losses.likelihoods import density_to_mass, dequantise
from ganvas.losses.variational import gaussian_kl, importance_bound
from ganvas.models.base import LatentModel
from ganvas.models.phase import derive_seed
from ganvas.models.vae import Vae

ACTIVE = 0.01
"""Least variance, over pictures, of the posterior's mean of a latent dimension that is in use."""
_SAMPLES_AT_ONCE = 16
_SHOWN = 8

_MEASURED = {
    "gaussian": "a gaussian density at pictures spread over their 256 levels, with the width of a "
    "level as a bound on their probability",
    "bernoulli": "the probability of black-and-white pictures",
    "logistic": "the probability of pictures with 256 levels",
}


@dataclass(frozen=True)
class LikelihoodFound:
    """What was measured, nothing where the model has no likelihood of such pictures."""

    scores: tuple[Score, ...] = ()
    notes: tuple[str, ...] = ()
    protocol: LikelihoodProtocol | None = None


@dataclass(frozen=True)
class _Measured:
    """Of N pictures."""

    log_weights: Tensor
    """log p(x, z) / q(z|x) in nats, (N, samples) float64, of the 8-bit picture."""
    mean: Tensor
    """Of the posterior, (N, latent_size)."""
    kl: Tensor
    """From the posterior to the prior by dimension, in nats, (N, latent_size)."""


def measure_likelihood(
    model: LatentModel, reference: Reference, samples: int, pictures: int, seed: int,
    advance: Advance,
) -> LikelihoodFound:  # fmt: skip
    """Estimate the log-likelihood of real pictures, and count the latents in use.

    Args:
        model: Any; only a VAE of pictures has something to measure.
        reference: The real pictures.
        samples: Of the posterior for each picture; 0 measures nothing.
        pictures: At most so many.
        seed: Of the samples.
        advance: Told how many pictures are done.
    """
    if not has_likelihood(model, samples):
        return LikelihoodFound()
    assert isinstance(model, Vae)
    real = reference.pictures
    real = Real(real.images, real.rows[:pictures], real.labels)
    kind = model.config.likelihood
    if kind == "bernoulli" and not all(_is_binary(images) for images in real.batches()):
        return LikelihoodFound(
            notes=(
                "No likelihood: this model gives the probability of black-and-white pictures, and "
                "these have grey levels. Train and evaluate it with data.binarise=true, or with "
                "model.likelihood=logistic.",
            )
        )
    found = _measure(model, real, reference.labels_for(model, len(real)), samples, seed, advance)
    kl = found.kl.mean(0)
    active = int((found.mean.var(0) > ACTIVE).sum())
    protocol = LikelihoodProtocol(
        samples=samples, pictures=len(real), seed=seed, likelihood=kind,
        measured=_MEASURED[kind], kl_by_dimension=tuple(kl.tolist()),
    )  # fmt: skip
    return LikelihoodFound(_scores(found, model, active), _notes(protocol, active), protocol)


def has_likelihood(model: LatentModel, samples: int) -> bool:
    """Whether there is anything to measure."""
    return samples > 0 and isinstance(model, Vae) and len(model.shape) == 3


@torch.no_grad()
def _measure(
    model: Vae, real: Real, labels: Tensor | None, samples: int, seed: int, advance: Advance
) -> _Measured:
    weights: list[Tensor] = []
    means: list[Tensor] = []
    kls: list[Tensor] = []
    done = 0
    for pictures in real.batches():
        generator = torch.Generator().manual_seed(derive_seed(seed, "likelihood", done))
        images = to_model_range(pictures).to(model.device)
        chosen = None if labels is None else labels[done : done + len(images)]
        posterior = model.posterior(images, chosen)
        weights.append(_log_weights(model, images, chosen, posterior, samples, generator).cpu())
        means.append(posterior[0].cpu())
        kls.append(gaussian_kl(*posterior).cpu())
        done += len(images)
        advance(len(images))
    return _Measured(torch.cat(weights), torch.cat(means), torch.cat(kls))


def _log_weights(
    model: Vae, images: Tensor, labels: Tensor | None, posterior: tuple[Tensor, Tensor],
    samples: int, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Of these pictures, (N, samples) float64; the random numbers are drawn on the CPU."""
    is_density = model.likelihood.is_density
    if is_density:
        images = dequantise(images, torch.rand(images.shape, generator=generator).to(images))
    parts: list[Tensor] = []
    for start in range(0, samples, _SAMPLES_AT_ONCE):
        shape = len(images), min(_SAMPLES_AT_ONCE, samples - start), model.latent_size
        noise = torch.randn(shape, generator=generator).to(images)
        parts.append(model.log_weights(images, labels, *posterior, noise).double())
    weights = torch.cat(parts, 1)
    return -density_to_mass(-weights, math.prod(model.shape)) if is_density else weights


def _scores(found: _Measured, model: Vae, active: int) -> tuple[Score, ...]:
    nll, bound = -importance_bound(found.log_weights), -found.log_weights.mean(1)
    values = math.prod(model.shape)
    return (
        make_score("nll", mean(nll), None),
        make_score("bits_per_dimension", mean(nll / (values * math.log(2))), None),
        make_score("negative_elbo", mean(bound), None),
        make_score("active_units", Estimate(active), None),
    )


def _notes(protocol: LikelihoodProtocol, active: int) -> tuple[str, ...]:
    """How it was measured, and what the latents carry, in sentences."""
    how = (
        f"Likelihood: {protocol.measured}; {protocol.samples:,} importance samples for each of "
        f"{protocol.pictures:,} pictures, from seed {protocol.seed}."
    )
    kl = sorted(protocol.kl_by_dimension, reverse=True)
    if active == 0:
        return how, (
            "The posterior has collapsed: no latent dimension tells anything of the picture, so "
            "what is drawn does not depend on the latents. Let the KL term come in slowly (--set "
            "'model.beta={start: 0, end: 1, until: 0.2}'), train for longer, or give the "
            "likelihood less freedom to explain the pictures by itself."
        )
    shown = ", ".join(f"{value:.2f}" for value in kl[:_SHOWN])
    rest = ", …" if len(kl) > _SHOWN else ""
    idle = len(kl) - active
    idle_text = f" The other {idle} could be left out: they say nothing of it." if idle else ""
    return how, (
        f"{active} of {len(kl)} latent dimensions are in use; together they carry {sum(kl):.1f} "
        f"nats of a picture (by dimension {shown}{rest}).{idle_text}"
    )


def _is_binary(images: Tensor) -> bool:
    return bool(((images == 0) | (images == 255)).all())
