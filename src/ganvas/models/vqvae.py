"""The VQ-VAE (van den Oord, Vinyals & Kavukcuoglu 2017): pictures as maps of discrete codes.

The encoder's map z_e(x) is replaced, place by place, by the nearest of K codes e (eq. 1 and 2). The
decoder sees z_q(x); the gradient by z_q goes straight on to z_e (section 3.2). Training minimises

    log p(x | z_q(x)) + beta |z_e(x) - sg[e]|^2                           (eq. 3)

while the codes become moving averages of what falls to them (appendix A.1), in place of eq. 3's
middle term. Both terms are means over values, the first the squared error, as in the authors' code.

Latents are z_e: the decoder begins with finding the codes. Between two pictures a walk goes from
code to code, and a diffusion model of latents need not know of codes (Rombach et al. 2022, section
3.1, the VQ-regularised variant). The prior over the maps that the paper trains afterwards is not
here: the model reconstructs and interpolates, but has nothing to draw from.

Deviations: codes that fall out of use are revived (`ganvas.networks.layers.codebook`).
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from ganvas.losses.reconstruction import squared_error
from ganvas.models.first_stage import Factor, FirstStage, FirstStageConfig
from ganvas.models.phase import Adam, Batch, Losses, Phase
from ganvas.models.schedule import Decay
from ganvas.networks.layers.codebook import Codebook
from ganvas.networks.vqvae import Decoder, Encoder


class VqVaeConfig(FirstStageConfig):
    """A VQ-VAE: its networks, its codebook and its optimiser. Defaults are the paper's."""

    name: Literal["vqvae"] = "vqvae"
    width: PositiveInt = 256
    """Channels of all hidden layers."""
    blocks: PositiveInt = 2
    """Residual blocks of each network."""
    downsampling: Factor = 4
    """How many times smaller than a picture its map of codes is, each way."""
    codes: Annotated[int, Field(ge=2, le=2**16)] = 512
    """Codes to choose from at each place (the paper's K)."""
    code_size: PositiveInt = 64
    """Numbers in a code (D)."""
    commitment: NonNegativeFloat = 0.25
    """Weight of the encoder's distance from the codes (beta)."""
    decay: Decay = 0.99
    """Share of the past in the moving averages, for each step (gamma)."""
    revive_below: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Codes used less than this share of an even use begin anew at what the encoder gives."""
    optimizer: Adam = Adam(learning_rate=2e-4)


class VqVae(FirstStage):
    """Encoder, codebook and decoder."""

    averaged = ("encoder", "codebook", "decoder")

    def __init__(self, config: VqVaeConfig, shape: tuple[int, ...]) -> None:
        super().__init__(shape, config.code_size, config.downsampling)
        self.config = config
        halvings = config.downsampling.bit_length() - 1
        sizes = (config.width, halvings, config.blocks)
        self.encoder = Encoder(shape[0], config.code_size, *sizes)
        self.codebook = Codebook(config.codes, config.code_size, config.decay, config.revive_below)
        self.decoder = Decoder(config.code_size, shape[0], *sizes)

    def phases(self) -> tuple[Phase, ...]:
        """One update of both networks, after which the codes follow."""
        return (
            Phase(
                "reconstruction", ("encoder", "decoder"), self.reconstruction_loss,
                self.config.optimizer, after=self._move_codes,
            ),
        )  # fmt: skip

    def reconstruction_loss(self, batch: Batch) -> Losses:
        """The squared error and the distance from the codes (eq. 3), as means over values."""
        maps = self.maps_of(batch.images)
        codes, indices = self.codebook(maps)
        draws = batch.draws.fork("revival")
        self.codebook.observe(maps, indices, draws.rows, draws.total, draws.generator)
        straight = maps + (codes - maps).detach()
        output = self.cropped(self.decoder(straight).float())
        error = squared_error(batch.images, output).mean() / output[0].numel()
        commitment = (maps - codes).square().mean()
        parts = {
            "per_value": error,
            "commitment": commitment,
            "perplexity": self.codebook.perplexity(),
            "codes_used": self.codebook.used(),
        }
        return Losses(error + self.config.commitment * commitment, parts)

    def _move_codes(self, measured: Mapping[str, Tensor], images: int) -> None:
        self.codebook.learn()

    def maps_of(self, images: Tensor) -> Tensor:
        """What the encoder makes of images, (N, *latent_shape) float32: not yet codes."""
        maps: Tensor = self.encoder(self.padded(images))
        return maps.float()

    def pictures_of(self, maps: Tensor) -> Tensor:
        """What the decoder makes of the codes nearest to maps (N, *latent_shape)."""
        return self.cropped(self.decoder(self.codebook(maps)[0]))
