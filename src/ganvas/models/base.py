"""The contract of a model: networks, the game they play, and what can be explored."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.models.phase import Phase
from ganvas.settings import Settings

if TYPE_CHECKING:
    from ganvas.models.diffusion_config import Sampling

Noise = Literal["constant", "random", "none"]
"""The noise that a StyleGAN adds to its maps: always the same, that of a seed, or no noise."""

_BATCH = 64
"""Images decoded at once."""


class ModelSettings(Settings):
    """What the settings of every model tell the data."""

    needs_pairs: ClassVar[bool | None] = None
    """Whether every picture must have its partner in a second domain; None: there is no second."""

    @property
    def needs_captions(self) -> bool:
        """Whether the model learns from a caption of every picture."""
        return False


class Model(nn.Module, ABC):
    """Networks (its child modules) plus their phases of training.

    Images in and out are float tensors (N, C, H, W) in [-1, 1]; points are (N, 2).
    """

    averaged: ClassVar[tuple[str, ...]]
    """The networks of which the loop keeps an exponential moving average."""
    learns_classes_by: ClassVar[str] = "model.conditional=true"
    """The setting that makes it class-conditional."""
    only_for_training: ClassVar[tuple[str, ...]] = ()
    """Parts that are saved to go on training, but not among the weights to use."""

    def __init__(self, shape: tuple[int, ...], classes: Sequence[str] = ()) -> None:
        super().__init__()
        self.shape = shape
        self.classes = tuple(classes)
        """Class names where the model is conditional, else ()."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The updates of one training step, in order."""

    def compile_networks(self) -> None:
        """Have torch.compile speed up every network from now on."""
        for network in self.children():
            if any(True for _ in network.parameters()):
                network.compile()

    @abstractmethod
    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """What to look at during training, for the same images and seed each time: (M, *shape).

        Args:
            images: Of the data.
            labels: Theirs, where the data has classes.
            seed: Of what is drawn at random.
            targets: As many of the second domain, where there is one.
        """


class LatentModel(Model):
    """A model with a latent space: what `ganvas.latent` and the studio explore."""

    latent_size: int

    @abstractmethod
    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_size) -> images (N, C, H, W) in [-1, 1]."""

    def sample(
        self,
        n: int,
        seed: int = 0,
        labels: Sequence[int | str] | Tensor | None = None,
        truncation: float | None = None,
        noise: Noise | None = None,
    ) -> Tensor:
        """Draw n new images.

        Args:
            n: How many.
            seed: Of the first image; the next ones have the seeds seed + 1, seed + 2, ...
            labels: For a class-conditional model, class names or numbers, used in turn
                (default: every class in turn).
            truncation: Keep latents near their mean, for fewer odd pictures and less variety; what
                the number means is the model's to say (`Truncates`).
            noise: What a model with noise inputs (`Styles`) adds to its maps; random is that of
                seed for the first image, of seed + 1 for the next (default: constant).

        Returns:
            (n, C, H, W) float32 in [-1, 1], or points (n, 2).

        Raises:
            ConfigError: n < 1, no such class, a model without a distribution of latents, one whose
                latents cannot be truncated, or noise for a model that has none.
        """
        if n < 1:
            raise ConfigError(f"cannot draw {n} images: ask for at least one (-n 16).")
        if not isinstance(self, Samples):
            raise ConfigError(
                "an autoencoder has no distribution to draw from: its codes may lie anywhere. "
                "`ganvas reconstruct` shows what it does. To draw new pictures train a vae; or, on "
                "top of an autoencoder-kl or a vqvae, latent-diffusion with --first-stage RUN."
            )
        latents, classes = self.sample_latents(n, seed), class_labels(self, labels, n)
        with self._truncated(truncation) as truncate:
            if noise is None:
                return self.decode_all(truncate(latents), classes)
            return _synthesise_all(self, truncate(latents), classes, noise, seed)

    @contextlib.contextmanager
    def _truncated(self, truncation: float | None) -> Iterator[Callable[[Tensor], Tensor]]:
        """Within, the function that truncates latents; None leaves them as they are."""
        if truncation is None:
            yield lambda latents: latents
        elif isinstance(self, Truncates):
            with self.truncated(truncation) as truncate:
                yield truncate
        else:
            raise ConfigError("the latents of this model cannot be truncated; those of a gan can.")

    @torch.no_grad()
    def decode_all(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Decode any number of latents in batches that fit into memory, without gradients."""
        parts = [self.decode(*part).float() for part in _batches(latents, labels)]
        return torch.cat(parts)


@runtime_checkable
class Samples(Protocol):
    """A model whose latents have a distribution to draw from."""

    def sample_latents(self, n: int, seed: int) -> Tensor:
        """n latents (n, latent_size); number i is that of seed + i, on every device."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """A model that finds the latents of given images."""

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> latents (N, latent_size)."""
        ...


@runtime_checkable
class Truncates(Protocol):
    """A model that can trade variety for quality (Brock et al. 2019, section 3.1)."""

    def truncated(
        self, threshold: float
    ) -> contextlib.AbstractContextManager[Callable[[Tensor], Tensor]]:
        """Within, the function that truncates latents (N, latent_size), and a model for them."""
        ...


