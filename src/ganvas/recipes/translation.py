"""The recipes of the models that translate pictures.

They begin with two domains of avatars, so that `ganvas train NAME` runs as it is; other data brings
its own (`--data ... --target ...`, `--pair` or `--domains`).
"""

from ganvas.data.config import DataConfig
from ganvas.models.phase import Adam
from ganvas.models.schedule import Schedule
from ganvas.models.translation_config import CycleGanConfig, Pix2PixConfig
from ganvas.recipes.recipe import Recipe
from ganvas.training.config import TrainingConfig

_2016 = "Isola et al., Image-to-Image Translation with Conditional Adversarial Networks"
_2017 = (
    "Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks"
)

_PAPERS_JITTER = 0.1171875  # 256 pixels enlarged to 286, of which 256 are shown

_FALLING = Adam(learning_rate=Schedule(start=5e-4, end=0, begin=0.5), betas=(0.5, 0.999))

TRANSLATION_RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "pix2pix",
        _2016,
        2016,
        "a picture for a picture, learnt from pairs: the paper's networks, for 256 px",
        # Appendix 6.2, facades: 400 pairs, 200 times, one in a batch, with jitter. (They also
        # mirror the pictures: data.flip=true.)
        Pix2PixConfig(),
        TrainingConfig(images=80_000, batch=1),
        DataConfig(domains=("segmentation", "image"), resolution=(256, 256), jitter=_PAPERS_JITTER),
    ),
    Recipe(
        "pix2pix-tiny",
        _2016,
        2016,
        "a narrow pix2pix for CPUs, for 64 to 128 px",
        # Patches of 34 pixels: of 64 the paper's 70 would see all. Small batches, since steps are
        # what a short run lacks.
        Pix2PixConfig(
            width=32,
            discriminator_width=32,
            discriminator_layers=2,
            generator=_FALLING,
            discriminator=_FALLING,
        ),
        TrainingConfig(images=40_000, batch=4, ema_half_life=2_000),
        DataConfig(domains=("segmentation", "image"), resolution=(64, 64)),
    ),
    Recipe(
        "cyclegan",
        _2017,
        2017,
        "one domain into another and back, without pairs: the paper's networks, for 256 px",
        # Section 7.1: 200 times through the data, one in a batch, rates that fall in the second
        # half; of horse2zebra as it was released, 1,067 horses. (They also mirror the pictures:
        # data.flip=true. At 128 px model.blocks=6.)
        CycleGanConfig(),
        TrainingConfig(images=213_400, batch=1),
        DataConfig(
            source="avatars:glasses",
            domains=("none", "round"),
            resolution=(256, 256),
            jitter=_PAPERS_JITTER,
        ),
    ),
    Recipe(
        "cyclegan-tiny",
        _2017,
        2017,
        "a narrow cyclegan for CPUs, for 64 px",
        CycleGanConfig(
            width=16,
            blocks=4,
            discriminator_width=32,
            discriminator_layers=2,
            generator=_FALLING,
            discriminator=_FALLING,
        ),
        TrainingConfig(images=24_000, batch=4, ema_half_life=2_000),
        DataConfig(source="avatars:glasses", domains=("none", "round"), resolution=(64, 64)),
    ),
    Recipe(
        "cyclegan-few",
        _2017,
        2017,
        "50 to 500 pictures of each domain: augments what the discriminators see",
        # DiffAugment (Zhao et al. 2020) keeps them from knowing the pictures by heart, R1 from
        # overconfidence; with a logistic loss, as R1's gamma is known for it.
        CycleGanConfig(objective="non-saturating", augment="diffaugment", r1_gamma=1.0, blocks=6),
        TrainingConfig(images=100_000, batch=1),
        DataConfig(
            source="avatars:glasses",
            domains=("none", "round"),
            resolution=(128, 128),
            jitter=_PAPERS_JITTER,
        ),
    ),
)
