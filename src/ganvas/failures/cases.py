"""The failures and their fixes as data: what is trained, on what, and what is claimed of it.

All runs of a case share its networks, batch, optimiser and number of images unless a recipe's
settings say otherwise; these are the `--set`s that anyone can give to `ganvas train gan`.
"""

from dataclasses import dataclass

from ganvas.failures.claims import Apart, Bound
from ganvas.recipes import find_recipe
from ganvas.training.config import RunConfig, override

_LINES, _SHEETS = 100, 4
"""Of the log, and pictures of samples beside the first, in a run."""


@dataclass(frozen=True)
class Recipe:
    """One way to train; the first of a case fails."""

    name: str
    """In lower case, as a folder may be called."""
    label: str
    about: str
    """A sentence: what it is, with its source."""
    settings: tuple[str, ...]
    """What differs from the case's settings, as for --set."""


@dataclass(frozen=True)
class Case:
    """A failure, its diagnosis and its fixes."""

    name: str
    title: str
    source: str
    """`ring`, `grid`; for stacked digits "" until it is known where they are."""
    failure: str
    """What goes wrong, and why; paragraphs parted by empty lines."""
    diagnosis: str
    """By which numbers it is seen."""
    fix: str
    """What the fixes do about it."""
    budget: str
    """What is equal for all recipes, in a sentence."""
    images: int
    """Shown in every training."""
    begins_as: str
    """The recipe of `ganvas train` that all of them start from."""
    settings: tuple[str, ...]
    """What differs from it in all of them, as for --set."""
    failing: tuple[Recipe, ...]
    fixes: tuple[Recipe, ...]
    claims: tuple[Bound | Apart, ...]

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """All of them, the failing ones first."""
        return (*self.failing, *self.fixes)

    def config(self, recipe: Recipe, seed: int, images: int | None = None) -> RunConfig:
        """The configuration of one run.

        Args:
            recipe: One of the case's.
            seed: Of the training.
            images: Length in images shown, in place of the case's own.
        """
        start = find_recipe(self.begins_as).config.model_dump(mode="json")
        length = images or self.images
        settings = (
            f"training.images={length}",
            f"training.log_every={max(1, length // _LINES)}",
            f"training.sample_every={max(1, length // _SHEETS)}",
            f"training.checkpoint_every={length}",
            f"training.seed={seed}",
        )
        values = override(start, (*self.settings, *recipe.settings, *settings))
        values["data"]["source"] = self.source  # a path need not be YAML
        return RunConfig.parse(values)


def _adam(generator: str, discriminator: str) -> tuple[str, ...]:
    """Settings of Adam with these learning rates and the betas of DCGAN."""
    return (
        f"model.generator={{learning_rate: {generator}, betas: [0.5, 0.999]}}",
        f"model.discriminator={{learning_rate: {discriminator}, betas: [0.5, 0.999]}}",
    )


_TOY = (
    "model.networks=mlp",
    "model.width=64",
    "model.latent_size=8",
    "model.objective=minimax",
    *_adam("{start: 0.003, end: 0, begin: 0.5}", "{start: 0.003, end: 0, begin: 0.5}"),
    "training.batch=128",
    "training.score_every=0",
    "training.device=cpu",
    "training.precision=float32",
    "training.compile=false",
)
"""Three layers of 64 in place of the two of 128 in Metz et al. 2017, appendix A, fewer latents (8
for 256) and smaller batches (128 for 512), so that all of it takes minutes. The rates fall in the
second half because a mode is narrow: three standard deviations are 3% of the ring's radius."""

# Algorithm 1 of Gulrajani et al. 2017; R3GAN's authors have 0, too, and 0.9 rising to 0.99.
_SHORT_MEMORY = ("model.generator.betas=[0.0, 0.9]", "model.discriminator.betas=[0.0, 0.9]")

