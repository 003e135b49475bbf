"""The settings of latent diffusion."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from ganvas.models.autoencoder_kl import AutoencoderKlConfig
from ganvas.models.base import ModelSettings
from ganvas.models.phase import Adam
from ganvas.models.vqvae import VqVaeConfig
from ganvas.settings import Settings

TRAINING_STEPS = 1000
"""Times from a picture (0) to pure noise (999): T."""

Sampler = Literal["ddim", "dpm", "heun"]

_Folder = Annotated[str, AfterValidator(lambda s: str(Path(s).expanduser().absolute()))]


class Sampling(Settings):
    """How pictures are drawn; what it costs and what it is worth."""

    sampler: Sampler = "dpm"
    """`ddim` (Song et al. 2021), `dpm`: DPM-Solver++ of order 2 (Lu et al. 2022), or `heun`
    (Karras et al. 2022, algorithm 1), which asks the network twice in each step but the last."""
    steps: Annotated[int, Field(ge=1, le=TRAINING_STEPS)] = 20
    """Steps from noise to a picture: more are slower, and better up to a point."""
    guidance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 3.0
    """How far beyond what the caption says (classifier-free guidance): 1 draws what was learnt,
    more draws what is asked for more surely and with less variety, at twice the time."""


class FirstStageOf(Settings):
    """The autoencoder in whose latents diffusion takes place."""

    run: _Folder | None = None
    """The run of an autoencoder-kl or a vqvae: --first-stage RUN."""
    model: Annotated[AutoencoderKlConfig | VqVaeConfig, Field(discriminator="name")] | None = None
    """Its configuration, noted when the training begins; its weights are then kept with the
    model's own."""


class LatentDiffusionConfig(ModelSettings):
    """The first stage, the network that removes noise, the captions, and how pictures are drawn."""

    name: Literal["latent-diffusion"] = "latent-diffusion"
    first_stage: FirstStageOf = FirstStageOf()
    condition: Literal["none", "class", "text"] = "none"
    """What says which picture to draw: nothing, the class, or a caption. A class is told by its
    name as the caption, and nothing by the empty caption."""
    prediction: Literal["v", "epsilon"] = "v"
    """What the network predicts: the noise (epsilon; with schedule=scaled_linear only), or the
    velocity (v, Salimans & Ho 2022), which tells of the picture at pure noise, too."""
    schedule: Literal["squaredcos_cap_v2", "scaled_linear"] = "squaredcos_cap_v2"
    """How noise grows with time: a cosine (Nichol & Dhariwal 2021), for small maps; or the paper's,
    linear in the square root of beta."""
    min_snr_gamma: PositiveFloat | None = 5.0
    """Bound of the weight of times with little noise (min-SNR, Hang et al. 2023); none weighs the
    errors of all times alike."""
    caption_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """The share of the pictures that are shown without their caption, which guidance needs."""
    width: PositiveInt = 64
    """Channels of the network at the size of the maps."""
    multipliers: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=8)] = (1, 2)
    """Channels at that size, at half of it, ..., each in units of `width`."""
    blocks: PositiveInt = 1
    """Residual blocks at each size on the way down; on the way up there is one more."""
    attention: tuple[NonNegativeInt, ...] | None = None
    """The sizes at which the network looks around and at the caption, 0 being the largest
    (default: all)."""
    head_size: PositiveInt = 32
    """Channels of each head of attention."""
    text_width: PositiveInt = 128
    """Numbers in which the text encoder tells a word."""
    text_layers: PositiveInt = 2
    """Layers of the text encoder, a transformer that is trained with the network."""
    text_encoder: _Folder | None = None
    """Folder of a CLIP or T5 encoder as `transformers` saves it, in safetensors, to use in its
    place; it is not trained."""
    caption_length: Annotated[int, Field(ge=3, le=512)] | None = None
    """Words, with two marks for begin and end, that the text encoder reads (default: as many as the
    longest caption of the training has, at most 77)."""
    sampling: Sampling = Sampling()
    """How pictures are drawn, unless asked for otherwise."""
    optimizer: Adam = Adam(learning_rate=1e-4)

    @property
    def conditional(self) -> bool:
        """Whether the data must have classes."""
        return self.condition == "class"

    @property
    def needs_captions(self) -> bool:
        """Whether the data must have captions."""
        return self.condition == "text"

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        sizes = len(self.multipliers)
        if self.attention is not None and max(self.attention, default=0) >= sizes:
            raise ValueError(
                f"attention names sizes from 0 to {sizes - 1}, as many as there are multipliers"
            )
        if self.prediction == "epsilon" and self.schedule == "squaredcos_cap_v2":
            raise ValueError(
                "prediction=epsilon cannot be drawn from with schedule=squaredcos_cap_v2, which "
                "ends at pure noise, where the noise says nothing of the picture: use prediction=v,"
                " or schedule=scaled_linear"
            )
        if self.text_encoder is not None and self.caption_length is not None:
            raise ValueError("caption_length is of the text encoder trained here, not of a folder")
        return self
