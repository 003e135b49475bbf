"""The recipes of the StyleGAN family."""

from ganvas.models.phase import Adam
from ganvas.models.schedule import Schedule
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.recipes.recipe import Recipe
from ganvas.training.config import TrainingConfig

_2019 = "Karras, Laine & Aila, A Style-Based Generator Architecture for GANs"
_2020 = "Karras et al., Analyzing and Improving the Image Quality of StyleGAN"
_ADA = "Karras et al., Training Generative Adversarial Networks with Limited Data"
_2021 = "Karras et al., Alias-Free Generative Adversarial Networks"

_BETAS = (0.0, 0.99)
_QUICK = Adam(learning_rate=2.5e-3, betas=_BETAS)
_FALLING = Adam(learning_rate=Schedule(start=2.5e-3, end=0, begin=0.5), betas=_BETAS)

# The authors' rates are 1e-3 up to 64 px, 1.5e-3, 2e-3 and from 512 px on 3e-3. Pictures of 128 px
# begin to fade in after 4.2 of their 25 million images, those of 512 px after 6.6.
_GROWING = Adam(
    learning_rate=Schedule(start=1e-3, end=3e-3, begin=0.168, until=0.264), betas=_BETAS
)

STYLE_RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "stylegan",
        _2019,
        2019,
        "styles for every layer, noise for every pixel; grows from 8 px to 1024",
        # The authors' code, configuration F for FFHQ at 1024 px: R1 in every step; 600,000 images
        # for each resolution and each fade. (Batches there shrink from 256 to 32.)
        StyleGanConfig(
            networks="stylegan",
            width=16,
            growing=0.336,
            r1_every=1,
            path_length_weight=0,
            generator=_GROWING,
            discriminator=_GROWING,
        ),
        TrainingConfig(images=25_000_000, batch=32),
    ),
    Recipe(
        "stylegan2",
        _2020,
        2020,
        "no growth, no droplets, a smooth W: the configuration for 256 px",
        # paper256 of Karras et al. 2020a, whose half-width networks suffice at 256 px. (Theirs, and
        # paper512, take the deviation over groups of 8 pictures, ours of 4.)
        StyleGanConfig(width=64, r1_gamma=1, generator=_QUICK, discriminator=_QUICK),
        TrainingConfig(images=25_000_000, batch=64, ema_half_life=20_000),
    ),
    Recipe(
        "stylegan2-512",
        _2020,
        2020,
        "stylegan2 in the configuration for 512 px",
        # paper512 of Karras et al. 2020a.
        StyleGanConfig(width=64, r1_gamma=0.5, generator=_QUICK, discriminator=_QUICK),
        TrainingConfig(images=25_000_000, batch=64, ema_half_life=20_000),
    ),
    Recipe(
        "stylegan2-1024",
        _2020,
        2020,
        "stylegan2 in the configuration of its paper, for 1024 px",
        StyleGanConfig(),  # configuration F
        TrainingConfig(images=25_000_000, batch=32),
    ),
    Recipe(
        "stylegan2-small",
        _ADA,
        2020,
        "50 to 2,000 pictures: begin with a checkpoint (--from), augment adaptively",
        # At 256 px, to be begun with a stylegan2 of any resolution. Of the discriminator the finest
        # three or four blocks may stay as they are (--set model.freeze_discriminator=3): the
        # authors' code freezes 10 or 13 layers, three for a block and one before. A transfer needs
        # a few million images at most (Karras et al. 2020a, figure 9).
        StyleGanConfig(width=64, r1_gamma=1, augment="ada", generator=_QUICK, discriminator=_QUICK),
        TrainingConfig(images=2_000_000, batch=32),
    ),
    Recipe(
        "stylegan2-tiny",
        _2020,
        2020,
        "a narrow stylegan2 for CPUs: 64 px, with styles to mix",
        # No path length, which takes a sixth more time and shapes W over millions of images. R1 has
        # the weight 10 that the paper has at 1024 px: with 0.1 and 1, D had won within 50,000
        # images, and G's noise covered its pictures with speckles. Small batches, since steps are
        # what a short run lacks.
        StyleGanConfig(
            latent_size=128,
            width=16,
            max_width=128,
            mapping_layers=2,
            r1_gamma=10,
            path_length_weight=0,
            style_mixing=0.5,
            generator=_FALLING,
            discriminator=_FALLING,
        ),
        TrainingConfig(images=100_000, batch=16, ema_half_life=5_000),
    ),
    Recipe(
        "stylegan3-t",
        _2021,
        2021,
        "details move with the picture instead of sticking to the screen",
        # Configuration T of the authors' code at 1024 px.
        StyleGanConfig(
            networks="stylegan3-t",
            mapping_layers=2,
            r1_gamma=32.8,
            path_length_weight=0,
            style_mixing=0,
            generator=_QUICK,
        ),
        TrainingConfig(images=25_000_000, batch=32),
    ),
    Recipe(
        "stylegan3-r",
        _2021,
        2021,
        "details turn with the picture, too",
        # Configuration R at 1024 px: twice T's widths in the generator. D's first 200,000 images
        # are blurred.
        StyleGanConfig(
            networks="stylegan3-r",
            width=64,
            max_width=1024,
            discriminator_width=32,
            discriminator_max_width=512,
            mapping_layers=2,
            r1_gamma=32.8,
            path_length_weight=0,
            style_mixing=0,
            blur=Schedule(start=10, end=0, until=0.008),
            generator=_QUICK,
        ),
        TrainingConfig(images=25_000_000, batch=32),
    ),
    Recipe(
        "stylegan3-tiny",
        _2021,
        2021,
        "a narrow stylegan3-t for CPUs: 64 px",
        # R1 as the authors say, 2 at 256 px and in proportion to the pixels. The generator takes
        # most of the time, so it is narrower than the discriminator.
        StyleGanConfig(
            networks="stylegan3-t",
            latent_size=128,
            width=8,
            max_width=64,
            discriminator_width=16,
            discriminator_max_width=128,
            mapping_layers=2,
            r1_gamma=0.125,
            path_length_weight=0,
            style_mixing=0,
            generator=_QUICK,
        ),
        TrainingConfig(images=100_000, batch=32, ema_half_life=5_000),
    ),
)
