"""The moving average of the weights against its closed form."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ganvas.models.base import Model
from ganvas.models.phase import Phase
from ganvas.training.ema import Ema, decay


class Small(Model):
    """One averaged network with buffers of both kinds, and one that is not averaged."""

    averaged = ("kept",)

    def __init__(self) -> None:
        super().__init__((2,))
        self.kept = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        self.other = nn.Linear(2, 1)

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        return images


def fill(model: Model, value: float) -> None:
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(value)


def values(network: nn.Module) -> set[float]:
    return {float(v) for tensor in network.state_dict().values() for v in tensor.flatten()}


def test_constant_weights_stay() -> None:
    model = Small()
    ema = Ema(model)
    before = {k: v.clone() for k, v in model.kept.state_dict().items()}
    for _ in range(100):
        ema.update(model, 0.9)
    for name, tensor in ema.networks["kept"].state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=1e-6, atol=0)


@given(batch=st.integers(1, 512), half_lives=st.integers(1, 20))
def test_after_a_half_life_half_of_a_jump_is_forgotten(batch: int, half_lives: int) -> None:
    steps = 50
    half_life = batch * steps
    beta = decay(batch, 10**9, half_life, 0.05)
    remaining = beta ** (steps * half_lives)
    assert math.isclose(remaining, 0.5**half_lives, rel_tol=1e-9)


def test_the_average_of_a_jump_in_closed_form() -> None:
    model = Small()
    fill(model, 0.0)
    ema = Ema(model)
    fill(model, 1.0)
    beta = decay(10, 10**9, 1000, 0.05)
    for _ in range(100):  # 1000 images: one half-life
        ema.update(model, beta)
    floats = [t for t in ema.networks["kept"].state_dict().values() if t.is_floating_point()]
    assert len(floats) == 6  # weight, bias; batch norm's weight, bias, mean, variance
    for tensor in floats:
        torch.testing.assert_close(tensor, torch.full_like(tensor, 0.5), rtol=1e-5, atol=0)


def test_the_half_life_grows_with_the_images_shown() -> None:
    def half_life(images: int) -> float:
        return 8 * math.log(0.5) / math.log(decay(8, images, 10_000, 0.05))

    assert half_life(1_000) == pytest.approx(50)
    assert half_life(100_000) == pytest.approx(5_000)
    assert half_life(200_000) == half_life(10**9) == pytest.approx(10_000)


@pytest.mark.parametrize("images", [0, 1, 8])
@pytest.mark.parametrize("ramp_up", [0.0, 0.05])
def test_the_random_start_is_forgotten(images: int, ramp_up: float) -> None:
    assert 0 <= decay(64, images, 10_000, ramp_up) < 1e-6


def test_counters_are_copied_and_other_networks_left_out() -> None:
    model = Small()
    ema = Ema(model)
    counter = model.kept[1].num_batches_tracked
    assert isinstance(counter, Tensor)
    counter.fill_(7)
    ema.update(model, 0.99)
    assert ema.networks["kept"].state_dict()["1.num_batches_tracked"] == 7
    assert list(ema.networks) == ["kept"]


def test_applied_swaps_the_networks_and_puts_them_back() -> None:
    model = Small().train()
    ema = Ema(model)
    fill(model, 3.0)
    raw = model.kept
    with ema.applied(model) as averaged:
        assert averaged is model
        assert not model.training
        assert not model.other.training
        assert model.kept is ema.networks["kept"]
        assert values(model.kept) != {3.0}
        assert list(model.state_dict()) == list(Small().state_dict())
    assert model.kept is raw
    assert model.training
    assert raw.training
    assert raw[1].training
    assert values(model.kept) == {3.0}


def test_applied_puts_back_after_an_error() -> None:
    model = Small().train()
    raw = model.kept
    with pytest.raises(ZeroDivisionError), Ema(model).applied(model):
        raise ZeroDivisionError
    assert model.kept is raw
    assert model.training


def test_averaging_leaves_no_graph_and_no_link() -> None:
    model = Small()
    ema = Ema(model)
    ema.update(model, 0.0)
    assert not any(p.requires_grad for p in ema.networks.parameters())
    fill(model, 5.0)
    assert 5.0 not in values(ema.networks["kept"])
