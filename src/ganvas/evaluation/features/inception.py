"""The Inception-v3 that FID is defined on: the TensorFlow graph of 2015-12-05.

The architecture is that of Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer
Vision" (arXiv 1512.00567). FID is defined by its 2048 pooled features (Heusel et al. 2017, arXiv
1706.08500), the Inception score by its 1008 logits (Salimans et al. 2016, arXiv 1606.03498). Three
things set the graph apart from the network of the same name in today's libraries:

- the average pooling in the blocks averages over the pixels that exist, not over the padding;
- the very last block pools by maximum;
- pictures are resized by TensorFlow 1's bilinear filter, which takes a pixel to lie at its
  corner, not at its centre, and does not smooth where it makes smaller.

The modules are named as in the published weights.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganvas.errors import DataError
from ganvas.evaluation.features.base import Features, digest, to_rgb
from ganvas.evaluation.features.weights import fetch

NAME = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{NAME}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

SIDE = 299
"""Height and width that the network was trained at."""

Size = int | tuple[int, int]


class InceptionFeatures(Features):
    """The 2048 features of FID and the logits of the Inception score.

    Args:
        device: Where to compute.
        weights: The published file, or a folder that holds it; None looks for it in the folder
            $GANVAS_WEIGHTS and in the cache, and else downloads it (91 MiB).

    Raises:
        ConfigError: There is no such file.
        DataError: It is not the published file, or it cannot be downloaded.
    """

    name = "inception"
    preparation = "TensorFlow-1 bilinear to 299x299, (x - 128) / 128"
    size = 2048

    def __init__(self, device: torch.device, weights: Path | None = None) -> None:
        self.device = device
        network = load_inception(fetch(URL, NAME, SHA256, weights))
        self.identity = digest(network.state_dict(), self.name, self.preparation)
        fold_batch_norms(network)
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def compute(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 2048) and logits (B, 1008) without their bias, as the score is defined."""
        features = self._network(prepare(images))[2048]
        return features, features @ self._network.fc.weight.T


def load_inception(path: Path) -> "Inception":
    """The network with the weights of a file (a state dict; no code in it is run)."""
    with torch.device("meta"):  # no random start: it would draw from the training's numbers
        network = Inception()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state, assign=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"{path} does not hold the weights of FID's Inception network ({reason[0]}). Give the "
            f"published file {NAME}."
        ) from None
    return network.eval().requires_grad_(False)


def fold_batch_norms(network: "Inception") -> None:
    """Take the normalisations, fixed as they are, into the convolutions: 1.25 times as fast."""
    for block in network.modules():
        if isinstance(block, Conv) and isinstance(block.bn, nn.BatchNorm2d):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.bn = nn.Identity()


def prepare(images: Tensor) -> Tensor:
    """Any pictures (B, 1 | 3 | 4, H, W) in [0, 255] to (B, 3, 299, 299) in [-1, 1)."""
    return (resize_tf1(to_rgb(images), (SIDE, SIDE)) - 128) / 128


def resize_tf1(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear as TensorFlow 1 did it: pixel i of the result lies at i * old / new of the source.

    Args:
        images: (B, C, H, W).
        size: New height and width.
    """
    for dim, new in zip((2, 3), size, strict=True):
        old = images.shape[dim]
        place = torch.arange(new, device=images.device, dtype=torch.float32) * (old / new)
        low = place.long().clamp(max=old - 1)
        high = (low + 1).clamp(max=old - 1)
        fraction = (place - low).view([-1 if axis == dim else 1 for axis in range(4)])
        below, above = images.index_select(dim, low), images.index_select(dim, high)
        images = torch.lerp(below, above, fraction)
    return images


class Inception(nn.Module):
    """The whole network, (B, 3, 299, 299) to its features by width: 64, 192, 768 and 2048."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b = BlockA(192, pool=32)
        self.Mixed_5c = BlockA(256, pool=64)
        self.Mixed_5d = BlockA(288, pool=64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, inner=128)
        self.Mixed_6c = BlockC(768, inner=160)
        self.Mixed_6d = BlockC(768, inner=160)
        self.Mixed_6e = BlockC(768, inner=192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, last=False)
        self.Mixed_7c = BlockE(2048, last=True)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The features at four depths, each averaged over the picture: width -> (B, width)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x64 = F.max_pool2d(x, 3, stride=2)
        x192 = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x64)), 3, stride=2)
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x192))))
        x768 = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x2048 = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x768)))
        return {maps.shape[1]: maps.mean(dim=(2, 3)) for maps in (x64, x192, x768, x2048)}