@runtime_checkable
class Styles(Protocol):
    """A StyleGAN: latents are mapped to styles w, one of which may be given to each layer (w+)."""

    @property
    def layers(self) -> int:
        """How many styles a picture takes."""
        ...

    @property
    def layer_resolutions(self) -> tuple[int, ...]:
        """The height of the picture at which each of them acts, from coarse to fine."""
        ...

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        """(H, W) of each noise input; () for networks without noise."""
        ...

    def map(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_size) -> w (N, latent_size); within `truncated`, truncated."""
        ...

    def synthesise(self, styles: Tensor, noise: Noise = "constant", seed: int = 0) -> Tensor:
        """Styles (N, layers, latent_size) -> images (N, C, H, W) in [-1, 1].

        Random noise is of the seed for the first picture, of seed + 1 for the next, on every
        device. Raises ConfigError where networks without noise are asked for another than constant.
        """
        ...

    def centre(self) -> Tensor:
        """The mean of w over the latents, (latent_size,): what truncation pulls towards."""
        ...


@runtime_checkable
class Reads(Protocol):
    """A model that draws what a caption asks for."""

    def tokenise(self, captions: Sequence[str], *, lenient: bool = False) -> Tensor:
        """Captions -> the numbers of their words (N, L) int64, which `decode` takes as labels.

        Args:
            captions: What to draw, or to learn from.
            lenient: Read what can be read, as training does: cut what is too long, and take words
                that are not in the vocabulary for the unknown one.

        Raises:
            ConfigError: Not lenient, and a caption is empty, too long or has unknown words.
        """
        ...


@runtime_checkable
class Diffuses(Protocol):
    """A model that draws in several steps, from noise to a picture."""

    def drawing(
        self, sampling: "Sampling | None", advance: Callable[[int], None] | None
    ) -> contextlib.AbstractContextManager[None]:
        """Within, `decode` draws with this sampler, and reports how far it has come.

        Args:
            sampling: The sampler, its steps and the guidance; None: as the model is configured.
            advance: Called with the pictures that were finished since the last call.
        """
        ...


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Treat the weights as constants: a phase that does not train them need not differentiate."""
    trained = [p for p in network.parameters() if p.requires_grad]
    try:
        network.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def normal_latents(n: int, size: int, seed: int, device: torch.device) -> Tensor:
    """Standard normal latents (n, size) of the seeds seed, seed + 1, ...

    One seed, one picture: the fifth picture of a sheet from seed 0 is the first of one from seed 4.
    Drawn on the CPU, so that a seed means the same picture on every device.
    """
    generator = torch.Generator()
    rows = [torch.randn(size, generator=generator.manual_seed(seed + i)) for i in range(n)]
    return torch.stack(rows).to(device)


def required_labels(model: Model, labels: Tensor | None) -> Tensor | None:
    """The labels of given images: where the model is conditional there is no default for them."""
    if model.classes and labels is None:
        raise ConfigError(
            "this model was trained with classes and needs those of the pictures: give a source "
            f"with the classes {', '.join(model.classes[:20])}."
        )
    return labels if model.classes else None


def class_labels(
    model: Model, labels: Sequence[int | str] | Tensor | None, n: int
) -> Tensor | None:
    """Labels (n,) for n images: the given ones repeated in turn, or all classes in turn.

    Labels are class names or numbers. Returns None for a model without classes; raises ConfigError
    for labels that the model does not have.
    """
    if not model.classes:
        if labels is not None and len(labels):
            raise ConfigError(
                "this model was trained without classes, so it takes no labels. "
                f"Train with --set {model.learns_classes_by} on data whose sub-folders are classes."
            )
        return None
    if labels is None or not len(labels):
        labels = torch.arange(len(model.classes))  # not by name: a class may be called "1"
    if not isinstance(labels, Tensor):
        labels = torch.tensor([_class_index(model.classes, label) for label in labels])
    repeats = -(-n // len(labels))
    return labels.repeat(repeats)[:n].to(model.device)


def _class_index(classes: tuple[str, ...], label: int | str) -> int:
    if str(label) in classes:
        return classes.index(str(label))
    if str(label).isdecimal() and int(label) < len(classes):
        return int(label)
    raise ConfigError(
        f"this model has no class {label!r}. It has {len(classes)}: {', '.join(classes[:20])}"
        f"{', ...' if len(classes) > 20 else ''} (or their numbers, 0 to {len(classes) - 1})."
    )


def _batches(latents: Tensor, labels: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Latents and their labels, in parts that fit into memory."""
    chosen = None if labels is None else labels.split(_BATCH)
    for i, part in enumerate(latents.split(_BATCH)):
        yield part, None if chosen is None else chosen[i]


@torch.no_grad()
def _synthesise_all(
    model: Model, latents: Tensor, labels: Tensor | None, noise: Noise, seed: int
) -> Tensor:
    """As `decode_all`, with a kind of noise."""
    if not isinstance(model, Styles) or not model.noise_shapes:
        raise ConfigError(
            f"--noise {noise}: this model adds no noise to its maps; stylegan and stylegan2 do. "
            "Leave it out."
        )
    images: list[Tensor] = []
    for i, part in enumerate(_batches(latents, labels)):
        styles = model.map(*part)[:, None].expand(-1, model.layers, -1)
        images.append(model.synthesise(styles, noise, seed + i * _BATCH).float())
    return torch.cat(images)


def alternate(first: Tensor, second: Tensor) -> Tensor:
    """Two batches (N, ...) as pairs (2N, ...): first, second, first, second, ..."""
    return torch.stack([first, second], 1).flatten(0, 1)
