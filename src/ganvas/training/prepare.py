"""From a configuration and a pack to something the loop can run."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import torch

from ganvas._version import __version__
from ganvas.data.held_out import count_held_out, training_rows, training_target_rows
from ganvas.data.loader import Loader
from ganvas.data.pack import Pack
from ganvas.errors import ConfigError
from ganvas.files import write_text
from ganvas.models import build_model
from ganvas.models.base import Model
from ganvas.models.phase import derive_seed
from ganvas.models.reading import Captions
from ganvas.training.captions import caption_tokens
from ganvas.training.checkpoint import TrainingState, load_training_state
from ganvas.training.config import RunConfig, write_config
from ganvas.training.distributed import Processes
from ganvas.training.ema import Ema
from ganvas.training.memory import keep_freed_memory
from ganvas.training.precision import resolve_compile, resolve_device, resolve_precision
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import RunLog
from ganvas.training.step import Plan, make_optimizers
from ganvas.training.transfer import Transfer


@contextlib.contextmanager
def own_randomness() -> Iterator[None]:
    """Ask for repeatable algorithms, and leave the caller's random state as it was."""
    was = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        torch.backends.cudnn.deterministic = was


def complete(config: RunConfig, pack: Pack, captions: Captions | None = None) -> RunConfig:
    """The configuration with every `auto` resolved, so that it repeats the run by itself.

    Args:
        config: With what the user asked for.
        pack: The data.
        captions: What is known of its captions, for a model that learns from them.

    Raises ConfigError where fields are still to be chosen, which is done before a training starts.
    """
    if config.choose:
        raise ConfigError(
            f"choose still names {', '.join(config.choose)}, but a training that has begun cannot "
            "choose any more: remove choose from its config.yaml, and write the values there "
            "instead."
        )
    training = config.training
    device = resolve_device(training.device)
    with torch.device("meta"):  # what it is made of is all that is asked of it
        model = build_model(config.model, pack.shape, pack.classes, _target_shape(pack), captions)
    images = training.images
    training = training.model_copy(
        update={
            "precision": resolve_precision(training.precision, device, model),
            "compile": resolve_compile(training.compile, device, images),
            "log_every": training.log_every or min(max(1, images // 200), 5_000),
            "sample_every": training.sample_every or max(1, images // 20),
            "checkpoint_every": training.checkpoint_every or min(max(1, images // 10), 50_000),
            "score_every": (
                max(1, images // 10) if training.score_every is None else training.score_every
            ),
        }
    )
    data = pack.decided(config.data)
    data = data.model_copy(update={"held_out": count_held_out(pack, data)})
    return config.model_copy(update={"training": training, "data": data})


def prepare(
    config: RunConfig,
    pack: Pack,
    folder: RunFolder,
    processes: Processes,
    captions: Captions | None = None,
) -> tuple[TrainingState, Plan]:
    """The state (fresh, or of the last checkpoint) and the plan of a complete configuration."""
    training = config.training
    parts = processes.world * training.accumulate
    if training.batch % parts:
        raise ConfigError(
            f"training.batch={training.batch} cannot be split into {parts} equal parts "
            f"({processes.world} processes x training.accumulate={training.accumulate}): choose a "
            f"multiple of {parts}, such as {max(1, round(training.batch / parts)) * parts}."
        )
    device = resolve_device(training.device)
    if device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(derive_seed(training.seed))
    model = build_model(config.model, pack.shape, pack.classes, _target_shape(pack), captions)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = TrainingState(model, Ema(model), make_optimizers(model))
    load_training_state(state, folder.checkpoints)
    if training.compile and processes.world > 1:
        # torch 2.13 drops second derivatives of autograd functions in compiled code, in silence:
        # batch norm across processes is one.
        state.notes.append("Not compiled: with several processes gradients could be wrong.")
    elif training.compile:
        model.compile_networks()
    loader = Loader(
        pack,
        batch=training.batch,
        seed=training.seed,
        rank=processes.rank,
        world=processes.world,
        flip=config.data.flip,
        rows=training_rows(pack, config.data),
        target_rows=None if pack.target is None else training_target_rows(pack, config.data),
        paired=pack.paired and bool(config.model.needs_pairs),
        jitter=config.data.jitter,
        tokens=caption_tokens(model, pack) if config.model.needs_captions else None,
    )
    precision = resolve_precision(training.precision, device, model)
    return state, Plan(model.phases(), loader, training, precision, device, processes)


def _target_shape(pack: Pack) -> tuple[int, ...] | None:
    return None if pack.target is None else pack.target.shape


def record_start(
    folder: RunFolder,
    config: RunConfig,
    state: TrainingState,
    plan: Plan,
    transfer: Transfer | None = None,
) -> None:
    """Note in the run folder that a training begins, with what weights, or goes on."""
    log = RunLog(folder.log)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if folder.log.exists():
        log.write("resume", images=state.images, time=now, note="; ".join(state.notes) or None)
        return
    if transfer is not None:
        write_text(folder.transfer, transfer.text() + "\n")
    write_config(config, folder.config)
    log.write(
        "start",
        images=0,
        time=now,
        command=shlex.join(["ganvas", *sys.argv[1:]]),
        versions={
            "ganvas": __version__,
            "torch": torch.__version__,
            "python": sys.version.split()[0],
        },
        device=device_name(plan.device),
        precision=plan.precision,
        parameters=parameter_counts(state.model),
        **({} if transfer is None else {"transfer": transfer.record()}),
    )


def parameter_counts(model: Model) -> dict[str, int]:
    """Parameters of every network that has any."""
    counts = {
        name: sum(p.numel() for p in network.parameters())
        for name, network in model.named_children()
    }
    return {name: count for name, count in counts.items() if count}


def device_name(device: torch.device) -> str:
    """The device in words: which GPU, or how many threads of a CPU."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)
