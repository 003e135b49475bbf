"""Path lengths: the recorded ones, their definition, and that compiled code finds the same."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganvas.losses.path_length import path_lengths, synthesis_path_lengths
from ganvas.networks import stylegan2

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "stylegan2_32.safetensors"


def synthesis() -> stylegan2.Synthesis:
    torch.manual_seed(0)
    return stylegan2.generator(8, (3, 16, 16), width=4, max_width=16).synthesis


def inputs(network: stylegan2.Synthesis, n: int = 3) -> tuple[Tensor, list[Tensor], Tensor]:
    torch.manual_seed(1)
    noise = [torch.randn(n, 1, *size) for size in network.noise_shapes]
    return torch.randn(n, network.layers, 8), noise, torch.randn(n, 3, 16, 16)


def test_lengths_of_a_linear_map_are_known() -> None:
    """g(w) = sum over layers of A_l w_l: the gradient by w_l is A_l^T y."""
    torch.manual_seed(0)
    A = torch.randn(4, 12, 5)  # four layers
    ws, y = torch.randn(6, 4, 5), torch.randn(6, 3, 2, 2)
    lengths = path_lengths(lambda w: torch.einsum("lpk,nlk->np", A, w).view(-1, 3, 2, 2), ws, y)
    gradients = torch.einsum("lpk,np->nlk", A, y.flatten(1))
    expected = torch.stack([g.square().sum(1).mean().sqrt() for g in gradients])
    torch.testing.assert_close(lengths, expected)


def test_they_are_autograds_and_so_are_their_derivatives() -> None:
    network = synthesis()
    ws, noise, y = inputs(network)
    found = synthesis_path_lengths(network, ws, noise, y)
    w = ws.clone().requires_grad_()
    (slope,) = torch.autograd.grad((network(w, noise) * y).sum(), w, create_graph=True)
    expected = slope.square().sum(2).mean(1).sqrt()
    torch.testing.assert_close(found, expected)
    weights = list(network.parameters())
    ours = torch.autograd.grad(found.square().sum(), weights)
    theirs = torch.autograd.grad(
        expected.square().sum(), weights, allow_unused=True, materialize_grads=True
    )
    assert sum(bool(slope.any()) for slope in theirs) > len(weights) // 2
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_each_picture_has_its_own() -> None:
    network = synthesis()
    ws, noise, y = inputs(network)
    together = synthesis_path_lengths(network, ws, noise, y)
    alone = synthesis_path_lengths(network, ws[1:2], [n[1:2] for n in noise], y[1:2])
    torch.testing.assert_close(alone, together[1:2])
    other = synthesis_path_lengths(network, ws, noise, y * torch.tensor([1, 2, 3]).view(3, 1, 1, 1))
    torch.testing.assert_close(other, together * torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own, as it compiles
def test_compiled_they_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import functools

    from ganvas.losses import path_length

    compiler = functools.partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", compiler)
    path_length._compiled.cache_clear()
    network = synthesis()
    ws, noise, y = inputs(network)
    slopes = []
    for _ in range(2):
        lengths = synthesis_path_lengths(network, ws, noise, y)
        slopes.append(torch.autograd.grad(lengths.square().sum(), list(network.parameters())))
        network.compile(backend="aot_eager")
    path_length._compiled.cache_clear()
    for eager, compiled in zip(*slopes, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-3, atol=1e-5)


def test_the_recorded_ones() -> None:
    if not GOLDEN.exists():
        pytest.skip("the recorded numbers are not beside the repository")
    names = pytest.importorskip("ganvas.interop.stylegan2_names")
    from safetensors import safe_open

    with safe_open(GOLDEN, "pt") as file:
        recorded = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        settings = json.loads(file.metadata()["about"])["G"]
    resolution = settings["img_resolution"]
    network = stylegan2.generator(
        settings["w_dim"], (settings["img_channels"], resolution, resolution),
        settings["channel_base"] // resolution, settings["channel_max"],
        settings["mapping_layers"],
    )  # fmt: skip
    state = {name[2:]: t for name, t in recorded.items() if name.startswith("G.")}
    network.load_state_dict(names.generator_from_official(state))
    ws = network.mapping(recorded["in.z"])[:, None].expand(-1, network.synthesis.layers, -1)
    lengths = path_lengths(network.synthesis, ws, recorded["in.pl_noise"])
    torch.testing.assert_close(lengths, recorded["out.pl_lengths"], rtol=1e-4, atol=0)
