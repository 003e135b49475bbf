"""One step: which phases run, what data and noise they see, what they change."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganvas.data.config import DataConfig
from ganvas.data.loader import Loader
from ganvas.data.pack import Pack, open_pack
from ganvas.errors import RunError
from ganvas.models.base import Model
from ganvas.models.phase import Adam, Batch, Draws, Losses, Phase, derive_seed
from ganvas.models.schedule import Schedule
from ganvas.training.checkpoint import TrainingState
from ganvas.training.config import TrainingConfig
from ganvas.training.distributed import Processes
from ganvas.training.ema import Ema
from ganvas.training.step import Plan, make_optimizers, train_step

BATCH = 4
Loss = Callable[["Recorder", str, Batch], Tensor]


def mean_of(model: "Recorder", trains: str, batch: Batch) -> Tensor:
    output: Tensor = model.get_submodule(trains)(batch.images)
    return output.square().mean()


class Recorder(Model):
    """Two networks on points, and phases that note the batches they get."""

    averaged = ("first",)

    def __init__(self, specs: list[tuple[str, str, int, int]], loss: Loss = mean_of) -> None:
        """Specs are (name, network, every, repeats)."""
        super().__init__((2,))
        self.first, self.second = nn.Linear(2, 1), nn.Linear(2, 1)
        self.specs = specs
        self.loss = loss
        self.seen: list[tuple[str, Batch]] = []

    def phases(self) -> tuple[Phase, ...]:
        return tuple(
            Phase(name, (network,), self._recorded(name, network), Adam(), every, repeats)
            for name, network, every, repeats in self.specs
        )

    def _recorded(self, name: str, network: str) -> Callable[[Batch], Losses]:
        def loss(batch: Batch) -> Losses:
            self.seen.append((name, batch))
            return Losses(self.loss(self, network, batch))

        return loss

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        return images

    def names(self) -> list[str]:
        return [name for name, _ in self.seen]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    cache = tmp_path_factory.mktemp("points")
    return open_pack(DataConfig(source="ring", images=64), cache=cache, progress=False)


def start(model: Model, pack: Pack, accumulate: int = 1) -> tuple[TrainingState, Plan]:
    config = TrainingConfig(batch=BATCH, accumulate=accumulate, device="cpu", precision="float32")
    state = TrainingState(model, Ema(model), make_optimizers(model))
    loader = Loader(pack, batch=BATCH, seed=0)
    plan = Plan(model.phases(), loader, config, "float32", torch.device("cpu"), Processes())
    return state, plan


def positions(pack: Pack, batches: list[Tensor]) -> list[int]:
    """Which batches of the first epochs these are."""
    loader = Loader(pack, batch=BATCH, seed=0)
    known = [loader.fetch(BATCH * i)[0] for i in range(32)]
    return [next(i for i, k in enumerate(known) if torch.equal(k, batch)) for batch in batches]


def test_a_phase_runs_every_so_many_steps(pack: Pack) -> None:
    model = Recorder([("a", "first", 1, 1), ("lazy", "second", 3, 1)])
    state, plan = start(model, pack)
    for _ in range(7):
        train_step(state, plan)
    assert model.names() == ["a", "lazy", "a", "a"] * 2 + ["a", "lazy"]
    assert (state.step, state.images) == (7, 7 * BATCH)


def test_a_lazy_phase_is_kept_in_step_by_resuming(pack: Pack) -> None:
    model = Recorder([("a", "first", 1, 1), ("lazy", "second", 3, 1)])
    state, plan = start(model, pack)
    state.step, state.images = 2, 2 * BATCH
    train_step(state, plan)
    train_step(state, plan)
    assert model.names() == ["a", "a", "lazy"]


def test_each_repetition_has_data_of_its_own_and_all_of_it_counts(pack: Pack) -> None:
    model = Recorder([("critic", "second", 1, 3), ("generator", "first", 1, 1)])
    state, plan = start(model, pack)
    train_step(state, plan)
    train_step(state, plan)
    assert model.names() == ["critic"] * 3 + ["generator"] + ["critic"] * 3 + ["generator"]
    batches = positions(pack, [batch.images for _, batch in model.seen])
    assert batches == [0, 1, 2, 2, 3, 4, 5, 5]  # a phase run once sees the latest batch
    assert state.images == 6 * BATCH


def test_what_is_shared_lasts_for_one_batch_of_one_step(pack: Pack) -> None:
    model = Recorder([("critic", "second", 1, 2), ("generator", "first", 1, 1)])
    state, plan = start(model, pack)
    train_step(state, plan)
    train_step(state, plan)
    shared = [id(batch.shared) for _, batch in model.seen]
    assert shared[1] == shared[2]
    assert shared[4] == shared[5]
    assert len(set(shared)) == 4


def test_noise_is_new_in_every_repetition_and_step_and_repeatable(pack: Pack) -> None:
    def draw() -> list[Tensor]:
        model = Recorder([("critic", "second", 1, 2), ("generator", "first", 1, 1)])
        state, plan = start(model, pack)
        train_step(state, plan)
        train_step(state, plan)
        return [batch.draws.normal(3) for _, batch in model.seen]

    first, again = draw(), draw()
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(first[1], first[2])  # a phase that shares nothing draws the same again
    different = [first[i] for i in (0, 1, 3, 4)]
    assert len({tuple(noise.flatten().tolist()) for noise in different}) == 4


def test_parts_of_a_batch_draw_the_rows_of_the_whole() -> None:
    def draws(rows: slice) -> Draws:
        return Draws(torch.Generator().manual_seed(5), rows, 8)

    whole = draws(slice(0, 8))
    first, second = whole.normal(2, 3), whole.normal(1)
    parts = [draws(slice(i, i + 2)) for i in range(0, 8, 2)]
    assert torch.equal(torch.cat([part.normal(2, 3) for part in parts]), first)
    assert torch.equal(torch.cat([part.normal(1) for part in parts]), second)


def test_micro_batches_split_the_data_and_share_nothing(pack: Pack) -> None:
    model = Recorder([("a", "first", 1, 1)])
    state, plan = start(model, pack, accumulate=2)
    train_step(state, plan)
    parts = [batch for _, batch in model.seen]
    assert [len(part.images) for part in parts] == [2, 2]
    assert positions(pack, [torch.cat([part.images for part in parts])]) == [0]
    assert parts[0].shared is not parts[1].shared


def test_phases_of_the_same_networks_share_an_optimizer(pack: Pack) -> None:
    model = Recorder([("a", "first", 1, 1), ("b", "second", 1, 1), ("a again", "first", 1, 1)])
    state, plan = start(model, pack)
    assert list(state.optimizers) == [("first",), ("second",)]
    train_step(state, plan)
    steps = {
        key: {float(v["step"]) for v in optimizer.state.values()}
        for key, optimizer in state.optimizers.items()
    }
    assert steps == {("first",): {2.0}, ("second",): {1.0}}


def test_a_phase_changes_only_what_it_trains(pack: Pack) -> None:
    def of_both(model: Recorder, trains: str, batch: Batch) -> Tensor:
        output: Tensor = model.first(batch.images) * model.second(batch.images)
        return output.mean()

    model = Recorder([("a", "first", 1, 1)], of_both)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state, plan = start(model, pack)
    train_step(state, plan)
    changed = [k for k, v in model.state_dict().items() if not torch.equal(v, before[k])]
    assert changed == ["first.weight", "first.bias"]
    assert all(p.grad is None for p in model.second.parameters())


def test_the_first_step_is_adams(pack: Pack) -> None:
    """Kingma & Ba: the first step is the learning rate against the sign of the gradient."""
    model = Recorder([("a", "first", 1, 1)])
    before = model.first.weight.detach().clone()
    images = Loader(pack, batch=BATCH, seed=0).fetch(0)[0]
    (gradient,) = torch.autograd.grad(model.first(images).square().mean(), model.first.weight)
    state, plan = start(model, pack)
    update = train_step(state, plan)["a"][0]
    step = model.first.weight.detach() - before
    torch.testing.assert_close(step, -2e-4 * gradient.sign(), rtol=1e-3, atol=0)
    assert set(update.losses) == {"a/total"}
    assert update.gradient_norm > gradient.norm()  # the bias has one, too


def test_the_average_follows(pack: Pack) -> None:
    model = Recorder([("a", "first", 1, 1)])
    state, plan = start(model, pack)
    for _ in range(3):
        train_step(state, plan)
    averaged = state.ema.networks["first"].state_dict()["weight"]
    torch.testing.assert_close(averaged, model.first.weight.detach())  # soon forgets its start


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("loss", "loss a/total"),
        ("gradient", "the gradient of first.weight"),
        ("weight", "weight first.weight"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_named_and_changes_nothing(
    pack: Pack, bad: str, named: str, value: float
) -> None:
    def loss(model: Recorder, trains: str, batch: Batch) -> Tensor:
        total = mean_of(model, trains, batch)
        if bad == "loss":
            return total * value
        if bad == "gradient":  # finite itself, but not its slope
            root: Tensor = (model.first.weight * 0).sqrt().sum()
            return total + root
        return total

    model = Recorder([("a", "first", 1, 1)], loss)
    if bad == "weight":
        with torch.no_grad():
            model.first.weight[0, 0] = value
    state, plan = start(model, pack)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(RunError, match=named) as info:
        train_step(state, plan)
    assert "is not finite" in str(info.value)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor.nan_to_num(), before[name].nan_to_num())
    assert not any(optimizer.state for optimizer in state.optimizers.values())


def test_a_norm_too_large_for_float32_is_named(pack: Pack) -> None:
    def loss(model: Recorder, trains: str, batch: Batch) -> Tensor:
        weight: Tensor = model.first.weight
        return (weight * 3e38).mean() - (weight.detach() * 3e38).mean()

    state, plan = start(Recorder([("a", "first", 1, 1)], loss), pack)
    with pytest.raises(RunError, match="too large for float32"):
        train_step(state, plan)


def test_seeds_differ_and_stay() -> None:
    seeds = [derive_seed(0, step, rank) for step in range(50) for rank in range(4)]
    assert len(set(seeds)) == 200
    assert derive_seed(1, 2, 3) == derive_seed(1, 2, 3) != derive_seed(12, 3)
    assert np.iinfo(np.int64).max >= max(seeds)
    assert min(seeds) >= 0


def test_the_callers_randomness_is_left_alone(tmp_path: Path) -> None:
    from tests.tiny import tiny, train_quietly

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    deterministic = torch.backends.cudnn.deterministic
    train_quietly(tiny("gan", "training.images=16"), tmp_path / "run")
    assert torch.equal(torch.rand(2), expected)
    assert torch.backends.cudnn.deterministic is deterministic


class Configured(Recorder):
    """One phase with an optimiser and an `after` of one's own."""

    def __init__(self, optimizer: Adam) -> None:
        super().__init__([("a", "first", 1, 1)])
        self.optimizer = optimizer
        self.told: list[tuple[dict[str, float], int]] = []

    def phases(self) -> tuple[Phase, ...]:
        (phase,) = super().phases()
        return (replace(phase, optimizer=self.optimizer, loss=self.part, after=self.note),)

    def part(self, batch: Batch) -> Losses:
        return Losses(mean_of(self, "first", batch), {"mean": batch.images.mean()})

    def note(self, measured: Mapping[str, Tensor], images: int) -> None:
        self.told.append(({name: float(value) for name, value in measured.items()}, images))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_after_an_update_the_model_is_told_what_it_measured(pack: Pack, accumulate: int) -> None:
    model = Configured(Adam())
    state, plan = start(model, pack, accumulate=accumulate)
    train_step(state, plan)
    ((measured, images),) = model.told
    whole, _ = plan.loader.fetch(0)
    assert images == BATCH
    assert measured["mean"] == pytest.approx(float(whole.mean()), abs=1e-6)
    assert set(measured) == {"total", "mean"}


