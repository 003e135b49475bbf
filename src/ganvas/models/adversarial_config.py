"""The settings that every adversarial model has: the game, and what keeps it going."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from ganvas.data.augment import BGC, Group
from ganvas.losses.adversarial import Objective, tells_by_sign
from ganvas.models.base import ModelSettings
from ganvas.models.phase import Adam
from ganvas.models.schedule import Probability, Weight

GradientPenalty = Literal["none", "two-sided", "one-sided", "dragan"]
Augmentation = Literal["none", "diffaugment", "ada"]


class AdversarialConfig(ModelSettings):
    """Two networks, their optimisers, their objective, penalties and augmentation."""

    name: str
    networks: str
    latent_size: PositiveInt
    """Dimensions of z."""
    width: PositiveInt
    """Channels at the finest resolution (mlp: units of each layer; biggan: the paper's ch)."""
    discriminator_width: PositiveInt | None = None
    """The same of D, where it differs."""
    conditional: bool = False
    """Learn the classes of the data and draw from the one asked for."""
    generator: Adam
    discriminator: Adam

    objective: Objective = "non-saturating"
    """What D and G play for."""
    r1_gamma: Weight = 0.0
    """Weight of the penalty on D's gradient at real images; 0 is no penalty."""
    r2_gamma: Weight = 0.0
    """The same at fakes."""
    r1_every: PositiveInt
    """Apply both in every so many steps, so many times stronger; 1 is within D's own update."""
    gradient_penalty: GradientPenalty = "none"
    """Pull the norm of D's gradient to 1 between real images and fakes (WGAN-GP; one-sided: only
    from above), or around real images (dragan)."""
    gradient_penalty_weight: PositiveFloat = 10.0
    """The papers' lambda."""

    augment: Augmentation = "none"
    """Augment what D sees, so that few pictures suffice: DiffAugment (Zhao et al. 2020), or ADA
    (Karras et al. 2020a), whose strength adapts to how much D overfits."""
    augment_strength: Probability | None = None
    """A fixed probability for ADA instead of one that adapts."""
    augment_groups: Annotated[tuple[Group, ...], Field(min_length=1)] = BGC
    """What ADA may do to a picture."""

    @property
    def has_penalty(self) -> bool:
        """Whether D's gradient is penalised at real images or fakes."""
        return bool(self.r1_gamma or self.r2_gamma)

    @property
    def has_lazy_penalty(self) -> bool:
        """Whether that is an update of its own."""
        return self.has_penalty and self.r1_every > 1

    @property
    def adapts(self) -> bool:
        """Whether the strength of the augmentation follows D."""
        return self.augment == "ada" and self.augment_strength is None

    def without_meaning(self) -> str | None:
        """Why the augmentation cannot be what is asked for, or None."""
        if self.adapts and not tells_by_sign(self.objective):
            return (
                "augment=ada adapts to how often D's output is positive at real pictures, "
                f"which means nothing with objective {self.objective}. Give a fixed strength "
                "(--set model.augment_strength=0.3), or use diffaugment"
            )
        if self.augment_strength is not None and self.augment != "ada":
            return (
                "augment_strength is ADA's: add --set model.augment=ada, or "
                "--set model.augment_strength=null"
            )
        return None