_MINIMAX = Recipe(
    "minimax",
    "minimax GAN",
    "The game of 2014: G lowers log(1 - D(G(z))) (Goodfellow et al. 2014, eq. 1).",
    (),
)
_MINIMAX_SLOWER = Recipe(
    "minimax-slower",
    "minimax GAN, slower",
    "The same at the usual rate of 0.001 throughout, lest the faster one be to blame.",
    _adam("0.001", "0.001"),
)
_NON_SATURATING = Recipe(
    "non-saturating",
    "non-saturating GAN",
    "G lowers -log D(G(z)) instead (Goodfellow et al. 2014, section 3).",
    ("model.objective=non-saturating",),
)
_MINIBATCH = Recipe(
    "minibatch",
    "minibatch discrimination",
    "D sees how near each sample lies to the others of its batch (Salimans et al. 2016, 3.2).",
    ("model.minibatch=discrimination",),
)
_WGAN_GP = Recipe(
    "wgan-gp",
    "WGAN-GP",
    "D estimates a distance, its slope held near 1 by a weight of 0.1, that of the authors' toys; "
    "Adam's betas, 0 and 0.9, are those of Algorithm 1 (Gulrajani et al. 2017).",
    (
        "model.objective=wasserstein",
        "model.gradient_penalty=two-sided",
        "model.gradient_penalty_weight=0.1",
        *_SHORT_MEMORY,
    ),
)
_R3GAN = Recipe(
    "r3gan",
    "R3GAN's loss",
    "Every fake is judged against a real sample, with R1 and R2 and without momentum (Huang et al. "
    "2024, eq. 2 and 5).",
    (
        "model.objective=relativistic",
        "model.r1_gamma=0.002",
        "model.r2_gamma=0.002",
        "model.r1_every=1",
        *_SHORT_MEMORY,
    ),
)


def _unrolled(steps: int) -> Recipe:
    return Recipe(
        f"unrolled-{steps}",
        f"unrolled, k={steps}",
        f"G looks {steps} updates of D ahead and is trained through them (Metz et al. 2017).",
        (f"model.unroll={steps}",),
    )


def _covers(recipe: str, name: str, bound: int, good: float = 0.9) -> tuple[Bound, ...]:
    return (
        Bound(f"{name} covers all {bound} modes from every seed.", recipe, "modes", "at least",
              bound),
        Bound(f"At least {good:.0%} of its samples are good, from every seed.", recipe, "good",
              "at least", good),
    )  # fmt: skip


_COLLAPSE = (
    "The generator is asked only to please the discriminator of the moment. Where one mode pleases "
    "it most, all of its samples go there; the discriminator learns to refuse that place, and the "
    "generator moves on to the next. It never has to cover what it has left."
)
_COLLAPSE_SEEN = (
    "Fewer modes are covered than there are, few samples are good, and the divergence from equal "
    "frequencies is high. Where the generator's gradient stays large, it keeps moving from mode to "
    "mode; where it dies, the discriminator has won for good (see the vanishing gradient below)."
)
_COLLAPSE_MENDED = (
    "WGAN-GP and R3GAN change the loss, so that the discriminator's slope leads from anywhere to "
    "where samples are missing. Minibatch discrimination lets the discriminator see that all "
    "samples are alike, which only helps a generator that still has a gradient to follow. The "
    "non-saturating loss alone keeps that gradient alive, and is the control: it mends no want of "
    "diversity, and loses modes from some seeds."
)
_SAME_BUDGET = (
    "Equal for all: networks, latents, batch, the number of real images shown, and with it the "
    "updates of D and of G; and Adam's rates, unless a recipe's name says otherwise."
)

