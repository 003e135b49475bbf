"""The story from the autoencoder to latent diffusion: what is trained, and what to say of it.

Every model sees the same pictures at the same size, and as many of them as can be afforded; whether
the story is true is measured (`ganvas.evaluation.story`).
"""

from dataclasses import dataclass
from pathlib import Path

from ganvas.recipes import find_recipe
from ganvas.training.config import RunConfig, override


@dataclass(frozen=True)
class Part:
    """One model of a story, and its chapter."""

    name: str
    """Of its run; no other part has it."""
    title: str
    text: str
    """Paragraphs, parted by empty lines."""
    settings: tuple[str, ...] = ()
    """What differs from the recipe, as for --set."""
    of_recipe: str | None = None
    """Its recipe, where that is not called like the run."""
    share: float = 1.0
    """Of the story's images that it is shown."""
    first_stage: str | None = None
    """The earlier part in whose latents this one works."""

    @property
    def recipe(self) -> str:
        """What it is trained by."""
        return self.of_recipe or self.name


@dataclass(frozen=True)
class Story:
    """Models in the order of their invention, trained on the same pictures."""

    title: str
    introduction: str
    """Paragraphs, parted by empty lines."""
    source: str
    resolution: int
    images: int
    """Shown to every model, but for its share."""
    parts: tuple[Part, ...]

    def config(self, part: Part, folder: Path) -> RunConfig:
        """The complete configuration of a part's run.

        Args:
            part: One of the parts.
            folder: Where the runs of the story lie, each under its part's name.
        """
        values = find_recipe(part.recipe).config.model_dump(mode="json")
        if part.first_stage is not None:
            values["model"]["first_stage"]["run"] = str(folder / part.first_stage)
        return RunConfig.parse(
            override(
                values,
                [
                    f"data.source={self.source}",
                    f"data.resolution={self.resolution}",
                    f"training.images={max(1, round(self.images * part.share))}",
                    *part.settings,
                ],
            )
        )


STORY = Story(
    title="From the autoencoder to latent diffusion",
    introduction=(
        "Eight models that learn to draw, in the order in which they were invented. All have seen "
        "the same pictures, cartoon faces of 48 by 48 pixels whose attributes are known, and as "
        "many of them, but for one, whose chapter says so; they are measured against faces that "
        "none of them has seen.\n\n"
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
        Part(
            "vae-wide",
            "More numbers do not cure the VAE of its blur",
            "The models of the next chapters keep 576 numbers of a face, twelve by twelve places "
            "with four each. So that nobody can say that this alone makes them sharp, here is the "
            "VAE with as many: the same networks, nine times the code.\n\n"
            "Each number that carries something of the face costs in the KL term what it says. "
            "What is not worth its price is given up.",
            ("model.width=32", "model.latent_size=576"),
            of_recipe="vae",
        ),
        Part(
            "vqvae-tiny",
            "The VQ-VAE keeps a map of words",
            "Instead of numbers that are anything, each of twelve by twelve places of a face gets "
            "one of 512 codes, a vocabulary that is learned, too (van den Oord, Vinyals & "
            "Kavukcuoglu 2017). That is nine bits a place, far less than any other model here "
            "keeps; and no KL term pulls the codes of different faces together.\n\n"
            "Codes put down at random spell no face: the paper trains a second model that knows "
            "which maps occur.",
        ),
        Part(
            "autoencoder-kl-tiny",
            "The KL autoencoder gives back sharply",
            "The first stage of latent diffusion (Rombach et al. 2022, after Esser, Rombach & "
            "Ommer 2021): an autoencoder whose code is a map four times smaller than the face "
            "each way. It is judged by the features of a network beside the pixels, and by a "
            "discriminator that learns to tell what comes back from what went in. The KL term is "
            "a millionth: it keeps the numbers small and asks for nothing else.\n\n"
            "Its networks work at the full size of the picture and take long, so it has seen "
            "fewer faces than the others: a third of them.",
            share=1 / 3,
        ),
        Part(
            "latent-diffusion-tiny",
            "Latent diffusion draws best, and takes its time",
            "What the KL autoencoder lacks, a distribution of its maps, is what diffusion learns: "
            "noise is put on a map until nothing is left of it, and a network learns to take it "
            "off again, little by little (Ho, Jain & Abbeel 2020; Rombach et al. 2022). There is "
            "no game that could fail, and no mean of all that a pixel could be: every step "
            "decides a little.\n\n"
            "But what a GAN draws in one pass of its network, this model draws in twenty. It has "
            "learned from maps of the chapter before, and comes on top of that training.",
            ("model.condition=none",),
            first_stage="autoencoder-kl-tiny",
        ),
    ),
)
