"""Progressive growing (Karras et al. 2018): small pictures at first, large ones in the end."""

from torch import Tensor, nn

from ganvas.networks import StyleDiscriminator, StyleGenerator, stylegan

FIRST_LEVEL = 1
"""Doublings at the beginning: StyleGAN (2019) begins with 8 x 8 pixels."""


def level_at(share: float, doublings: int) -> float:
    """How many doublings there are after a share of the growth (Karras et al. 2018, section 2).

    It begins with one. In turn the picture stays as it is and another doubling fades in, each
    taking as long; the last one has come at the share 1.
    """
    steps = 2 * (doublings - FIRST_LEVEL)
    turn, part = divmod(min(share, 1.0) * steps, 1)
    return min(FIRST_LEVEL + turn // 2 + part * (turn % 2), float(doublings))


class AtLevel(nn.Module):
    """A discriminator at a level of growth."""

    def __init__(self, network: nn.Module, level: float) -> None:
        super().__init__()
        self.network = network
        self.level = level

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge images of its size."""
        logits: Tensor = self.network(images, labels, self.level)
        return logits


def freeze_unused(
    generator: StyleGenerator, discriminator: StyleDiscriminator, *, grows: bool
) -> None:
    """Leave out of the training what makes, and takes, pictures of sizes that never come."""
    if isinstance(generator, stylegan.Generator) and isinstance(
        discriminator, stylegan.Discriminator
    ):
        for heads in (generator.synthesis.to_image, discriminator.from_image):
            unused = FIRST_LEVEL if grows else len(heads) - 1
            heads[:unused].requires_grad_(False)