CASES: tuple[Case, ...] = (
    Case(
        name="collapse-ring",
        title="Mode collapse on a ring of 8 Gaussians",
        source="ring",
        failure=_COLLAPSE,
        diagnosis=_COLLAPSE_SEEN,
        fix=_COLLAPSE_MENDED,
        budget=_SAME_BUDGET,
        images=768_000,
        begins_as="gan",
        settings=_TOY,
        failing=(_MINIMAX, _MINIMAX_SLOWER),
        fixes=(_NON_SATURATING, _MINIBATCH, _WGAN_GP, _R3GAN),
        claims=(
            Bound("The minimax GAN covers fewer than 8 modes from most seeds.", "minimax", "modes",
                  "below", 8, "most"),
            Bound("So it does at the usual, slower rate.", "minimax-slower", "modes", "below", 8,
                  "most"),
            *_covers("wgan-gp", "WGAN-GP", 8),
            *_covers("r3gan", "R3GAN's loss", 8),
        ),
    ),
    Case(
        name="unrolling-ring",
        title="Unrolling against mode collapse, at its own rates",
        source="ring",
        failure=_COLLAPSE,
        diagnosis=(
            "As above. The rates are those of Metz et al. 2017, ten times slower for the "
            "discriminator than for the generator, which falls in the second half: this "
            "discriminator is always late, and the generator runs ahead of it."
        ),
        fix=(
            "The generator plays against the discriminator as it will be some updates later, and "
            "through these updates: running to where it errs today no longer pays, for it will "
            "have answered. The loss stays that of 2014. It costs about as many times more."
        ),
        budget=_SAME_BUDGET,
        images=3_072_000,
        begins_as="gan",
        settings=(*_TOY, *_adam("{start: 0.001, end: 0, begin: 0.5}", "0.0001")),
        failing=(_MINIMAX,),
        fixes=(_unrolled(5), _unrolled(10)),
        claims=(
            Bound("The minimax GAN covers fewer than 8 modes from most seeds.", "minimax", "modes",
                  "below", 8, "most"),
            *_covers("unrolled-5", "Unrolled by 5 steps it", 8),
            *_covers("unrolled-10", "Unrolled by 10 steps it", 8),
        ),
    ),
    Case(
        name="collapse-grid",
        title="Mode collapse on a grid of 25 Gaussians",
        source="grid",
        failure=_COLLAPSE,
        diagnosis=_COLLAPSE_SEEN,
        fix=_COLLAPSE_MENDED,
        budget=_SAME_BUDGET,
        images=768_000,
        begins_as="gan",
        settings=_TOY,
        failing=(_MINIMAX, _MINIMAX_SLOWER),
        fixes=(_NON_SATURATING, _MINIBATCH, _WGAN_GP, _R3GAN),
        claims=(
            Bound("The minimax GAN covers fewer than 25 modes from most seeds.", "minimax",
                  "modes", "below", 25, "most"),
            Bound("So it does at the usual, slower rate.", "minimax-slower", "modes", "below", 25,
                  "most"),
            *_covers("wgan-gp", "WGAN-GP", 25, good=0.5),
            *_covers("r3gan", "R3GAN's loss", 25, good=0.5),
        ),
    ),
    Case(
        name="vanishing",
        title="Vanishing gradients under a strong discriminator",
        source="ring",
        failure=(
            "Where the discriminator is sure that a sample is fake, log(1 - D(G(z))) is flat: the "
            "generator that loses most learns least (Goodfellow et al. 2014, section 3; Arjovsky & "
            "Bottou 2017, theorem 2.4). Here the discriminator gets ten updates for each of the "
            "generator's, ten times as large."
        ),
        diagnosis=(
            "The norm of the generator's gradient falls by orders of magnitude, and the samples "
            "stay where they are."
        ),
        fix=(
            "The non-saturating loss, -log D(G(z)), has the same fixed point and the steepest "
            "slope exactly where the discriminator is sure."
        ),
        budget=(
            "Equal for both: networks, latents, batch, Adam and its rates, the number of real "
            "images shown, the updates of D and those of G (a tenth as many)."
        ),
        images=640_000,
        begins_as="gan",
        settings=(*_TOY, *_adam("0.0001", "0.001"), "model.critic_steps=10"),
        failing=(
            Recipe("saturating", "saturating", "G lowers log(1 - D(G(z))).", ()),
        ),
        fixes=(
            _NON_SATURATING,
        ),
        claims=(
            Apart("The saturating loss leaves the generator a gradient at least five times "
                  "smaller.", "gradient", "saturating", "non-saturating", 5),
        ),
    ),
    Case(
        name="clipping",
        title="Weight clipping and its instability",
        source="ring",
        failure=(
            "The first WGAN keeps its critic's slope bounded by clipping every weight to [-c, c] "
            "(Arjovsky et al. 2017). How steep that lets the critic be depends on c and on the "
            "depth: a little too small and gradients vanish from layer to layer, a little too "
            "large and they explode (Gulrajani et al. 2017, section 3)."
        ),
        diagnosis=(
            "The generator's gradient differs by orders of magnitude between c = 0.01 and c = 0.1; "
            "clipped critics are too simple to tell modes apart."
        ),
        fix="WGAN-GP asks for the slope itself, by a penalty on the norm of the gradient.",
        budget=_SAME_BUDGET + " (Arjovsky et al. use RMSprop; this package has Adam.)",
        images=768_000,
        begins_as="gan",
        settings=(*_TOY, "model.objective=wasserstein"),
        failing=(
            Recipe("clip-0.01", "clipped to 0.01", "The WGAN's own bound.",
                   ("model.clip_weights=0.01",)),
            Recipe("clip-0.1", "clipped to 0.1", "Ten times that.", ("model.clip_weights=0.1",)),
        ),
        fixes=(_WGAN_GP,),
        claims=(
            Apart("A bound ten times larger makes the generator's gradient at least a hundred "
                  "times larger.", "gradient", "clip-0.01", "clip-0.1", 100),
            Bound("Clipped to 0.01 it covers fewer than 8 modes from most seeds.", "clip-0.01",
                  "modes", "below", 8, "most"),
            *_covers("wgan-gp", "WGAN-GP", 8),
        ),
    ),
)  # fmt: skip
"""What `ganvas failures` tells, in order."""

