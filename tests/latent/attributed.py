"""A model whose pictures say outright what its latents are, and a reader of them.

Number i of z is the grey of column i. A picture "has" glasses where column 0 is bright, and a beard
where column 1 is; how bright column 2 is is its tone, a number.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganvas.latent.attributes import Reader, Term
from ganvas.models.base import LatentModel, normal_latents
from ganvas.models.phase import Phase

SIZE = 6


class Columns(LatentModel):
    """Column i of a picture is grey by number i of z; `mixing` (D, D) stirs z first."""

    averaged = ()
    latent_size = SIZE

    def __init__(self, mixing: Tensor | None = None, classes: Sequence[str] = ()) -> None:
        super().__init__((1, SIZE, SIZE), classes)
        self.linear = torch.nn.Linear(SIZE, SIZE, bias=False)
        self.linear.weight.data = torch.eye(SIZE) if mixing is None else mixing
        self.eval().requires_grad_(False)

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        return self.decode(self.sample_latents(len(images), seed), labels)

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        columns: Tensor = self.linear(latents)
        return (0.3 * columns).tanh()[:, None, None].expand(-1, 1, SIZE, SIZE)

    def sample_latents(self, n: int, seed: int) -> Tensor:
        return normal_latents(n, SIZE, seed, self.device)


class _Told:
    """What a trained classifier is asked for."""

    knows_attributes = False
    device = torch.device("cpu")


class ColumnReader(Reader):
    """Reads glasses, beard, and tone off the columns."""

    def __init__(self) -> None:
        self.features = _Told()  # type: ignore[assignment]
        self.sizes = {"glasses": 2, "beard": 3, "tone": 0}
        self.terms = {
            "glasses": Term("glasses", {"glasses": frozenset({1})}),
            "beard": Term("beard", {"beard": frozenset({1, 2})}),
            "full beard": Term("full beard", {"beard": frozenset({2})}),
        }

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        columns = images[:, 0, 0]
        zero = torch.zeros_like(columns[:, 0])
        return {
            "glasses": 10 * torch.stack([zero, columns[:, 0]], 1),
            "beard": 10 * torch.stack([zero, columns[:, 1], 2 * columns[:, 1] - 0.3], 1),
            "tone": 2 * columns[:, 2:3],
        }
