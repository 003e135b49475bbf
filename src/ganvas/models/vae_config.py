"""The settings of a variational autoencoder."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from ganvas.models.base import ModelSettings
from ganvas.models.phase import Adam
from ganvas.models.schedule import Weight
from ganvas.networks import PlainKind

LikelihoodKind = Literal["gaussian", "bernoulli", "logistic"]


class VaeConfig(ModelSettings):
    """A VAE: its networks, its latent size, its likelihood, its bound and its optimiser."""

    name: Literal["vae"] = "vae"
    networks: PlainKind = "dcgan"
    """Fully connected (the paper's) or convolutional."""
    latent_size: PositiveInt = 64
    """Dimensions of z."""
    width: PositiveInt = 64
    """Channels of the widest-resolution layer (dcgan) or a quarter of the first layer (mlp)."""
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None
    """Units of the encoder's layers (mlp), in place of `width`; the decoder mirrors them. `[200,
    200]` with 50 latents is what Burda et al. 2016 compare on."""
    likelihood: LikelihoodKind = "gaussian"
    """p(x|z) of a value: `gaussian` is a density; `bernoulli` gives the probability of white, for
    black-and-white pictures (`data.binarise`) or such as nearly are; `logistic` gives those of all
    256 levels, with one learned scale (Salimans et al. 2017)."""
    decoder_variance: Literal["learned"] | PositiveFloat = "learned"
    """Variance of a gaussian p(x|z) by pixel (values lie in [-1, 1]): a number, or learned with the
    rest."""
    beta: Weight = 1.0
    """Weight of the KL term (Higgins et al. 2017). 1 is the bound itself, more makes latents that
    are fewer and more independent; a schedule from 0 warms up:
    {start: 0, end: 1, until: 0.1}. A learned variance partly undoes it."""
    importance_samples: PositiveInt = 1
    """Samples of z for each picture: more than one trains the importance-weighted bound (IWAE,
    Burda et al. 2016)."""
    conditional: bool = False
    """Learn the classes of the data and draw from the one asked for."""
    optimizer: Adam = Adam(learning_rate=5e-4)

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.hidden is not None and self.networks != "mlp":
            raise ValueError("hidden gives the layers of networks=mlp; dcgan's come from width")
        if self.likelihood != "gaussian" and self.decoder_variance != "learned":
            raise ValueError(f"decoder_variance is of gaussian; {self.likelihood} has none")
        if self.importance_samples > 1 and self.beta != 1:
            raise ValueError(
                "beta weighs the KL term, which a bound of several importance_samples does not "
                "have: leave beta at 1, or importance_samples"
            )
        return self
