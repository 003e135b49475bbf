"""The recipes of latent diffusion."""

from ganvas.models.diffusion_config import LatentDiffusionConfig
from ganvas.models.phase import Adam
from ganvas.models.schedule import Schedule
from ganvas.recipes.recipe import Recipe
from ganvas.training.config import TrainingConfig

_2022 = "Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models"

DIFFUSION_RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "latent-diffusion",
        _2022,
        2022,
        "pictures, of a class or from text, by removing noise from the latents of autoencoder-kl",
        # Table 12, LSUN-Churches: LDM-8, maps of 32x32x4, 500,000 steps of 96; the average's decay
        # of 0.9999 a step is a half-life of 665,000 images. The reader of captions is for
        # condition=text: the authors' has 32 layers of 1280, for 400 million captions.
        LatentDiffusionConfig(
            prediction="epsilon",
            schedule="scaled_linear",
            min_snr_gamma=None,
            width=192,
            multipliers=(1, 2, 2, 4, 4),
            blocks=2,
            attention=(0, 1, 2, 3),
            head_size=24,
            text_width=512,
            text_layers=8,
            optimizer=Adam(learning_rate=5e-5),
        ),
        TrainingConfig(images=48_000_000, batch=96, ema_half_life=665_000),
    ),
    Recipe(
        "latent-diffusion-tiny",
        _2022,
        2022,
        "a narrow latent-diffusion for CPUs, for maps of 8x8 to 16x16: pictures from captions",
        # On one core a picture of 32x32 with maps of 8x8 takes 7 ms to learn from, and 110 to draw
        # (DPM-Solver++, 20 steps, with guidance), so that sheets and scores are fewer than usual.
        LatentDiffusionConfig(
            condition="text",
            optimizer=Adam(
                learning_rate=Schedule(start=1e-3, end=0),
                betas=(0.9, 0.99),
                max_gradient_norm=1.0,
            ),
        ),
        TrainingConfig(
            images=400_000,
            batch=32,
            ema_half_life=10_000,
            sample_every=40_000,
            score_every=80_000,
        ),
    ),
)
