"""One step of training: every phase's update, and nothing else.

This file and no other calls `.backward()` and `.step()`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganvas.data.loader import Loader, to_model_range
from ganvas.errors import RunError
from ganvas.models.base import Model
from ganvas.models.phase import Adam, Batch, Draws, Losses, Phase, derive_seed
from ganvas.models.schedule import value_at
from ganvas.training.checkpoint import TrainingState
from ganvas.training.config import TrainingConfig
from ganvas.training.distributed import Processes, average_gradients, average_numbers
from ganvas.training.ema import decay
from ganvas.training.precision import Precision, autocast


@dataclass(frozen=True)
class Plan:
    """What stays the same over all steps."""

    phases: tuple[Phase, ...]
    loader: Loader
    config: TrainingConfig
    precision: Precision
    device: torch.device
    processes: Processes

    @property
    def batches(self) -> int:
        """Batches of data that a step shows: as many as its most repeated phase needs."""
        return max(phase.repeats for phase in self.phases)


@dataclass(frozen=True)
class Update:
    """What one phase's update measured."""

    losses: dict[str, Tensor]
    """The total and the parts, scalars, by "phase/part"."""
    gradient_norm: Tensor


def make_optimizers(model: Model) -> dict[tuple[str, ...], torch.optim.Optimizer]:
    """One Adam for each set of networks; phases that train the same ones share it.

    Raises ValueError where such phases ask for different settings.
    """
    phases: dict[tuple[str, ...], Phase] = {}
    for phase in model.phases():
        first = phases.setdefault(phase.trains, phase)
        if first.optimizer != phase.optimizer:
            raise ValueError(f"{first.name} and {phase.name} ask for different optimisers")
    return {
        trains: _adam(trained_parameters(model, phase), phase.optimizer)
        for trains, phase in phases.items()
    }


def train_step(state: TrainingState, plan: Plan) -> dict[str, list[Update]]:
    """Run every phase that is due once (or `repeats` times); return the updates by phase."""
    seed = plan.config.seed
    torch.manual_seed(derive_seed(seed, state.step, plan.processes.rank))  # dropout and the like
    data = [_Parts(state, plan, index) for index in range(plan.batches)]
    updates: dict[str, list[Update]] = {}
    progress = state.images / plan.config.images
    for phase in plan.phases:
        if state.step % phase.every == 0 and progress >= phase.begin:
            latest = data[plan.batches - phase.repeats :]
            updates[phase.name] = [_update(state, plan, phase, parts) for parts in latest]
    state.step += 1
    state.images += plan.batches * plan.config.batch
    shown, config = plan.batches * plan.config.batch, plan.config
    ramp_up = config.ema_ramp_up if config.start_from is None else None
    beta = decay(shown, state.images, config.ema_half_life, ramp_up)
    state.ema.update(state.model, beta)
    return updates


def trained_parameters(
    model: Model, phase: Phase, progress: float | None = None
) -> list[torch.nn.Parameter]:
    """The parameters that a phase changes, ever or after a share of the training."""
    networks = [model.get_submodule(name) for name in phase.trains]
    trained = [p for network in networks for p in network.parameters() if p.requires_grad]
    if phase.present is None or progress is None:
        return trained
    present = set(phase.present(progress))
    return [parameter for parameter in trained if parameter in present]


class _Parts:
    """One of a step's batches as the micro-batches that a phase's loss sees in turn."""

    def __init__(self, state: TrainingState, plan: Plan, index: int) -> None:
        position = state.images + index * plan.config.batch
        images, labels = plan.loader.fetch(position)
        targets = plan.loader.fetch_target(position)
        captions = plan.loader.fetch_captions(position)
        self.images = to_model_range(images.to(plan.device, non_blocking=True))
        self.targets = (
            None if targets is None else to_model_range(targets.to(plan.device, non_blocking=True))
        )
        self.labels = None if labels is None else labels.to(plan.device, non_blocking=True)
        self.captions = None if captions is None else captions.to(plan.device, non_blocking=True)
        self.seed = derive_seed(plan.config.seed, state.step, index)
        self.state = state
        self.plan = plan
        self.shared: dict[str, Tensor] = {}

    def __iter__(self) -> Iterator[Batch]:
        """Micro-batches, each with its rows of the whole batch's random numbers.

        Undivided, a batch carries what earlier phases of the step have shared. Divided, it carries
        nothing: the graphs of all parts would be held at once, which is what dividing avoids; a
        phase draws the same numbers again instead.
        """
        accumulate, rank = self.plan.config.accumulate, self.plan.processes.rank
        rows = len(self.images) // accumulate
        for i in range(accumulate):
            part = slice(i * rows, (i + 1) * rows)
            offset = rank * len(self.images)
            draws = Draws(
                torch.Generator(self.plan.device).manual_seed(self.seed),
                slice(offset + part.start, offset + part.stop),
                self.plan.config.batch,
            )
            yield Batch(
                self.images[part],
                None if self.labels is None else self.labels[part],
                draws,
                self.shared if accumulate == 1 else {},
                self.state.images / self.plan.config.images,
                self._averages,
                None if self.targets is None else self.targets[part],
                None if self.captions is None else self.captions[part],
            )

    def _averages(self, parameter: nn.Parameter) -> Mapping[str, Tensor]:
        """What the optimiser that trains a parameter has gathered of it."""
        for optimizer in self.state.optimizers.values():
            if parameter in optimizer.state:
                found: Mapping[str, Tensor] = optimizer.state[parameter]
                return found
        return {}


