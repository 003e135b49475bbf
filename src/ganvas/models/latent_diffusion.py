"""Latent diffusion (Rombach et al. 2022): pictures from text, by removing noise from latents.

A first stage, trained before and frozen, gives the map z_0 of a picture, here with mean 0 and
variance 1 in every channel, measured over the training pictures (in place of the paper's
rescaling, appendix G). The forward process adds noise over T = 1000 times (Ho et al. 2020, eq. 4),

    q(z_t | z_0) = N(alpha_t z_0, sigma_t^2 I),   alpha_t^2 + sigma_t^2 = 1,

and a network learns to undo it, given a caption y that a transformer tau has read (eq. 3):

    L = E_{z_0, y, t, eps} [ w_t |target - f(z_t, t, tau(y))|^2 ],   z_t = alpha_t z_0 + sigma_t eps

- target: eps, or v = alpha_t eps - sigma_t z_0 (Salimans & Ho 2022, appendix D).
- w_t: as if the error were that of z_0, weighted by min(SNR_t, gamma) with SNR_t = alpha_t^2 /
  sigma_t^2 (Hang et al. 2023, section 3.4): min(SNR_t, gamma) / SNR_t for eps, and
  min(SNR_t, gamma) / (SNR_t + 1) for v.
- y is left empty in a share of the pictures, so that the same network knows pictures without a
  caption, and drawing can go beyond what y says (Ho & Salimans 2022, eq. 6; g = 1 + their w):

    f(z_t, t, 0) + g (f(z_t, t, y) - f(z_t, t, 0))

A class is its name as the caption, and without classes and captions every caption is empty; so one
network serves all three. It is the UNet of `diffusers`, and the samplers are its schedulers.

The noise z_T that a picture is drawn from is what the rest of this package calls its latents.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError
from ganvas.models.base import LatentModel, Noise, class_labels, normal_latents
from ganvas.models.diffusion_config import TRAINING_STEPS, LatentDiffusionConfig, Sampling
from ganvas.models.diffusion_parts import bare_first_stage, check_installed, fitting_weights
from ganvas.models.phase import Batch, Losses, Phase
from ganvas.models.reading import (
    Captions,
    check_caption,
    what_is_known,
    whole_letters,
    without_text,
)
from ganvas.models.sampling import draw, noising, scheduler_for
from ganvas.networks.denoiser import denoiser
from ganvas.networks.text import (
    length_for,
    make_text_encoder,
    make_tokenizer,
    open_text_encoder,
    states_width,
    text_states,
)

_LEAST_STD = 1e-5
"""A channel that hardly varies is left as it is."""


class LatentDiffusion(LatentModel):
    """The frozen first stage, the reader of captions, and the UNet that removes noise.

    Args:
        config: With the configuration of its first stage.
        shape: Of a picture, (C, H, W).
        classes: Of the data; used by condition=class.
        captions: What is known of those of the data; used by condition=text.

    Raises:
        ConfigError: There is no first stage, no `diffusers`, or the data lacks what the condition
            asks for.
    """

    learns_classes_by = "model.condition=class"

    def __init__(
        self,
        config: LatentDiffusionConfig,
        shape: tuple[int, ...],
        classes: Sequence[str] = (),
        captions: Captions | None = None,
    ) -> None:
        super().__init__(shape, classes if config.condition == "class" else ())
        check_installed()
        self.config = config
        self.first_stage = bare_first_stage(config, shape).eval().requires_grad_(False)
        self.latent_shape = self.first_stage.latent_shape
        self.latent_size = self.first_stage.latent_size
        per_channel = (self.latent_shape[0], 1, 1)
        self.latent_mean: Tensor
        self.latent_std: Tensor
        self.register_buffer("latent_mean", torch.zeros(per_channel))
        self.register_buffer("latent_std", torch.ones(per_channel))
        known = what_is_known(config.condition, self.classes, captions)
        self.vocabulary, self._words = known.vocabulary, frozenset(known.vocabulary)
        self.examples = known.examples
        """Captions to draw, in turn, where none is asked for."""
        self.text_encoder: nn.Module
        if config.text_encoder is None:
            length = config.caption_length or length_for(known.longest)
            self.tokenizer = make_tokenizer(self.vocabulary, length)
            self.text_encoder = make_text_encoder(
                self.tokenizer, config.text_width, config.text_layers
            )
        else:
            self.tokenizer, self.text_encoder = open_text_encoder(Path(config.text_encoder))
        self.networks = ("unet",) if config.text_encoder else ("unet", "text_encoder")
        sizes = range(len(config.multipliers))
        self.unet = denoiser(
            self.latent_shape,
            [config.width * multiplier for multiplier in config.multipliers],
            config.blocks,
            sizes if config.attention is None else config.attention,
            config.head_size,
            states_width(self.text_encoder),
        )
        self._names: Tensor
        self.register_buffer("_names", self.tokenise(("", *self.classes), lenient=True), False)
        self._noising = noising(config)
        self._sampling = config.sampling
        self._advance: Callable[[int], None] = _ignore

    @property
    def averaged(self) -> tuple[str, ...]:  # type: ignore[override]  # depends on the configuration
        """The networks that are trained."""
        return self.networks

    def train(self, mode: bool = True) -> "LatentDiffusion":
        """Only what is trained here is ever in training mode."""
        super().train(mode)
        for name, network in self.named_children():
            network.train(mode and name in self.networks)
        return self

    def phases(self) -> tuple[Phase, ...]:
        """One: the UNet and, with it, the reader of captions."""
        return (Phase("denoiser", self.networks, self.denoising_loss, self.config.optimizer),)

    def denoising_loss(self, batch: Batch) -> Losses:
        """L: how far the network is from what was added, or from the velocity."""
        with torch.no_grad():
            z_0 = self._scaled(self.first_stage.maps_of(batch.images).float())
        t = (batch.draws.uniform() * TRAINING_STEPS).long()
        eps = batch.draws.normal(*self.latent_shape)
        dropped = batch.draws.uniform() < self.config.caption_dropout
        tokens = torch.where(dropped[:, None], self._names[:1], self._said_of(batch))
        z_t = self._noising.add_noise(z_0, eps, t)
        found = self.unet(z_t, t, text_states(self.text_encoder, tokens)).sample.float()
        is_v = self.config.prediction == "v"
        target = self._noising.get_velocity(z_0, eps, t) if is_v else eps
        errors = (found - target).square().flatten(1).mean(1)
        total = (self.weight(t) * errors).mean()
        return Losses(total, {"error": errors.mean().detach()})

    def _said_of(self, batch: Batch) -> Tensor:
        """y: the tokens of the batch's captions or classes, or of the empty caption."""
        match self.config.condition, batch.captions, batch.labels:
            case "text", Tensor() as tokens, _:
                return tokens
            case "class", _, Tensor() as labels:
                return self._names[labels + 1]
            case "none", _, _:
                return self._names[:1]
        raise ConfigError(
            f"model.condition={self.config.condition} needs pictures with what it asks for."
        )

    def weight(self, t: Tensor) -> Tensor:
        """w_t of times (N,): min-SNR weighting, or 1."""
        gamma = self.config.min_snr_gamma
        if gamma is None:
            return torch.ones_like(t, dtype=torch.float32)
        kept = self._noising.alphas_cumprod.to(t.device)[t]  # alpha_t^2
        snr = kept / (1 - kept)
        weights: Tensor = snr.clamp(max=gamma) / (snr + int(self.config.prediction == "v"))
        return weights

    def measure_scale(self, batches: Iterable[Tensor]) -> None:
        """Take mean and deviation of every channel of the maps from pictures (N, C, H, W).

        Raises:
            ConfigError: There are none, or the first stage makes no numbers of them.
        """
        with torch.no_grad():
            maps = [self.first_stage.maps_of(images.to(self.device)).double() for images in batches]
        if not maps:
            raise ConfigError("the scale of latents cannot be measured without pictures.")
        std, mean = torch.std_mean(torch.cat(maps), (0, 2, 3), correction=0)
        if not bool(torch.isfinite(std).all()):
            raise ConfigError(
                "the first stage gives latents that are not finite: its training went wrong. "
                "Train another, or use an earlier checkpoint of it."
            )
        self.latent_mean.copy_(mean[:, None, None])
        self.latent_std.copy_(std.clamp(min=_LEAST_STD)[:, None, None])

    def take_first_stage(self, weights: Mapping[str, Tensor]) -> None:
        """Use these weights of the first stage, by their names in its own run.

        Raises:
            ConfigError: They are not those of `config.first_stage.model` for such pictures.
        """
        self.first_stage.load_state_dict(fitting_weights(self.first_stage, weights))

    def _scaled(self, maps: Tensor) -> Tensor:
        return (maps - self.latent_mean) / self.latent_std

    def tokenise(self, captions: Sequence[str], *, lenient: bool = False) -> Tensor:
        """Captions -> the numbers of their words (N, L) int64, which `decode` takes as labels.

        Args:
            captions: What to draw, or to learn from.
            lenient: Read what can be read, as training does: cut what is too long, and take words
                that are not in the vocabulary for the unknown one.

        Raises:
            ConfigError: Not lenient, and a caption is empty, too long or has unknown words.
        """
        captions = [whole_letters(caption) for caption in captions]
        if not lenient:
            for caption in dict.fromkeys(captions):
                self._check(caption)
        read = self.tokenizer(
            captions, padding="max_length", truncation=True,
            max_length=self.tokenizer.model_max_length, return_tensors="pt",
        )  # fmt: skip
        tokens: Tensor = read["input_ids"]
        return tokens.to(self.device)

    def _check(self, caption: str) -> None:
        own = self.config.text_encoder is None
        used = len(self.tokenizer(caption, truncation=False, verbose=False)["input_ids"])
        check_caption(
            caption, self._words if own else None, used, self.tokenizer.model_max_length,
            example=next(iter(self.examples), "a face"),
        )  # fmt: skip

    def sample_latents(self, n: int, seed: int) -> Tensor:
        """z_T ~ N(0, I), flattened: (n, latent_size)."""
        return normal_latents(n, self.latent_size, seed, self.device)

    def sample(
        self,
        n: int,
        seed: int = 0,
        labels: Sequence[int | str] | Tensor | None = None,
        truncation: float | None = None,
        noise: Noise | None = None,
        *,
        texts: Sequence[str] | None = None,
    ) -> Tensor:
        """As every model; `texts` are captions to draw in turn, for condition=text.

        Raises:
            ConfigError: As every model; a caption that cannot be drawn, or a model without text.
        """
        if texts is None:
            return super().sample(n, seed, labels, truncation, noise)
        if self.config.condition != "text":
            raise without_text(self)
        self.tokenise(texts)
        examples = self.examples
        try:
            self.examples = tuple(texts)
            return super().sample(n, seed, labels, truncation, noise)
        finally:
            self.examples = examples

    @torch.no_grad()
    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The pictures drawn from noise (N, latent_size).

        Args:
            latents: z_T, flattened.
            labels: Numbers of classes (N,), or what `tokenise` gives of captions (N, L); without
                them classes, or `examples`, in turn.
        """
        maps = self._drawn(
            latents.reshape(-1, *self.latent_shape), self._asked(labels, len(latents))
        )
        return self.first_stage.pictures_of(maps * self.latent_std + self.latent_mean).clamp(-1, 1)

    def decode_all(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """As every model; captions in turn go on from one batch to the next."""
        return super().decode_all(latents, self._asked(labels, len(latents)))

    def _asked(self, labels: Tensor | None, n: int) -> Tensor:
        """The tokens (n, L) of n pictures."""
        if labels is not None and labels.ndim == 2:
            return labels.to(self.device)
        if self.config.condition == "text" and labels is None:
            texts = [self.examples[i % len(self.examples)] for i in range(n)]
            return self.tokenise(texts, lenient=True)
        chosen = class_labels(self, labels, n)
        return self._names[:1].expand(n, -1) if chosen is None else self._names[chosen + 1]

    def _drawn(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """z_0 (N, C, h, w), with mean 0 and variance 1, of noise z_T and captions (N, L)."""
        how = self._sampling
        states = text_states(self.text_encoder, tokens)
        guided = how.guidance != 1 and self.config.condition != "none"
        if guided:  # both in one batch: the empty captions first
            nothing = text_states(self.text_encoder, self._names[:1])
            states = torch.cat([nothing.expand_as(states), states])

        def predict(z_t: Tensor, t: Tensor) -> Tensor:
            found: Tensor = self.unet(torch.cat([z_t, z_t]) if guided else z_t, t, states).sample
            if not guided:
                return found
            without, caption = found.chunk(2)
            return without + how.guidance * (caption - without)

        scheduler = scheduler_for(self.config, how.sampler)
        return draw(scheduler, predict, noise, how.steps, self._advance)

    @contextlib.contextmanager
    def drawing(
        self, sampling: Sampling | None = None, advance: Callable[[int], None] | None = None
    ) -> Iterator[None]:
        """Within, `decode` draws with this sampler, and reports how far it has come.

        Args:
            sampling: The sampler, its steps and the guidance; None: as the model is configured.
            advance: Called with the pictures that were finished since the last call; a picture is
                finished by its share of the steps.
        """
        before = self._sampling, self._advance
        try:
            self._sampling = sampling or self.config.sampling
            self._advance = advance or _ignore
            yield
        finally:
            self._sampling, self._advance = before

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        """Pictures from fixed noise, of the classes of the images or of the examples."""
        return self.decode_all(
            self.sample_latents(len(images), seed), labels if self.classes else None
        )


def _ignore(pictures: int) -> None:
    """Nobody wants to know how far drawing has come."""