def test_schedules_move_the_rates_and_start_with_the_first_step(pack: Pack) -> None:
    rate, beta = Schedule(start=1e-2, end=0), Schedule(start=0.9, end=0.99)
    model = Configured(Adam(learning_rate=rate, betas=(0.0, beta)))
    state, plan = start(model, pack)
    (optimizer,) = state.optimizers.values()
    seen = []
    for _ in range(3):
        train_step(state, plan)
        group = optimizer.param_groups[0]
        seen.append((group["lr"], group["betas"]))
    shares = [step * BATCH / plan.config.images for step in range(3)]
    assert seen == [(rate.at(share), (0.0, beta.at(share))) for share in shares]
    assert seen[0][0] == 1e-2


def test_a_long_gradient_is_cut_to_its_greatest_length(pack: Pack) -> None:
    """Seen in Adam's first average, which is (1 - beta1) times the gradient."""
    model = Configured(Adam(betas=(0.5, 0.9), max_gradient_norm=1e-3))
    state, plan = start(model, pack)
    updates = train_step(state, plan)
    assert updates["a"][0].gradient_norm > 2e-3  # what is logged is the length before
    (optimizer,) = state.optimizers.values()
    averages = [values["exp_avg"] for values in optimizer.state.values()]
    length = torch.cat([average.flatten() for average in averages]).norm() / 0.5
    torch.testing.assert_close(length, torch.tensor(1e-3), rtol=1e-2, atol=0)


def test_forked_numbers_do_not_depend_on_what_was_drawn_before() -> None:
    def draws() -> Draws:
        return Draws(torch.Generator().manual_seed(7), slice(1, 3), 4)

    first, second = draws(), draws()
    second.normal(5)
    assert torch.equal(first.fork("a").uniform(2), second.fork("a").uniform(2))
    assert not torch.equal(first.fork("a").uniform(2), first.fork("b").uniform(2))
    assert not torch.equal(draws().uniform(2), draws().fork("a").uniform(2))
    whole = Draws(torch.Generator().manual_seed(7), slice(0, 4), 4)
    assert torch.equal(whole.fork("a").normal(2)[1:3], first.fork("a").normal(2))
    assert first.uniform(3).shape == (2, 3)
