"""The settings of a StyleGAN, and which combinations of them make no sense."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from ganvas.models.adversarial_config import AdversarialConfig
from ganvas.models.phase import Adam
from ganvas.models.schedule import Probability, Weight
from ganvas.networks import StyleKind


class StyleGanConfig(AdversarialConfig):
    """A StyleGAN: its networks, its game and its regularisers. The defaults are StyleGAN2's."""

    name: Literal["stylegan"] = "stylegan"
    networks: StyleKind = "stylegan2"
    """stylegan (2019), stylegan2 (2020), or stylegan3 (2021), which moves as its layers' inputs are
    moved (t) or turned as well (r); the discriminator of stylegan3 is stylegan2's."""
    latent_size: PositiveInt = 512
    """Dimensions of z and of w."""
    width: PositiveInt = 32
    """Channels at the finest resolution (the authors' channel_base / resolution), which double with
    every halving, up to max_width."""
    max_width: PositiveInt = 512
    """The most channels of a layer."""
    discriminator_max_width: PositiveInt | None = None
    """The same of D, where it differs."""
    mapping_layers: Annotated[int, Field(ge=1, le=64)] = 8
    """Layers of the network from z to w."""
    generator: Adam = Adam(learning_rate=2e-3, betas=(0.0, 0.99))
    """Slowed down to make up for the updates that a lazy path length adds (see models/stylegan)."""
    discriminator: Adam = Adam(learning_rate=2e-3, betas=(0.0, 0.99))
    """The same for a lazy R1."""

    r1_gamma: Weight = 10.0
    """Weight of the penalty on D's gradient at real images; 0 is no penalty."""
    r1_every: PositiveInt = 16
    """Apply both penalties in every so many steps, so many times stronger; 1 is within D's own
    update."""
    path_length_weight: NonNegativeFloat = 2.0
    """Weight of the penalty on how unevenly pictures move with w (stylegan2 only)."""
    path_length_every: PositiveInt = 4
    """Apply it in every so many steps, so many times stronger."""
    style_mixing: Probability = 0.9
    """The share of pictures drawn from two latents: one up to a random layer, the other after."""
    growing: Annotated[float, Field(gt=0, le=1)] | None = None
    """Begin with pictures of few pixels and let resolutions fade in, until the full one stands
    alone after this share of the training (stylegan only); null has it from the start."""
    blur: Weight = 0.0
    """Blur all that D sees by so many pixels: {start: 10, end: 0, until: 0.01} (stylegan3-r only,
    which else falls for the circles that its generator can draw at once)."""
    freeze_discriminator: Annotated[int, Field(ge=0, le=16)] = 0
    """How many of D's finest blocks stay as they are: when going on from a trained discriminator
    (freeze-D, Mo et al. 2020)."""

    @property
    def has_path_length(self) -> bool:
        """Whether G has an update for its path lengths."""
        return self.path_length_weight > 0

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for reason in (
            self._foreign_parts(), self._unbounded_critic(), self._cannot_grow(),
            self.without_meaning(),
        ):  # fmt: skip
            if reason:
                raise ValueError(reason)
        return self

    def _foreign_parts(self) -> str | None:
        """What belongs to other networks."""
        networks = self.networks
        if self.has_path_length and networks != "stylegan2":
            why = (
                "StyleGAN3's synthesis is meant to be equivariant, not smooth in w, and its paper "
                "has none"
                if networks.startswith("stylegan3")
                else "AdaIN takes the scale from the maps that it would have to follow, and the "
                "paper of 2019 has none"
            )
            return (
                f"path_length_weight is for networks=stylegan2: {why}. Use --set "
                "model.path_length_weight=0"
            )
        if self.growing is not None and networks != "stylegan":
            return (
                f"growing is for networks=stylegan: those of {networks} have all resolutions from "
                "the start, which is what the paper of StyleGAN2 put in the place of growing "
                "(section 4). Use --set model.growing=null"
            )
        if self.blur and networks != "stylegan3-r":
            return (
                "blur keeps the discriminator of networks=stylegan3-r from deciding too early; "
                f"{networks} needs none. Use --set model.blur=0"
            )
        return None

    def _unbounded_critic(self) -> str | None:
        bounded = self.gradient_penalty != "none" or self.r1_gamma
        if self.objective != "wasserstein" or bounded:
            return None
        return (
            "objective wasserstein needs a critic whose slope is bounded, or its loss falls "
            "without end (Arjovsky et al. 2017, section 3). Add --set "
            "model.gradient_penalty=two-sided"
        )

    def _cannot_grow(self) -> str | None:
        if self.growing is not None and self.augment == "ada":
            return (
                "augment=ada needs pictures of 16 pixels or more, and growing begins with fewer. "
                "Use --set model.growing=null, or model.augment=diffaugment"
            )
        if self.growing is not None and self.freeze_discriminator:
            return (
                "freeze_discriminator keeps D's finest blocks as they are, and growing has yet to "
                "train them. Use --set model.growing=null"
            )
        return None
