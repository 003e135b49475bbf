import math
from itertools import product

import pytest
import torch
from torch import Tensor

from ganvas.errors import DataError
from ganvas.evaluation import reconstruction
from ganvas.evaluation.reconstruction import psnr, ssim


def images(count: int, *shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.rand(count, *shape, generator=generator).cumsum(-1)
    return 255 * smooth / smooth.amax((-2, -1), keepdim=True)


def slow_ssim(a: Tensor, b: Tensor, side: int) -> float:
    """Place by place, with weighted means, variances and covariance as the paper writes them."""
    half = side // 2
    places = range(-half, half + 1)
    offsets = [(u, v) for u in places for v in places]
    weights = {(u, v): math.exp(-(u * u + v * v) / (2 * 1.5**2)) for u, v in offsets}
    total = sum(weights.values())
    scores = []
    channels, height, width = a.shape
    for c, i, j in product(range(channels), range(half, height - half), range(half, width - half)):
        w = [weights[o] / total for o in offsets]
        x = [float(a[c, i + u, j + v]) for u, v in offsets]
        y = [float(b[c, i + u, j + v]) for u, v in offsets]
        mx = sum(p * q for p, q in zip(w, x, strict=True))
        my = sum(p * q for p, q in zip(w, y, strict=True))
        vx = sum(p * (q - mx) ** 2 for p, q in zip(w, x, strict=True))
        vy = sum(p * (q - my) ** 2 for p, q in zip(w, y, strict=True))
        xy = sum(p * (q - mx) * (r - my) for p, q, r in zip(w, x, y, strict=True))
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        top = (2 * mx * my + c1) * (2 * xy + c2)
        scores.append(top / ((mx * mx + my * my + c1) * (vx + vy + c2)))
    return sum(scores) / len(scores)


@pytest.mark.parametrize(
    ("shape", "side"), [((2, 14, 13), 11), ((1, 11, 20), 11), ((3, 8, 9), 7), ((1, 2, 5), 1)]
)
def test_ssim_is_its_definition(shape: tuple[int, ...], side: int) -> None:
    a, b = images(2, *shape), images(2, *shape, seed=1)
    b = 0.7 * a + 0.3 * b
    expected = [slow_ssim(x, y, side) for x, y in zip(a, b, strict=True)]
    assert ssim(a, b).tolist() == pytest.approx(expected, rel=1e-9)


def test_psnr_is_its_definition() -> None:
    a = torch.full((2, 3, 4, 5), 100.0)
    b = a.clone()
    b[0] += 255
    b[1] -= 2.55
    assert psnr(a, b).tolist() == pytest.approx([0, 40])


def test_equal_pictures() -> None:
    a = images(3, 3, 16, 16).round().byte()
    assert psnr(a, a).tolist() == [100] * 3
    assert ssim(a, a).tolist() == pytest.approx([1] * 3)
    black = torch.zeros(1, 1, 16, 16)
    assert ssim(black, black).tolist() == [1]


def test_more_noise_is_worse() -> None:
    a = images(4, 3, 32, 32)
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(1))
    for measure in (psnr, ssim):
        scores = torch.stack([measure(a, a + strength * noise) for strength in (1, 5, 25)])
        assert (scores.diff(dim=0) < 0).all()


def test_bytes_do_not_wrap_around() -> None:
    a = torch.tensor([[[[0, 255], [1, 2]]]], dtype=torch.uint8)
    b = torch.tensor([[[[1, 254], [1, 2]]]], dtype=torch.uint8)
    assert psnr(a, b).item() == pytest.approx(10 * math.log10(255**2 / 0.5))


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = images(20, 3, 16, 16), images(20, 3, 16, 16, seed=1)
    results = []
    for size in (1, 7, 500):
        monkeypatch.setattr(reconstruction, "_BATCH", size)
        results.append(torch.stack([psnr(a, b), ssim(a, b)]))
    torch.testing.assert_close(results[0], results[2], rtol=1e-5, atol=0)
    torch.testing.assert_close(results[1], results[2], rtol=1e-5, atol=0)


def test_bad_pictures() -> None:
    a = images(2, 3, 16, 16)
    for measure in (psnr, ssim):
        with pytest.raises(DataError, match="same shape"):
            measure(a, a[:, :, 1:])
        with pytest.raises(DataError, match="same shape"):
            measure(a[:0], a[:0])
        with pytest.raises(DataError, match="not finite"):
            measure(a, a / 0)
