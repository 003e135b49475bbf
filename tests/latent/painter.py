"""Models with styles: one whose pictures show which style went where, and tiny StyleGANs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganvas.models.base import LatentModel, Noise, class_labels, normal_latents
from ganvas.models.phase import Phase
from ganvas.models.stylegan import StyleGan
from ganvas.models.stylegan_config import StyleGanConfig
from ganvas.networks import StyleKind

SIZE = 16
RESOLUTIONS = (4, 8, 8, 16, 16, 32, 32, 64)


class Painter(LatentModel):
    """Layer i paints column i grey with tanh of its style's first number; noise, the lower half.

    w is z, plus the label in its first number.
    """

    averaged = ()
    latent_size = 4
    layers = len(RESOLUTIONS)
    layer_resolutions = RESOLUTIONS
    noise_shapes: tuple[tuple[int, int], ...] = ((SIZE, SIZE),)

    def __init__(self, classes: Sequence[str] = (), channels: int = 3) -> None:
        super().__init__((channels, SIZE, SIZE), classes)
        self.mean = nn.Parameter(torch.full((self.latent_size,), 0.25))
        self.psi = 1.0
        self.batches: list[int] = []

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        return self.decode(self.sample_latents(len(images), seed), labels)

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        w = self.map(latents, class_labels(self, labels, len(latents)))
        return self.synthesise(w[:, None].expand(-1, self.layers, -1))

    def sample_latents(self, n: int, seed: int) -> Tensor:
        return normal_latents(n, self.latent_size, seed, self.device)

    def map(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        w = latents.clone()
        if labels is not None:
            w[:, 0] += labels
        return torch.lerp(self.centre(), w, self.psi)

    def synthesise(self, styles: Tensor, noise: Noise = "constant", seed: int = 0) -> Tensor:
        self.batches.append(len(styles))
        images = styles.new_zeros(len(styles), *self.shape)
        images[:, :, :, : self.layers] = styles[:, None, None, :, 0].tanh()
        if noise == "random":
            draws = normal_latents(len(styles), SIZE * SIZE // 2, seed, self.device)
            images[:, :, SIZE // 2 :] += 0.1 * draws.view(-1, 1, SIZE // 2, SIZE)
        return images

    def centre(self) -> Tensor:
        return self.mean

    @contextmanager
    def truncated(self, threshold: float) -> Iterator[Callable[[Tensor], Tensor]]:
        self.psi = threshold
        try:
            yield lambda latents: latents
        finally:
            self.psi = 1.0


class Etcher(Painter):
    """A painter without noise, as StyleGAN3 is."""

    noise_shapes = ()


def tiny_stylegan(networks: StyleKind) -> StyleGan:
    """Untrained, for pictures of 16 x 16."""
    config = StyleGanConfig(
        networks=networks, width=4, max_width=8, latent_size=8, mapping_layers=2,
        path_length_weight=0.0,
    )  # fmt: skip
    return StyleGan(config, (3, SIZE, SIZE)).eval().requires_grad_(False)
