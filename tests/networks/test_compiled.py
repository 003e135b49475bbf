"""Penalties on every discriminator can be traced by torch.compile, and stay what they are.

Traced only, not turned into machine code, which takes minutes and is tested with the penalties.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganvas.losses import penalties
from ganvas.losses.twice_differentiable import keep_whole_in_graphs
from ganvas.networks import build_discriminator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),  # torch's own
]


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have penalties compiled by a backend that runs what was traced as it is."""
    compile_: Callable[..., Any] = torch.compile
    keep_whole_in_graphs()
    compiled = compile_(
        penalties._input_gradient, fullgraph=True, dynamic=False, backend="aot_eager"
    )
    monkeypatch.setattr(penalties, "_compiled", lambda: compiled)
    yield
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("r3gan", {"classes": 2, "minibatch": "stddev"}),
        ("dcgan", {"norm": "none", "minibatch": "discrimination"}),
        ("dcgan", {"norm": "batch", "minibatch": "stddev", "classes": 2}),
        ("mlp", {"norm": "batch", "minibatch": "discrimination"}),
        ("resnet", {"norm": "layer", "classes": 2}),
        ("biggan", {"classes": 2}),
    ],
)
def test_compiled_penalties_are_the_eager_ones(kind: Any, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = build_discriminator(kind, (3, 16, 16), 4, **settings)
    with torch.no_grad():
        for parameter in network.parameters():  # gains of 0 would hide what they multiply
            parameter.add_(0.05 * torch.randn_like(parameter))
    eager, images = copy.deepcopy(network), torch.randn(4, 3, 16, 16)
    labels = torch.tensor([0, 1, 0, 1]) if "classes" in settings else None
    network.compile()
    fast, slow = by_weights(network, images, labels), by_weights(eager, images, labels)
    assert any(gradient.any() for gradient in slow)
    for found, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def by_weights(network: nn.Module, images: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
    penalty = penalties.r1(network, images, labels).mean()
    return torch.autograd.grad(penalty, list(network.parameters()))