STACKED = Case(
    name="stacked-mnist",
    title="Dropped modes on stacked MNIST: 1,000 of them",
    source="",
    failure=(
        "Three random digits are the three channels of one picture: 1,000 modes that a classifier "
        "of digits can count (Srivastava et al. 2017). A generator can please with far fewer."
    ),
    diagnosis="How many of the 1,000 triples occur among 26,000 samples, and how evenly.",
    fix="The same losses as on the toys, between convolutional networks.",
    budget=(
        "Equal for all: convolutional networks of the same width, batch, Adam, and the number of "
        "real images shown. DCGAN has batch norm in D, the others must not."
    ),
    images=100_000,
    begins_as="dcgan",
    settings=(
        "data.images=128000",
        "model.width=16",
        "training.batch=64",
        "training.score_every=0",
    ),
    failing=(
        Recipe("dcgan", "DCGAN", "Radford, Metz & Chintala 2015, narrower.", ()),
    ),
    fixes=(
        Recipe("wgan-gp", "WGAN-GP", "Gulrajani et al. 2017, with their Adam.", (
            "model.objective=wasserstein",
            "model.gradient_penalty=two-sided",
            "model.gradient_penalty_weight=10",
            "model.discriminator_norm=none",
        )),
        Recipe("r3gan", "R3GAN's loss", "Huang et al. 2024.", (
            "model.objective=relativistic",
            "model.r1_gamma=1",
            "model.r2_gamma=1",
            "model.r1_every=1",
            "model.discriminator_norm=none",
        )),
    ),
    claims=(
        Apart("DCGAN covers fewer modes than WGAN-GP.", "modes", "dcgan", "wgan-gp"),
        Apart("DCGAN covers fewer modes than R3GAN's loss.", "modes", "dcgan", "r3gan"),
    ),
)  # fmt: skip
"""Where digits are given; its source is filled in then."""
