"""Adaptive discriminator augmentation (Karras et al. 2020a).

"Training Generative Adversarial Networks with Limited Data", arXiv:2006.06676. D sees real and
generated images only after the same random transformations, each of them applied with probability
p. As long as p is below some 0.8 the generator cannot gain by imitating them. p grows while D
overfits: while the sign of its output at real images is positive too often (section 3).

The pipeline and its order are those of appendix B, in which every transformation may be applied:

    blit        x-flip, 90 degree rotation, integer translation
    geometry    isotropic scale, rotation, anisotropic scale, rotation, fractional translation
    colour      brightness, contrast, luma flip, hue, saturation
    filter      the gains of four bands of frequency
    noise       additive noise
    cutout      half of the height and of the width set to 0

The files `geometry`, `colour`, `filtering` and `corruption` follow its pseudocode line by line and
name what they do differently. A transparent image's alpha moves with it (blit, geometry) and is cut
out with it (to 0, half transparent); colour, filter and noise leave alpha as it is.

Where the paper adjusts p every four minibatches (of 64 images), this does so whenever at least 256
images have been shown since: on small batches r_t would be too coarse to compare with the target
(of 16 signs it is 0.5 or 0.625, and p would settle where r_t is 0.55 instead of 0.6).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from ganvas.errors import ConfigError

from .chance import Dice, Random
from .colour import colour, recolour
from .corruption import add_noise, cut_out
from .filtering import Bands
from .geometry import Warp, blit, blitting, general_geometry
from .matrices import changes, compose
from .sampling import where

Group = Literal["blit", "geometry", "colour", "filter", "noise", "cutout"]

BGC: tuple[Group, ...] = ("blit", "geometry", "colour")
"""The groups that helped in the paper (section 2.3, figure 4), and its choice."""

IMAGES_TO_FULL_STRENGTH = 500_000
"""Images in which p can move from 0 to 1."""

IMAGES_TO_JUDGE = 256
"""Images over which r_t is averaged, at least: the paper's four minibatches of 64."""


class Ada(nn.Module):
    """The augmentation of D's images and its strength p.

    Use it with a strength of your own by never calling `adapt`.

    Args:
        shape: Of an image, (C, H, W): 1 (grey), 3 (RGB) or 4 (RGBA) channels, sides of 16 or more.
        groups: What to apply, in any order; see above.
        strength: p at the start, in [0, 1].
        target: The mean sign of D at real images that `adapt` aims at.

    Raises:
        ConfigError: For another shape.
    """

    strength: Tensor
    """p, a scalar; with `shown` and `signs` all of the state, so that a run resumes exactly."""
    shown: Tensor
    """Real images since p was adjusted."""
    signs: Tensor
    """The sum of D's signs at them."""

    def __init__(
        self,
        shape: tuple[int, ...],
        groups: tuple[Group, ...] = BGC,
        *,
        strength: float = 0.0,
        target: float = 0.6,
    ) -> None:
        super().__init__()
        if len(shape) != 3 or shape[0] not in (1, 3, 4) or min(shape[1:]) < 16:
            raise ConfigError(
                f"augmentation cannot work on data of shape {tuple(shape)}: it is made for "
                "pictures of 1, 3 or 4 channels and sides of at least 16 pixels. "
                "Train without it: --set model.augment=none."
            )
        self.groups = groups
        self.target = target
        for name, value in (("strength", strength), ("shown", 0.0), ("signs", 0.0)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
        self.warp = Warp(*shape[1:]) if "geometry" in groups else None
        self.bands = Bands(*shape[1:]) if "filter" in groups else None

    def forward(self, images: Tensor, draws: Random) -> Tensor:
        """Augment images, each in its own way.

        Args:
            images: (N, C, H, W) in [-1, 1]. The result can be differentiated by them twice.
            draws: N rows of random numbers; how many depends on the groups and the shape only.

        Returns:
            (N, C, H, W) of the same dtype, computed in float32 at least. It is not clamped: colour,
            filter and noise may leave [-1, 1]. Samples that nothing was applied to pass bit for
            bit, at p = 0 all of them.
        """
        dice = Dice(draws, self.strength)
        with torch.autocast(images.device.type, enabled=False):
            augmented = images.to(torch.promote_types(images.dtype, torch.float32))
            augmented = self._moved(augmented, dice)
            colours, alpha = augmented[:, :3], augmented[:, 3:]
            augmented = torch.cat([self._recoloured(colours, dice), alpha], 1)
            if "cutout" in self.groups:
                augmented = cut_out(augmented, dice)
        return augmented.to(images.dtype)

    def _moved(self, images: Tensor, dice: Dice) -> Tensor:
        """Blitting and geometry: one transformation of the pixels' places."""
        size = images.shape[2:]
        moved = images
        inverse = torch.eye(3, device=images.device).expand(len(images), 3, 3)
        if "blit" in self.groups:
            inverse = blitting(dice, *size)
            moved = blit(images, inverse)
        if self.warp is not None:
            general = general_geometry(dice, *size)
            warped = self.warp(images, compose(inverse, general))
            moved = where(changes(general), warped, moved)
        return moved

    def _recoloured(self, images: Tensor, dice: Dice) -> Tensor:
        """Colour, filter and noise."""
        if "colour" in self.groups:
            C = colour(dice)
            images = where(changes(C), recolour(images, C), images)
        if self.bands is not None:
            g = self.bands.gains(dice)
            images = where((g != 1).any(1), self.bands(images, g), images)
        if "noise" in self.groups:
            images = add_noise(images, dice)
        return images

    @torch.no_grad()
    def adapt(self, signs: Tensor, images: int) -> None:
        """Move p up if D overfits, else down, by as much as the images shown allow.

        Args:
            signs: The mean sign of D at the real images of an update, a scalar in [-1, 1], over all
                processes. Its average is the paper's r_t = E[sign(D(x))] (eq. 1): near 0 without
                overfitting, 1 with it.
            images: Real images of that update, over all processes.
        """
        self.shown += images
        self.signs += signs.float() * images
        due = self.shown >= IMAGES_TO_JUDGE
        step = torch.sign(self.signs / self.shown - self.target) * self.shown
        moved = (self.strength + step / IMAGES_TO_FULL_STRENGTH).clamp(0, 1)
        self.strength.copy_(torch.where(due, moved, self.strength))
        self.shown.masked_fill_(due, 0)
        self.signs.masked_fill_(due, 0)
