"""StyleGAN3 against the authors' numbers and the paper's claims, and at sizes that it has not."""

import copy
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas.errors import ConfigError, RunError
from ganvas.interop.stylegan3_names import generator_from_official
from ganvas.networks import stylegan3
from ganvas.networks.layers import filtered
from ganvas.networks.layers.bands import Band, bands, factors, filters
from ganvas.networks.layers.filtered import FilteredRectifier
from ganvas.networks.stylegan3 import Magnitude, Synthesis, demodulation, modulated
from tests.networks import contract

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
LATENT = contract.LATENT
SHAPES = [(1, 28, 28), (3, 16, 24), (4, 48, 48)]


def small(
    shape: tuple[int, int, int] = (3, 32, 32), *, rotation: bool, classes: int = 0
) -> stylegan3.Generator:
    torch.manual_seed(0)
    return stylegan3.generator(LATENT, shape, 4, 16, 2, classes, rotation=rotation)


def styles_for(synthesis: Synthesis, n: int = 2) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(n, synthesis.layers, LATENT)


def translation(right: float, down: float) -> Tensor:
    """The transform that makes the picture appear moved by so much."""
    return torch.tensor([[1, 0, -right], [0, 1, -down], [0, 0, 1]])


class Bounded(nn.Module):
    """With a range, as the contract asks for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.network(z, labels)
        return images.tanh()


# --- The authors' numbers


@pytest.fixture(scope="module", params=["t", "r"])
def golden(request: pytest.FixtureRequest) -> dict[str, Tensor]:
    path = GOLDEN / f"stylegan3{request.param}_32.safetensors"
    if not path.exists():
        pytest.skip("the numbers recorded from the authors' code are not here (shared/golden)")
    from safetensors.torch import load_file

    return load_file(path)


def official_state(golden: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[2:]: tensor for name, tensor in golden.items() if name.startswith("G.")}


@pytest.fixture(scope="module")
def official(golden: dict[str, Tensor]) -> stylegan3.Generator:
    from safetensors import safe_open

    rotation = golden["G.synthesis.L0_36_32.weight"].shape[2] == 1
    path = GOLDEN / f"stylegan3{'r' if rotation else 't'}_32.safetensors"
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["about"])["G"]
    side = about["img_resolution"]
    network = stylegan3.generator(
        about["z_dim"], (about["img_channels"], side, side), about["channel_base"] // side,
        about["channel_max"], about["mapping_layers"], rotation=rotation,
    )  # fmt: skip
    network.load_state_dict(generator_from_official(official_state(golden)))
    return network.eval()


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.no_grad()
def test_the_authors_w_and_image(official: stylegan3.Generator, golden: dict[str, Tensor]) -> None:
    assert_close(official.mapping(golden["in.z"]), golden["out.w"])
    assert_close(official(golden["in.z"]), golden["out.image"])


@torch.no_grad()
def test_the_authors_transformed_image(
    official: stylegan3.Generator, golden: dict[str, Tensor]
) -> None:
    ws = golden["out.w"][:, None].expand(-1, official.synthesis.layers, -1)
    transform = golden["in.transform"]
    assert_close(official.synthesis(ws, (), transform), golden["out.image_transformed"])
    each = transform.expand(len(ws), -1, -1)
    assert_close(official.synthesis(ws, (), each), golden["out.image_transformed"])


def test_one_picture_and_gradients_take_other_paths(
    official: stylegan3.Generator, golden: dict[str, Tensor]
) -> None:
    """A single picture has weights of its own; with gradients, filters run on all channels."""
    assert_close(official(golden["in.z"][:1]), golden["out.image"][:1])
    assert_close(official(golden["in.z"]), golden["out.image"])


def test_the_authors_filters(official: stylegan3.Generator, golden: dict[str, Tensor]) -> None:
    compared = 0
    for i, layer in enumerate(official.synthesis.blocks):
        for name in ("up_filter", "down_filter"):
            (expected,) = (
                tensor
                for key, tensor in golden.items()
                if key.startswith(f"G.synthesis.L{i}_") and key.endswith(name)
            )
            found = layer.get_submodule("rectify").get_buffer(name)
            torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-5)
            compared += 1
    assert compared == 28


def test_bfloat16_is_near_the_authors_image(
    official: stylegan3.Generator, golden: dict[str, Tensor]
) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = official(golden["in.z"]).float()
    expected = golden["out.image"]
    assert 0 < (low - expected).norm() < 0.04 * (expected - expected.mean()).norm()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("synthesis.L3_36_32.down_filter", 1.01),
        ("synthesis.input.transform", 2.0),
        ("synthesis.L3_36_32.noise_strength", 1.0),
        ("synthesis.L15_32_3.weight", 1.0),
        ("mapping.fc0.gain", 1.0),
    ],
)
def test_other_networks_are_refused(golden: dict[str, Tensor], name: str, change: float) -> None:
    state = official_state(golden)
    state[name] = change * state.get(name, torch.ones(1))
    with pytest.raises(RunError, match=f"'{name}'"):
        generator_from_official(state)


def test_the_papers_sizes() -> None:
    """The parameters in figure 5 and in the ablations at 256 px, in millions."""
    million = 1e6
    t = contract.count(lambda: stylegan3.generator(512, (3, 1024, 1024), 32))
    assert round(t / million, 1) == 22.3
    r = contract.count(lambda: stylegan3.generator(512, (3, 256, 256), 128, 1024, rotation=True))
    assert round(r / million, 1) == 15.8


# --- Filtered rectifiers


def plainly(
    x: Tensor, up_filter: Tensor, down_filter: Tensor, up: int, down: int, outputs: int
) -> Tensor:
    """As the paper says it: zeros in between, one filter, rectifier, the other one, a stride."""
    n, channels, side, _ = x.shape
    fine = torch.zeros(n, channels, side * up, side * up).to(x)
    fine[:, :, ::up, ::up] = x
    total = (outputs - 1) * down + 1 - side * up + len(up_filter) + len(down_filter) - 2
    before = (total + up) // 2
    fine = F.pad(fine, (before, total - before) * 2)
    first = up**2 * torch.outer(up_filter, up_filter).expand(channels, 1, -1, -1).to(x)
    fine = 2**0.5 * F.leaky_relu(F.conv2d(fine, first, groups=channels), 0.2)
    second = down_filter if down_filter.ndim == 2 else torch.outer(down_filter, down_filter)
    return F.conv2d(fine, second.expand(channels, 1, -1, -1).to(x), groups=channels, stride=down)


def rectifier(before: Band, after: Band, inputs: int, *, radial: bool) -> FilteredRectifier:
    up, down = factors(before, after)
    up_filter, down_filter = filters(before, after, radial=radial)
    return FilteredRectifier(
        up_filter, down_filter, up=up, down=down, inputs=inputs, outputs=after.size
    )


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize("resolution", [8, 32])
def test_phases_are_the_plain_filters(radial: bool, resolution: int) -> None:
    """All layers: with the rate kept, doubled and quadrupled, with margins and cropped."""
    plan, seen = bands(resolution), set()
    for before, after in zip([plan[0], *plan[:-2]], plan[:-1], strict=True):
        for inputs in (before.size, before.size + 2):
            layer = rectifier(before, after, inputs, radial=radial).double()
            x = torch.randn(2, 2, inputs, inputs, dtype=torch.float64)
            expected = plainly(
                x, layer.up_filter, layer.down_filter, *factors(before, after), after.size
            )
            torch.testing.assert_close(layer(x), expected, atol=1e-6, rtol=1e-6)
            seen.add((*factors(before, after), layer.margins[0] < 0))
    assert len(seen) >= 2


@pytest.mark.parametrize("radial", [False, True])
def test_derivatives_of_rectifiers(radial: bool) -> None:
    """First and second; where the rate rises, too."""
    plan = bands(32)
    for before, after in ((plan[4], plan[4]), (plan[4], plan[5])):
        small_after = Band(after.cutoff, after.stopband, after.rate, 6)
        layer = rectifier(before, small_after, 5, radial=radial).double()
        x = torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
        torch.autograd.gradcheck(layer, x)
        torch.autograd.gradgradcheck(layer, x)


def test_channels_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = bands(32)
    layer = rectifier(plan[4], plan[5], 36, radial=False)
    x = torch.randn(2, 40, 36, 36)
    whole = layer(x.requires_grad_())
    monkeypatch.setattr(filtered, "_PART", 1)  # 16 channels at a time
    with torch.no_grad():
        assert torch.equal(layer(x), whole)
        monkeypatch.setattr(FilteredRectifier, "_run", lambda _, part: part[:, :1])
        assert layer(x).shape[1] == 3


def test_filters_pass_and_stop() -> None:
    """Half at the cutoff, all far below, little in the stopband; the jinc in all directions."""
    rate, cutoff, width, taps = 64.0, 8.0, 8.0, 48
    line = filtered.lowpass(taps, cutoff, width, rate)
    disc = filtered.radial_lowpass(taps, cutoff, width, rate)
    position = (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / rate

    def response(x: float, y: float) -> float:
        waves = (2 * torch.pi * (x * position + y * position[:, None])).cos()
        return float((disc * waves).sum())

    for frequency, expected in ((2.0, 1.0), (cutoff, 0.5), (14.0, 0.0)):
        wave = (2 * torch.pi * frequency * position).cos()
        assert float((line * wave).sum()) == pytest.approx(expected, abs=0.02)
        for angle in (0.0, 0.6, torch.pi / 4):
            x, y = (frequency * float(f(torch.tensor(angle))) for f in (torch.cos, torch.sin))
            assert response(x, y) == pytest.approx(expected, abs=0.05)


# --- Convolutions and magnitudes


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("kernel", [1, 3])
def test_modulation_is_weights_of_each_samples_own(n: int, kernel: int) -> None:
    torch.manual_seed(0)
    x, styles = torch.randn(n, 6, 5, 5), torch.randn(n, 6)
    weight, bias = torch.randn(4, 6, kernel, kernel), torch.randn(4)
    found = modulated(x, weight, 0.7 * styles, demodulation(weight, styles), bias)
    for i in range(n):
        own = weight * weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
        own = own * styles[i, :, None, None]
        own = 0.7 * own / own.square().sum((1, 2, 3), keepdim=True).sqrt()
        expected = F.conv2d(x[i : i + 1], own, bias, padding=kernel - 1)
        torch.testing.assert_close(found[i : i + 1], expected)


def test_magnitudes_move_in_training_only() -> None:
    magnitude = Magnitude()
    x = torch.full((200, 3, 4, 4), 3.0)
    assert magnitude.eval()(x) == 1
    gain = magnitude.train()(x)
    share = 1 - 0.5 ** (200 / 20_000)
    torch.testing.assert_close(magnitude.mean_square, torch.tensor(1 + share * 8))
    torch.testing.assert_close(gain, magnitude.mean_square.rsqrt())
    assert list(magnitude.state_dict()) == ["mean_square"]
    for _ in range(100):  # 20,000 pictures in all: half way
        moved = magnitude(x)
    torch.testing.assert_close(magnitude.mean_square, torch.tensor(5.0), atol=0.05, rtol=0)
    assert not moved.requires_grad


def test_processes_share_the_magnitude(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that hold three and five are one that holds both."""

    def add_the_others(tensor: Tensor) -> None:
        tensor.add_(25.0)

    x = torch.full((10, 2, 4, 4), 3.0)
    alone, shared = Magnitude(), Magnitude()
    alone(torch.cat([x, x / 3 * 5]))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", add_the_others)
    shared(x)
    torch.testing.assert_close(shared.mean_square, alone.mean_square)


