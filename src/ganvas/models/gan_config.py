"""The settings of a GAN, and which combinations of them make no sense."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from ganvas.losses.adversarial import has_probabilities
from ganvas.models.adversarial_config import AdversarialConfig
from ganvas.models.phase import Adam
from ganvas.models.schedule import Weight
from ganvas.networks import Kind, Minibatch, Norm, Normalisation, own_norm

Target = Annotated[float, Field(ge=0, le=1)]


class GanConfig(AdversarialConfig):
    """A GAN: its networks, its objective, what keeps it stable, and its two optimisers."""

    name: Literal["gan"] = "gan"
    networks: Kind = "dcgan"
    """mlp (2014), dcgan (2015), resnet (2017), biggan (2018) or r3gan (2024)."""
    latent_size: PositiveInt = 100
    """Dimensions of z."""
    width: PositiveInt = 64
    """Channels at the finest resolution (mlp: units of each layer; biggan: the paper's ch)."""
    blocks: Annotated[int, Field(ge=1, le=64)] = 2
    """Residual blocks at each resolution (r3gan only)."""
    generator: Adam = Adam(learning_rate=2e-4, betas=(0.5, 0.999))
    discriminator: Adam = Adam(learning_rate=2e-4, betas=(0.5, 0.999))
    critic_steps: Annotated[int, Field(ge=1, le=1000)] = 1
    """Updates of D for one of G, each on a fresh batch."""

    real_target: Target = 1.0
    """The probability of "real" that D shall give real images; 0.9 is one-sided label smoothing."""
    fake_target: Target = 0.0
    """The probability of "real" that D shall give fakes; 0.1 smooths the other side, too."""
    instance_noise: Weight = 0.0
    """Standard deviation of the noise on all that D sees (Sonderby et al. 2017)."""

    r1_every: PositiveInt = 8
    """Apply both penalties in every so many steps, so many times stronger; 1 is within D's own
    update."""
    clip_weights: PositiveFloat | None = None
    """Keep each of the critic's weights within this of 0 (the first Wasserstein GAN, which had
    RMSprop where this has Adam)."""
    orthogonal: NonNegativeFloat = 0.0
    """Weight of BigGAN's orthogonal regularisation of G (the paper: 1e-4)."""

    discriminator_norm: Norm = "own"
    """Normalisation in D; own is what the network's paper has."""
    minibatch: Minibatch = "none"
    """Let D compare the pictures of a batch: minibatch discrimination (Salimans et al. 2016), or
    their standard deviation (Karras et al. 2018)."""
    unroll: Annotated[int, Field(ge=0, le=100)] = 0
    """Let G see so many steps of D ahead (Metz et al. 2017)."""
    unroll_second_order: bool = True
    """Differentiate through these steps."""

    @property
    def norm(self) -> Normalisation:
        """The normalisation that D has."""
        asked = self.discriminator_norm
        return own_norm(self.networks) if asked == "own" else asked

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for reason in (
            self._unbounded_critic(), self._tied_samples(), self._no_probabilities(),
            self.without_meaning(),
        ):  # fmt: skip
            if reason:
                raise ValueError(reason)
        return self

    def _unbounded_critic(self) -> str | None:
        if self.objective != "wasserstein":
            return None
        bounded = self.gradient_penalty != "none" or self.clip_weights or self.r1_gamma
        if bounded or self.norm == "spectral":
            return None
        return (
            "objective wasserstein needs a critic whose slope is bounded, or its loss falls "
            "without end (Arjovsky et al. 2017, section 3). Add --set "
            "model.gradient_penalty=two-sided, or "
            "model.clip_weights=0.01, or model.discriminator_norm=spectral"
        )

    def _tied_samples(self) -> str | None:
        remedy = "Use --set model.discriminator_norm=layer (or none), or model.networks=resnet"
        if self.norm == "batch" and self.gradient_penalty != "none":
            return (
                f"gradient_penalty={self.gradient_penalty} bounds D's slope at every single "
                "picture, which batch normalisation ties to the others of its batch (Gulrajani et "
                f"al. 2017, section 4). {remedy}"
            )
        if self.norm == "batch" and self.unroll:
            return (
                "unroll: steps that D only might take would change its batch statistics, and the "
                f"generator could hide in them. {remedy}, or model.networks=mlp"
            )
        if self.minibatch == "discrimination" and self.gradient_penalty != "none":
            return (
                f"gradient_penalty={self.gradient_penalty} bounds D's slope at every single "
                "picture, which minibatch discrimination ties to the others of its batch. Leave "
                "out one of the two"
            )
        return None

    def _no_probabilities(self) -> str | None:
        smoothed = self.real_target != 1 or self.fake_target != 0
        if smoothed and not has_probabilities(self.objective):
            return (
                f"objective {self.objective} has no targets to smooth: its discriminator gives no "
                "probabilities. Leave out real_target and fake_target, or use --set "
                "model.objective=non-saturating"
            )
        if self.real_target <= self.fake_target:
            return "real_target must be above fake_target, or D is asked to take fakes for real"
        if self.clip_weights and self.objective != "wasserstein":
            return (
                f"clip_weights bounds a Wasserstein critic; with objective {self.objective} it "
                "only weakens D. Use --set model.objective=wasserstein, or leave it out"
            )
        return None
