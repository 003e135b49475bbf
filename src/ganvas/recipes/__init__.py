"""Named, complete configurations: data, not code.

A recipe is what `ganvas train NAME` starts from; every field can be changed with `--set`.
"""

from dataclasses import dataclass

from ganvas.errors import ConfigError
from ganvas.models import ModelConfig
from ganvas.models.autoencoder import AutoencoderConfig
from ganvas.models.gan import GanConfig
from ganvas.models.phase import Adam
from ganvas.models.vae import VaeConfig
from ganvas.settings import nearest
from ganvas.training.config import RunConfig, TrainingConfig

DEFAULT = "dcgan-tiny"


@dataclass(frozen=True)
class Recipe:
    """A configuration with its origin."""

    name: str
    paper: str
    year: int
    summary: str
    model: ModelConfig
    training: TrainingConfig

    @property
    def config(self) -> RunConfig:
        """The complete configuration."""
        return RunConfig(name=self.name, model=self.model, training=self.training)


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