# --- The networks


@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rotation", [False, True])
def test_draws(
    shape: tuple[int, int, int], rotation: bool, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small(shape, rotation=rotation, classes=classes)
    with monkeypatch.context() as patch:  # so narrow ones are faint before magnitudes are known
        patch.setattr(stylegan3, "_HALF_LIFE", 0.1)
        network(torch.randn(3, LATENT), contract.labels_for(classes))
    contract.check_generator(Bounded(network), shape, classes)


@pytest.mark.parametrize("rotation", [False, True])
def test_learns_and_copies(rotation: bool) -> None:
    network = small(rotation=rotation, classes=2)
    labels = contract.labels_for(2)
    contract.check_every_parameter_learns(network, torch.randn(3, LATENT), labels)
    contract.check_copies(
        lambda: stylegan3.generator(LATENT, (3, 16, 16), 4, 8, rotation=rotation),
        torch.randn(3, LATENT),
    )


def test_styles_and_what_they_act_on() -> None:
    synthesis = small((3, 64, 64), rotation=False).synthesis.eval()
    assert synthesis.layers == 16
    assert synthesis.noise_shapes == ()
    assert synthesis.layer_resolutions == (4, 4, 4, 4, 8, 8, 8, *[16] * 3, *[32] * 3, *[64] * 3)
    ws = styles_for(synthesis, 1)
    with torch.no_grad():
        synthesis.input.affine.weight.normal_()
        first = synthesis(ws)
        for i in range(synthesis.layers):
            other = ws.clone()
            other[:, i] += 1
            assert not torch.allclose(synthesis(other), first), i


def test_no_noise() -> None:
    synthesis = small(rotation=False).synthesis
    ws = styles_for(synthesis)
    with torch.no_grad():
        synthesis.eval()
        assert torch.equal(synthesis(ws, ()), synthesis(ws))
    with pytest.raises(ConfigError, match="no noise"):
        synthesis(ws, [torch.randn(1, 1, 32, 32)])


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
@torch.no_grad()
def test_pictures_move_with_their_input(shape: tuple[int, int, int]) -> None:
    synthesis = small(shape, rotation=False).synthesis.eval()
    ws, side = styles_for(synthesis), shape[1]
    still, moved = synthesis(ws), synthesis(ws, None, translation(3 / side, -2 / side))
    seen, expected = moved[:, :, :-2, 3:], still[:, :, 2:, :-3]
    assert (seen - expected).norm() < 0.01 * (expected - expected.mean()).norm()
    assert (moved - still).norm() > 0.1 * (expected - expected.mean()).norm()


@torch.no_grad()
def test_r_turns_by_right_angles_exactly_and_t_does_not() -> None:
    turn = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    errors = []
    for rotation in (False, True):
        synthesis = small(rotation=rotation).synthesis.eval()
        ws = styles_for(synthesis)
        still, turned = synthesis(ws), synthesis(ws, None, turn)
        difference = turned - still.rot90(-1, (2, 3))
        errors.append(float(difference.norm() / still.std() / still.numel() ** 0.5))
    assert errors[1] < 1e-4
    assert errors[0] > 0.01


def test_second_derivatives_through_torch_func() -> None:
    """They are autograd's; in training mode, in which magnitudes move."""
    synthesis = small((3, 16, 16), rotation=False).synthesis
    plain = copy.deepcopy(synthesis)
    ws = styles_for(synthesis)
    direction = torch.randn(2, 3, 16, 16)
    parameters, buffers = (
        {name: tensor.clone() for name, tensor in tensors}
        for tensors in (synthesis.named_parameters(), synthesis.named_buffers())
    )

    def total(ws: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        images: Tensor = torch.func.functional_call(synthesis, {**parameters, **buffers}, (ws,))
        return (images * direction).sum()

    found = torch.func.grad(total)(ws, buffers).square().sum()
    ws.requires_grad_()
    (slopes,) = torch.autograd.grad((plain(ws) * direction).sum(), ws, create_graph=True)
    expected = slopes.square().sum()
    torch.testing.assert_close(found, expected)
    found_slopes, expected_slopes = (
        torch.autograd.grad(value, list(tensors), allow_unused=True, materialize_grads=True)
        for value, tensors in ((found, parameters.values()), (expected, plain.parameters()))
    )
    assert sum(bool(slope.any()) for slope in expected_slopes) > len(parameters) // 2
    for slope, expected_slope in zip(found_slopes, expected_slopes, strict=True):
        torch.testing.assert_close(slope, expected_slope, rtol=1e-3, atol=1e-6)
    for name, buffer in synthesis.named_buffers():
        if name.endswith("mean_square"):
            assert buffer == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own
@pytest.mark.parametrize("rotation", [False, True])
def test_compiles_as_one_graph(rotation: bool) -> None:
    """Traced only, in training mode, to the same picture, buffers and gradient."""
    eager = small((3, 16, 16), rotation=rotation)
    fast = copy.deepcopy(eager)
    compiled = torch.compile(fast, fullgraph=True, dynamic=False, backend="aot_eager")
    z = torch.randn(3, LATENT)
    found, expected = compiled(z), eager(z)
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    for a, b in zip(fast.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
    for found, expected in zip(fast.buffers(), eager.buffers(), strict=True):
        torch.testing.assert_close(found, expected, equal_nan=True)
    torch.compiler.reset()
