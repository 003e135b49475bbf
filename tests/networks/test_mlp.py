import hashlib

import pytest
import torch
from torch import nn

from ganvas.networks import build_discriminator, own_norm
from ganvas.networks.layers.batch_norm import BatchNorm2d
from ganvas.networks.mlp import Discriminator, Generator


def fingerprint(network: nn.Module) -> str:
    """Of names, shapes and values."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def test_same_seed_same_weights_as_ever() -> None:
    """Recorded before the discriminator could be normalised: old runs stay what they are."""
    torch.manual_seed(0)
    assert fingerprint(Discriminator((3, 16, 16), [8] * 3, 2)) == "91bb4ea4e700e04a"
    torch.manual_seed(0)
    assert fingerprint(Generator(8, (3, 16, 16), [8] * 3, 2)) == "ad106d26c0bbd8fb"


@pytest.mark.parametrize(("norm", "kind"), [("layer", nn.LayerNorm), ("batch", BatchNorm2d)])
def test_norm_of_each_hidden_layer(norm: str, kind: type[nn.Module]) -> None:
    network = build_discriminator("mlp", (2,), 16, norm=norm)  # type: ignore[arg-type]
    assert isinstance(network, Discriminator)
    norms = [layer for layer in network.layers if isinstance(layer, kind)]
    assert len(norms) == 3
    x = torch.randn(32, 2) * 5 + 3
    seen: list[torch.Tensor] = []
    network.layers[list(network.layers).index(norms[-1])].register_forward_hook(
        lambda module, inputs, output: seen.append(output.flatten(1))
    )
    assert network(x).shape == (32, 1)
    axis = 1 if norm == "layer" else 0
    torch.testing.assert_close(seen[0].mean(axis), torch.zeros(len(seen[0].mean(axis))),
                               atol=1e-5, rtol=0)  # fmt: skip


def test_own_norm_is_none() -> None:
    assert own_norm("mlp") == "none"
    assert [type(m).__name__ for m in Discriminator((2,), [4, 4]).layers] == [
        "Linear", "LeakyReLU", "Linear", "LeakyReLU", "Linear",
    ]  # fmt: skip
