"""The story from the autoencoder to DCGAN as data: what is trained, on what, and what to say of it.

Every model sees the same pictures, as many of them, at the same size; whether the story is true is
measured (`ganvas.evaluation.story`).
"""

from dataclasses import dataclass

from ganvas.recipes import find_recipe
from ganvas.training.config import RunConfig, override


@dataclass(frozen=True)
class Part:
    """One model of a story, and its chapter."""

    recipe: str
    title: str
    text: str
    """Paragraphs, parted by empty lines."""
    settings: tuple[str, ...] = ()
    """What differs from the recipe, as for --set."""


@dataclass(frozen=True)
class Story:
    """Models in the order of their invention, trained alike."""

    title: str
    introduction: str
    """Paragraphs, parted by empty lines."""
    source: str
    resolution: int
    images: int
    """Shown to every model."""
    parts: tuple[Part, ...]

    def config(self, part: Part) -> RunConfig:
        """The complete configuration of a part's run."""
        values = find_recipe(part.recipe).config.model_dump(mode="json")
        return RunConfig.parse(
            override(
                values,
                [
                    f"data.source={self.source}",
                    f"data.resolution={self.resolution}",
                    f"training.images={self.images}",
                    *part.settings,
                ],
            )
        )


STORY = Story(
    title="From the autoencoder to DCGAN",
    introduction=(
        "Four models that learn to draw, in the order in which they were invented. All have seen "
        "the same number of the same pictures, cartoon faces of 48 by 48 pixels whose attributes "
        "are known, and are measured against faces that none of them has seen.\n\n"
        "Each chapter makes claims that the measurements decide: they are computed from the "
        "numbers, not written beside them."
    ),
    source="avatars",
    resolution=48,
    images=170_000,
    parts=(
        Part(
            "autoencoder",
            "The autoencoder remembers, but does not invent",
            "An encoder squeezes a picture into a code of 64 numbers, a decoder draws it again "
            "from the code (Hinton & Salakhutdinov 2006). The only aim is that the picture comes "
            "back.\n\n"
            "Nothing says where the codes of faces lie. A code drawn at random, from a normal "
            "distribution, is most likely one that the decoder has never met.",
            ("model.width=32",),
        ),
        Part(
            "vae",
            "The VAE can be sampled, but blurs",
            "The variational autoencoder (Kingma & Welling 2013) makes the encoder answer with a "
            "distribution, and pulls all of these together to one normal distribution: now a code "
            "drawn at random is like the codes of faces.\n\n"
            "Where the code leaves open what a pixel is, the best guess under its Gaussian "
            "likelihood is the mean of what it could be: a blur.",
            ("model.width=32",),
        ),
        Part(
            "gan",
            "The GAN is sharper, but drops modes",
            "A generator draws, a discriminator tells drawn pictures from real ones, and each "
            "learns from the other (Goodfellow et al. 2014). A blur is easily told, so the "
            "generator must commit itself to edges.\n\n"
            "But nothing makes it draw everything that there is: a few kinds of faces that pass "
            "are enough. And its fully connected layers must learn for every pixel anew what an "
            "edge is, which shows as noise.",
        ),
        Part(
            "dcgan-tiny",
            "DCGAN draws more of the faces, and better",
            "The same game between convolutional networks with batch normalisation (Radford, Metz "
            "& Chintala 2015): an edge learned in one place is known in all. Here narrower than in "
            "the paper, and with a penalty on the discriminator's gradient that keeps the game "
            "from collapsing (Mescheder, Geiger & Nowozin 2018).",
        ),
    ),
)
