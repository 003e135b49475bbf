"""Named, complete configurations: data, not code.

A recipe is what `ganvas train NAME` starts from; every field can be changed with `--set`.
"""

from ganvas.errors import ConfigError
from ganvas.models.autoencoder import AutoencoderConfig
from ganvas.models.gan_config import GanConfig
from ganvas.models.phase import Adam
from ganvas.models.schedule import Schedule
from ganvas.models.vae_config import VaeConfig
from ganvas.recipes.compression import COMPRESSION_RECIPES
from ganvas.recipes.diffusion import DIFFUSION_RECIPES
from ganvas.recipes.recipe import Recipe as Recipe
from ganvas.recipes.styles import STYLE_RECIPES
from ganvas.recipes.translation import TRANSLATION_RECIPES
from ganvas.recipes.variational import VARIATIONAL_RECIPES
from ganvas.settings import nearest
from ganvas.training.config import TrainingConfig

DEFAULT = "dcgan-tiny"


# The tiny sizes: as their papers have it, but narrower, with rates that are higher and fall to zero
# and fewer steps of D, since a run is a hundredth of the papers' or less. What they come to on
# CIFAR-10 (docs/cifar10-tiny.html): `ganvas train NAME --data cifar10 --resolution 32`, 100,000
# images, seed 0, classifier features, k = 5; real pictures have a coverage of 0.96.