class Conv(nn.Module):
    """Convolution, batch normalisation with stored statistics, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: Size, stride: int = 1, padding: Size = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


def tall(inputs: int, outputs: int, length: int) -> Conv:
    """A convolution over `length` rows that keeps the size."""
    return Conv(inputs, outputs, (length, 1), padding=(length // 2, 0))


def wide(inputs: int, outputs: int, length: int) -> Conv:
    """A convolution over `length` columns that keeps the size."""
    return Conv(inputs, outputs, (1, length), padding=(0, length // 2))


def average(x: Tensor) -> Tensor:
    """3x3 average pooling that keeps the size and leaves the padding out of the average."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """35x35: 1x1, 5x5, two 3x3 in a row, and pooling (figure 5 of the paper)."""

    def __init__(self, inputs: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 64, 1)
        self.branch5x5_1 = Conv(inputs, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = Conv(inputs, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 224 + pool, H, W)."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(average(x))], 1)


class BlockB(nn.Module):
    """35x35 to 17x17."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1 = Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, inputs + 480, (H - 1) / 2, (W - 1) / 2)."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    """17x17: convolutions of 7x7 as rows and columns (figure 6 of the paper)."""

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 192, 1)
        self.branch7x7_1 = Conv(inputs, inner, 1)
        self.branch7x7_2 = wide(inner, inner, 7)
        self.branch7x7_3 = tall(inner, 192, 7)
        self.branch7x7dbl_1 = Conv(inputs, inner, 1)
        self.branch7x7dbl_2 = tall(inner, inner, 7)
        self.branch7x7dbl_3 = wide(inner, inner, 7)
        self.branch7x7dbl_4 = tall(inner, inner, 7)
        self.branch7x7dbl_5 = wide(inner, 192, 7)
        self.branch_pool = Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 768, H, W)."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(average(x))], 1)


class BlockD(nn.Module):
    """17x17 to 8x8."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(inputs, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Conv(inputs, 192, 1)
        self.branch7x7x3_2 = wide(192, 192, 7)
        self.branch7x7x3_3 = tall(192, 192, 7)
        self.branch7x7x3_4 = Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, inputs + 512, (H - 1) / 2, (W - 1) / 2)."""
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([three, self.branch7x7x3_4(seven), F.max_pool2d(x, 3, stride=2)], 1)


class BlockE(nn.Module):
    """8x8: branches that end side by side (figure 7 of the paper).

    Args:
        inputs: Channels in.
        last: The block at the end of the graph, which pools by maximum.
    """

    def __init__(self, inputs: int, last: bool) -> None:
        super().__init__()
        self.last = last
        self.branch1x1 = Conv(inputs, 320, 1)
        self.branch3x3_1 = Conv(inputs, 384, 1)
        self.branch3x3_2a = wide(384, 384, 3)
        self.branch3x3_2b = tall(384, 384, 3)
        self.branch3x3dbl_1 = Conv(inputs, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = wide(384, 384, 3)
        self.branch3x3dbl_3b = tall(384, 384, 3)
        self.branch_pool = Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 2048, H, W)."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.last else average(x)
        parts = [
            self.branch1x1(x),
            *(self.branch3x3_2a(three), self.branch3x3_2b(three)),
            *(self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)),
            self.branch_pool(pooled),
        ]
        return torch.cat(parts, 1)
