"""The settings of the models that translate pictures of one domain into another."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from ganvas.losses.adversarial import Objective
from ganvas.models.base import ModelSettings
from ganvas.models.phase import Adam
from ganvas.models.schedule import Schedule, Weight

PAPERS_ADAM = Adam(learning_rate=2e-4, betas=(0.5, 0.999))
FALLING_ADAM = Adam(learning_rate=Schedule(start=2e-4, end=0, begin=0.5), betas=(0.5, 0.999))

Blocks = Annotated[int, Field(ge=1, le=64)]


class TranslationConfig(ModelSettings):
    """Generators between two domains, and discriminators that look at patches of a picture."""

    conditional: ClassVar[bool] = False

    name: str
    width: PositiveInt = 64
    """Channels of the generator at full resolution."""
    discriminator_width: PositiveInt = 64
    """Channels of the discriminator's first layer."""
    discriminator_layers: Annotated[int, Field(ge=1, le=6)] = 3
    """How many times it halves the picture: 3 judges patches of 70x70 pixels, 2 of 34x34, 1 of
    16x16."""
    generator: Adam
    discriminator: Adam

    objective: Objective
    """What generator and discriminator play for."""
    r1_gamma: Weight = 0.0
    """Weight of the penalty on the discriminator's gradient at real pictures; 0 is no penalty."""
    r1_every: PositiveInt = 16
    """Apply it in every so many steps, so many times stronger; 1 is in every step."""

    @property
    def has_lazy_penalty(self) -> bool:
        """Whether the penalty is an update of its own."""
        return bool(self.r1_gamma) and self.r1_every > 1

    def unbounded_critic(self) -> str | None:
        """Why the objective cannot be what is asked for, or None."""
        if self.objective == "wasserstein" and not self.r1_gamma:
            return (
                "objective wasserstein needs a critic whose slope is bounded, or its loss falls "
                "without end (Arjovsky et al. 2017, section 3). Add --set model.r1_gamma=1, or "
                "use another objective, such as hinge"
            )
        return None


class Pix2PixConfig(TranslationConfig):
    """Pix2Pix: the settings of section 3.3 and appendix 6 of the paper."""

    needs_pairs: ClassVar[bool | None] = True

    name: Literal["pix2pix"] = "pix2pix"
    networks: Literal["unet", "resnet"] = "unet"
    """The generator: the paper's U-Net, or the residual network of CycleGAN, which has no noise."""
    blocks: Blocks = 9
    """Residual blocks (resnet only)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the features that the U-Net drops, in training and in use: its noise."""
    generator: Adam = PAPERS_ADAM
    discriminator: Adam = PAPERS_ADAM
    objective: Objective = "non-saturating"
    l1_weight: NonNegativeFloat = 100.0
    """Weight of the mean absolute difference from the target (the paper's lambda)."""
    gan_weight: NonNegativeFloat = 1.0
    """Weight of the game; 0 leaves out the discriminator, for a blurred picture to compare with."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if reason := self.unbounded_critic() or self._without_aim():
            raise ValueError(reason)
        return self

    def _without_aim(self) -> str | None:
        if self.gan_weight:
            return None
        if not self.l1_weight:
            return "gan_weight and l1_weight are both 0, so there is nothing to learn: raise one"
        if self.r1_gamma:
            return (
                "r1_gamma is a penalty on the discriminator, which gan_weight=0 leaves out: leave "
                "out one of the two"
            )
        return None


class CycleGanConfig(TranslationConfig):
    """CycleGAN: the settings of section 4 and appendix 7 of the paper."""

    needs_pairs: ClassVar[bool | None] = False

    name: Literal["cyclegan"] = "cyclegan"
    blocks: Blocks = 9
    """Residual blocks of each generator: the paper has 6 at 128 pixels, 9 from 256 on."""
    generator: Adam = FALLING_ADAM
    discriminator: Adam = FALLING_ADAM
    objective: Objective = "least-squares"
    cycle_weight: NonNegativeFloat = 10.0
    """Weight of the mean absolute difference between a picture and what comes back of it from
    there and back (the paper's lambda)."""
    identity_weight: NonNegativeFloat = 0.5
    """Weight, as a share of cycle_weight, of leaving a picture alone that is of the output's domain
    already: it keeps colours. 0 where the domains differ in channels."""
    pool: NonNegativeInt = 50
    """Past outputs of each generator that its discriminator goes on seeing; 0: none."""
    augment: Literal["none", "diffaugment"] = "none"
    """Augment what the discriminators see, so that few pictures suffice (Zhao et al. 2020)."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if reason := self.unbounded_critic():
            raise ValueError(reason)
        return self