_R3GAN_ADAM = Adam(
    learning_rate=Schedule(start=2e-4, end=5e-5, until=0.1, shape="cosine"),
    betas=(0.0, Schedule(start=0.9, end=0.99, until=0.1, shape="cosine")),
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "autoencoder",
            "Hinton & Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks",
            2006,
            "compresses an image to a code and back",
            AutoencoderConfig(),
            TrainingConfig(images=100_000),
        ),
        Recipe(
            "vae",
            "Kingma & Welling, Auto-Encoding Variational Bayes",
            2013,
            "a latent space that can be sampled; smooth, but blurred",
            VaeConfig(),
            TrainingConfig(images=100_000),
        ),
        Recipe(
            "gan",
            "Goodfellow et al., Generative Adversarial Networks",
            2014,
            "the adversarial game between fully connected networks",
            GanConfig(
                networks="mlp",
                width=512,
                generator=Adam(learning_rate=2e-4, betas=(0.5, 0.999)),
                discriminator=Adam(learning_rate=2e-4, betas=(0.5, 0.999)),
            ),
            TrainingConfig(images=200_000),
        ),
        Recipe(
            "dcgan",
            "Radford, Metz & Chintala, Unsupervised Representation Learning with DCGANs",
            2015,
            "the adversarial game between convolutional networks; sharp",
            GanConfig(),  # section 4: Adam, 2e-4, beta1 = 0.5
            TrainingConfig(images=1_000_000, batch=128),
        ),
        Recipe(
            "dcgan-tiny",
            "Radford, Metz & Chintala, Unsupervised Representation Learning with DCGANs",
            2015,
            "a narrow dcgan with R1: good faces of 48 px in five minutes on two CPU cores",
            # Small batches and a faster generator give the most progress per image early on. At
            # 64 px one such run without R1 (G 4e-4, D 1e-4) collapsed within 50,000 images; none
            # with R1 did. gamma is near 0.0002 pixels / batch (Karras et al. 2020a, code); 0.1
            # and 1 left a stronger woven texture. Avatars of 48 px take three doublings from a
            # grid of 6, which learn far faster than four from a grid of 4: in five minutes 64 px
            # came to precision 0.30 and coverage 0.23 (classifier features, k = 5).
            GanConfig(
                width=48,
                generator=Adam(learning_rate=4e-4, betas=(0.5, 0.999)),
                discriminator=Adam(learning_rate=2e-4, betas=(0.5, 0.999)),
                r1_gamma=0.02,
            ),
            TrainingConfig(images=170_000, batch=32),
        ),
        Recipe(
            "wgan-gp",
            "Gulrajani et al., Improved Training of Wasserstein GANs",
            2017,
            "a critic instead of a discriminator, with a bounded slope; residual networks",
            # Appendix A and F, CIFAR-10: 100,000 updates of G, five of D for each. (The authors'
            # code shows G 128 fakes in an update; here both see a batch.)
            GanConfig(
                networks="resnet",
                latent_size=128,
                width=128,
                objective="wasserstein",
                gradient_penalty="two-sided",
                critic_steps=5,
                generator=Adam(learning_rate=Schedule(start=2e-4, end=0), betas=(0.0, 0.9)),
                discriminator=Adam(learning_rate=Schedule(start=2e-4, end=0), betas=(0.0, 0.9)),
            ),
            TrainingConfig(images=32_000_000, batch=64),
        ),
        Recipe(
            "sngan",
            "Miyato et al., Spectral Normalization for Generative Adversarial Networks",
            2018,
            "every layer of the discriminator bounded by its largest singular value",
            # Section 4.2 and appendix B.4, CIFAR-10, ResNet with hinge loss: 50,000 updates of G.
            # (The authors' code shows G 128 fakes in an update; here both see a batch.)
            GanConfig(
                networks="resnet",
                latent_size=128,
                width=256,
                discriminator_width=128,
                discriminator_norm="spectral",
                objective="hinge",
                critic_steps=5,
                generator=Adam(learning_rate=Schedule(start=2e-4, end=0), betas=(0.0, 0.9)),
                discriminator=Adam(learning_rate=Schedule(start=2e-4, end=0), betas=(0.0, 0.9)),
            ),
            TrainingConfig(images=16_000_000, batch=64),
        ),
        Recipe(
            "biggan",
            "Brock, Donahue & Simonyan, Large Scale GAN Training",
            2018,
            "class-conditional at scale: shared embedding, self-attention, truncation",
            # The batch, rates and steps of the authors' script for CIFAR-10 (500 epochs), which has
            # neither the shared embedding, the hierarchical latents and the orthogonal
            # initialisation nor the orthogonal regularisation of the paper; here are all of these.
            # For ImageNet at 128 px (appendix C): width=96, latent_size=120, critic_steps=2, G at
            # 5e-5, training.batch=2048. EMA decay 0.9999 a step is a half-life of 1,390,000 images.
            GanConfig(
                networks="biggan",
                latent_size=128,
                width=64,
                conditional=True,
                objective="hinge",
                critic_steps=4,
                orthogonal=1e-4,
                generator=Adam(learning_rate=2e-4, betas=(0.0, 0.999)),
                discriminator=Adam(learning_rate=2e-4, betas=(0.0, 0.999)),
            ),
            TrainingConfig(images=25_000_000, batch=50, ema_half_life=1_390_000),
        ),
        Recipe(
            "r3gan",
            "Huang et al., The GAN is dead; long live the GAN!",
            2024,
            "a loss that cannot collapse, R1 and R2, and a plain modern network",
            # The authors' settings for CIFAR-10: all schedules over the first 20 million images.
            # They also mirror the pictures (data.flip=true) and augment colours half as often.
            GanConfig(
                networks="r3gan",
                latent_size=64,
                width=768,
                conditional=True,
                objective="relativistic",
                r1_gamma=Schedule(start=0.05, end=0.005, until=0.1, shape="cosine"),
                r2_gamma=Schedule(start=0.05, end=0.005, until=0.1, shape="cosine"),
                r1_every=1,
                augment="ada",
                augment_groups=("blit", "geometry", "colour", "cutout"),
                augment_strength=Schedule(start=0.0, end=0.55, until=0.1, shape="cosine"),
                generator=_R3GAN_ADAM,
                discriminator=_R3GAN_ADAM,
            ),
            TrainingConfig(images=200_000_000, batch=512, ema_half_life=5_000_000),
        ),
        Recipe(
            "wgan-gp-tiny",
            "Gulrajani et al., Improved Training of Wasserstein GANs",
            2017,
            "a narrow wgan-gp for CPUs: CIFAR-10 with coverage 0.78 in 6 minutes of one core",
            GanConfig(
                networks="resnet",
                latent_size=64,
                width=32,
                objective="wasserstein",
                gradient_penalty="two-sided",
                critic_steps=2,
                generator=Adam(learning_rate=Schedule(start=5e-4, end=0), betas=(0.0, 0.9)),
                discriminator=Adam(learning_rate=Schedule(start=5e-4, end=0), betas=(0.0, 0.9)),
            ),
            TrainingConfig(images=100_000, batch=32),
        ),
        Recipe(
            "sngan-tiny",
            "Miyato et al., Spectral Normalization for Generative Adversarial Networks",
            2018,
            "a narrow sngan for CPUs: CIFAR-10 with coverage 0.79 in 8 minutes of one core",
            GanConfig(
                networks="resnet",
                latent_size=64,
                width=48,
                discriminator_norm="spectral",
                objective="hinge",
                critic_steps=2,
                generator=Adam(learning_rate=Schedule(start=5e-4, end=0), betas=(0.0, 0.9)),
                discriminator=Adam(learning_rate=Schedule(start=5e-4, end=0), betas=(0.0, 0.9)),
            ),
            TrainingConfig(images=100_000, batch=32),
        ),
        Recipe(
            "biggan-tiny",
            "Brock, Donahue & Simonyan, Large Scale GAN Training",
            2018,
            "a narrow biggan for CPUs: CIFAR-10 with coverage 0.81 in 7 minutes of one core",
            GanConfig(
                networks="biggan",
                latent_size=64,
                width=8,
                conditional=True,
                objective="hinge",
                critic_steps=2,
                orthogonal=1e-4,
                generator=Adam(learning_rate=Schedule(start=4e-4, end=0), betas=(0.0, 0.999)),
                discriminator=Adam(learning_rate=Schedule(start=4e-4, end=0), betas=(0.0, 0.999)),
            ),
            TrainingConfig(images=100_000, batch=32),
        ),
        Recipe(
            "r3gan-tiny",
            "Huang et al., The GAN is dead; long live the GAN!",
            2024,
            "a narrow r3gan for CPUs: CIFAR-10 with coverage 0.88 in 17 minutes of one core",
            GanConfig(
                networks="r3gan",
                latent_size=64,
                width=24,
                blocks=1,
                objective="relativistic",
                r1_gamma=0.2,
                r2_gamma=0.2,
                r1_every=4,
                generator=Adam(learning_rate=Schedule(start=1e-3, end=0), betas=(0.0, 0.9)),
                discriminator=Adam(learning_rate=Schedule(start=1e-3, end=0), betas=(0.0, 0.9)),
            ),
            TrainingConfig(images=100_000, batch=32),
        ),
        *VARIATIONAL_RECIPES,
        *COMPRESSION_RECIPES,
        *STYLE_RECIPES,
        *TRANSLATION_RECIPES,
        *DIFFUSION_RECIPES,
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe of a name; ConfigError offers the nearest one."""
    if name not in RECIPES:
        raise ConfigError(
            f"There is no model {name!r}.{nearest(name, list(RECIPES))} "
            "`ganvas models` lists all of them."
        )
    return RECIPES[name]
