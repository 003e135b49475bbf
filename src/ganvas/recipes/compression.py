"""The recipes of the autoencoders whose latents are maps: first stages of latent diffusion."""

from ganvas.models.autoencoder_kl import AutoencoderKlConfig
from ganvas.models.phase import Adam
from ganvas.models.schedule import Schedule
from ganvas.models.vqvae import VqVaeConfig
from ganvas.recipes.recipe import Recipe
from ganvas.training.config import TrainingConfig

_2017 = "van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning"
_2022 = "Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models"

COMPRESSION_RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "vqvae",
        _2017,
        2017,
        "compresses a picture to a map of discrete codes and back: the paper's networks",
        # Section 4.1 and appendix: 250,000 steps of 128.
        VqVaeConfig(),
        TrainingConfig(images=32_000_000, batch=128),
    ),
    Recipe(
        "vqvae-tiny",
        _2017,
        2017,
        "a narrow vqvae for CPUs, for 32 to 64 px",
        # With the paper's decay of 0.99 codes trail behind an encoder that moves ten times as fast:
        # after 400 steps on CIFAR-10 162 of them were in use (the perplexity), with 0.95 450.
        VqVaeConfig(
            width=64,
            code_size=16,
            decay=0.95,
            optimizer=Adam(learning_rate=Schedule(start=2e-3, end=0)),
        ),
        TrainingConfig(images=100_000, batch=32, ema_half_life=5_000),
    ),
    Recipe(
        "autoencoder-kl",
        _2022,
        2022,
        "compresses a picture to a map 8 times smaller and back, sharply: the paper's, for 256 px",
        # The authors' configuration of the KL-regularised model with f = 8: batches of 12, the game
        # from step 50,001 on. How long they trained is not said; here 400,000 steps.
        AutoencoderKlConfig(adversarial_from=0.125),
        TrainingConfig(images=4_800_000, batch=12),
    ),
    Recipe(
        "autoencoder-kl-tiny",
        _2022,
        2022,
        "a narrow autoencoder-kl for CPUs, 4 times smaller maps, for 32 to 64 px",
        # Half the batch learns twice as much of a picture: CIFAR-10 at a mean absolute error of
        # 0.201 after 2,560, with 32 in a batch 0.220.
        AutoencoderKlConfig(
            width=32,
            blocks=1,
            downsampling=4,
            discriminator_width=32,
            discriminator_layers=2,
            optimizer=Adam(learning_rate=Schedule(start=1e-3, end=0), betas=(0.5, 0.9)),
            discriminator=Adam(learning_rate=Schedule(start=1e-3, end=0), betas=(0.5, 0.9)),
        ),
        TrainingConfig(images=100_000, batch=16, ema_half_life=5_000),
    ),
)