def _update(state: TrainingState, plan: Plan, phase: Phase, batches: _Parts) -> Update:
    """Gradient of one phase's loss over one batch, averaged over processes, and Adam's step."""
    progress = state.images / plan.config.images
    parameters = trained_parameters(state.model, phase, progress)
    optimizer = state.optimizers[phase.trains]
    optimizer.zero_grad(set_to_none=True)
    measured: list[Losses] = []
    for batch in batches:
        with autocast(plan.device, plan.precision):
            losses = phase.loss(batch)
        (losses.total / plan.config.accumulate).backward(inputs=parameters)
        measured.append(losses)
    average_gradients(parameters, plan.processes.world)
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    parts = _mean_losses(measured)
    update = Update({f"{phase.name}/{part}": value for part, value in parts.items()}, norm)
    if plan.device.type == "cpu":  # elsewhere asking would stall the device: the loop asks later
        check_finite(update, phase, state)
    if phase.optimizer.max_gradient_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, phase.optimizer.max_gradient_norm, norm)
    _set_rates(optimizer, phase.optimizer, progress)
    optimizer.step()
    if phase.after is not None:
        with torch.no_grad():
            phase.after(average_numbers(parts, plan.processes.world), plan.config.batch)
    return update


def _mean_losses(measured: Sequence[Losses]) -> dict[str, Tensor]:
    """The total and the parts, each as its mean over the micro-batches."""
    named = [{"total": losses.total, **losses.parts} for losses in measured]
    return {part: torch.stack([losses[part].detach() for losses in named]).mean()
            for part in named[0]}  # fmt: skip


def _adam(parameters: list[torch.nn.Parameter], config: Adam) -> torch.optim.Adam:
    optimizer = torch.optim.Adam(
        parameters, eps=config.eps, fused=parameters[0].device.type in ("cpu", "cuda")
    )
    _set_rates(optimizer, config, progress=0.0)
    return optimizer


def _set_rates(optimizer: torch.optim.Optimizer, config: Adam, progress: float) -> None:
    """What a schedule moves, at a share of the training."""
    beta1, beta2 = config.betas
    for group in optimizer.param_groups:
        group["lr"] = value_at(config.learning_rate, progress)
        group["betas"] = (beta1, value_at(beta2, progress))


def check_finite(update: Update, phase: Phase, state: TrainingState) -> None:
    """Raise RunError, naming the first bad tensor, if an update is not finite."""
    if bool(torch.isfinite(update.gradient_norm)) and all(
        bool(torch.isfinite(value)) for value in update.losses.values()
    ):
        return
    raise RunError(
        f"training stopped at {state.images:,} images (step {state.step}): "
        f"{_first_bad(update, phase, state.model)} is not finite. "
        "Checkpoints up to there are good. Usual causes: a learning rate, or the weight of a "
        f"penalty, that is too high for {' and '.join(phase.trains)}, or bfloat16. Halve the one, "
        "or set training.precision to float32, in the run's config.yaml, then go on with ganvas "
        "resume."
    )


def _first_bad(update: Update, phase: Phase, model: Model) -> str:
    """The first non-finite tensor in the order of computation."""
    # Parameters alone: a buffer may be NaN because it is not known yet.
    candidates = {f"weight {name}": p.detach() for name, p in model.named_parameters()}
    parts = {k: v for k, v in update.losses.items() if not k.endswith("/total")}
    candidates |= {f"loss {name}": value for name, value in {**parts, **update.losses}.items()}
    for network in phase.trains:
        for name, parameter in model.get_submodule(network).named_parameters():
            if parameter.grad is not None:
                candidates[f"the gradient of {network}.{name}"] = parameter.grad
    for name, tensor in candidates.items():
        if not bool(torch.isfinite(tensor).all()):
            return name
    return f"the norm of the gradients of {' and '.join(phase.trains)} (too large for float32)"
