"""What the verbs of the command line do, as functions: train, load, translate, report, ..."""

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ganvas.data.held_out import count_held_out
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack, open_pack
from ganvas.data.sources import absolute
from ganvas.errors import ConfigError, DataError, GanvasError, RunError
from ganvas.evaluation.features.eyes import open_eyes
from ganvas.evaluation.judge import make_judge
from ganvas.evaluation.report import write_report
from ganvas.models import build_model
from ganvas.models.base import (
    Encodes,
    LatentModel,
    Model,
    Samples,
    Styles,
    alternate,
    required_labels,
)
from ganvas.models.diffusion_config import FirstStageOf, LatentDiffusionConfig
from ganvas.models.diffusion_parts import missing_packages
from ganvas.models.reading import Captions
from ganvas.models.translation import Direction, TranslationModel
from ganvas.recipes import DEFAULT, RECIPES, Recipe, find_recipe
from ganvas.recipes.choosing import FLIP_HINT, check_choices, choose, leave_open, still_true
from ganvas.recipes.rules import Facts
from ganvas.training.announce import Say, headline, result, say_captions, say_pairs, say_skipped
from ganvas.training.captions import known_captions
from ganvas.training.checkpoint import LAST, TrainingState, load_weights
from ganvas.training.config import RunConfig, check_domains, override, read_config
from ganvas.training.distributed import Processes, process_group, wait_for_main
from ganvas.training.first_stage import (
    begin_with_first_stage,
    check_first_stage,
    with_first_stage,
)
from ganvas.training.interrupt import graceful_stop
from ganvas.training.loop import train as run_loop
from ganvas.training.memory import explain_memory
from ganvas.training.precision import resolve_device
from ganvas.training.prepare import (
    complete,
    own_randomness,
    parameter_counts,
    prepare,
    record_start,
)
from ganvas.training.progress import training_progress
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import RunLog
from ganvas.training.transfer import take_over, with_source
from ganvas.translation.inputs import Inputs
from ganvas.translation.opening import Pair, check_place, forms, open_inputs, own_inputs
from ganvas.translation.tiling import TILE
from ganvas.translation.translate import How, Translation, translate_all

Loaded = TypeVar("Loaded", bound=Model)


def configure(
    model: str = DEFAULT,
    *,
    config: Path | None = None,
    data: str | None = None,
    target: str | None = None,
    pair: str | None = None,
    domains: str | Sequence[str] | None = None,
    resolution: str | int | None = None,
    images: int | None = None,
    settings: Sequence[str] = (),
    auto: bool = False,
    start_from: str | Path | None = None,
    first_stage: str | Path | None = None,
) -> RunConfig:
    """The configuration of a recipe, or of a file, with changes.

    Args:
        model: A recipe's name (`ganvas models`); not used with `config`.
        config: A config.yaml.
        data: A source: a folder, a ZIP, a Parquet file, `hf:owner/name` or a built-in name.
        target: For models that translate, a second source: what to translate into.
        pair: Every picture holds both side by side: "AB" (what to translate on the left) or "BA".
        domains: Two classes, image columns or views of the data: "none,round" or a pair of names.
        resolution: One number or HEIGHTxWIDTH.
        images: Length of the training, in images shown.
        settings: Further changes such as "model.width=32".
        auto: Leave what neither `settings` nor the file sets, and can be chosen by the pictures
            (batch, learning rates, penalty weight, ...), to be chosen when the training starts.
        start_from: A run, or RUN:CHECKPOINT, whose weights are the first ones.
        first_stage: The run of an autoencoder-kl or a vqvae, in whose latents a latent-diffusion
            draws.

    Raises:
        ConfigError: A name or a value is wrong, or `auto` has nothing to choose; the message says
            which.
    """
    start = find_recipe(model).config if config is None else read_config(config)
    values: dict[str, Any] = start.model_dump(mode="json")
    other_data = data not in (None, start.data.source)
    if other_data or any(given is not None for given in (target, pair, domains)):
        values["data"] |= {"target": None, "pair": None, "domains": None}
    for section, field, value in (
        ("data", "source", data),
        ("data", "target", target),
        ("data", "pair", pair),
        ("data", "domains", domains),
        ("data", "resolution", resolution),
        ("training", "images", images),
        ("training", "start_from", None if start_from is None else str(start_from)),
    ):
        if value is not None:
            values[section][field] = value
    if first_stage is not None:
        values["model"] = _in_latents_of(values["model"], first_stage)
    result = still_true(RunConfig.parse(override(values, settings)), before=start)
    if auto:
        of_file = {} if config is None else start.model_dump(mode="json", exclude_unset=True)
        result = leave_open(result, given=override(of_file, settings))
    where = {"source": absolute(result.data.source)}  # to resume the run from any folder
    if result.data.target is not None:
        where["target"] = absolute(result.data.target)
    return result.model_copy(update={"data": result.data.model_copy(update=where)})


def _in_latents_of(model: dict[str, Any], run: str | Path) -> dict[str, Any]:
    """The values of a model's configuration with another first stage."""
    if "first_stage" not in model:
        raise ConfigError(
            f"{model['name']} has no first stage, so that --first-stage says nothing to it. Leave "
            "it out, or train a latent-diffusion."
        )
    return {**model, "first_stage": {"run": str(run), "model": None}}


def train(
    model: str | RunConfig = DEFAULT,
    *,
    out: str | Path | None = None,
    say: Say = print,
    **changes: Any,
) -> Path:
    """Train a model from the start.

    Args:
        model: A recipe's name, or a whole configuration.
        out: The run folder to make (default: runs/MODEL-DATA, numbered if that exists).
        say: Gets what a user should know, one line at a time.
        **changes: With a recipe's name, the arguments of `configure`: data, target, pair, domains,
            resolution, images, settings, auto, start_from, first_stage.

    Returns:
        The run folder.

    Raises:
        GanvasError: The data, the configuration or the folder cannot be used, or the training had
            to stop; the message says what to do.
    """
    if isinstance(model, RunConfig) and changes:
        raise ConfigError(f"a whole configuration was given, so {', '.join(changes)} cannot be.")
    config = model if isinstance(model, RunConfig) else configure(model, **changes)
    resolve_device(config.training.device)  # a wrong one should fail before anything is written
    check_choices(config)
    check_domains(config)
    config = with_first_stage(with_source(config, say))
    folder = RunFolder(Path(out) if out is not None else _free_folder(config))
    with process_group(config.training.device) as processes:
        _run(folder, config, processes, say, new=True)
    return folder.path


def resume(run: str | Path, *, say: Say = print) -> Path:
    """Go on with a training exactly where its last checkpoint left it.

    Raises RunError where `run` is no run folder or none of its checkpoints is whole.
    """
    folder = RunFolder(Path(run))
    config = folder.read()
    check_domains(config)
    resolve_device(config.training.device)
    with process_group(config.training.device) as processes:
        _run(folder, config, processes, say, new=False)
    return folder.path


def load(
    run: str | Path, *, checkpoint: str = LAST, device: str = "auto", say: Say = print
) -> LatentModel:
    """The trained model of a run, with averaged weights, ready to explore.

    Args:
        run: The run folder.
        checkpoint: "last", "best" (by the score while training), or the number of one.
        device: auto, cpu, cuda or mps.
        say: Gets what a user should know, one line at a time.

    Raises RunError where `run` is no run folder, has no such checkpoint, or only damaged ones.
    """
    folder = RunFolder(Path(run))
    config = folder.read()
    if config.model.needs_pairs is not None:
        raise RunError(
            f"{run} holds a {config.model.name}, which translates pictures and has no latent space "
            f"to draw from or to explore: ganvas translate {run} PICTURES --out FOLDER."
        )
    shape, classes = folder.read_data_summary()
    model = build_model(config.model, shape, classes, captions=folder.read_captions())
    assert isinstance(model, LatentModel)
    return _ready(model, folder, checkpoint, device, say)


def load_translator(
    run: str | Path, *, checkpoint: str = LAST, device: str = "auto", say: Say = print
) -> TranslationModel:
    """The trained model of a run that translates pictures, with averaged weights.

    Args:
        run: The run folder.
        checkpoint: "last", "best" (by the score while training), or the number of one.
        device: auto, cpu, cuda or mps.
        say: Gets what a user should know, one line at a time.

    Raises RunError where `run` is no run folder, holds a model that does not translate, has no such
    checkpoint, or only damaged ones.
    """
    folder = RunFolder(Path(run))
    config = folder.read()
    if config.model.needs_pairs is None:
        raise RunError(
            f"{run} holds a {config.model.name}, which makes pictures of its own and translates "
            f"none: ganvas sample {run} draws some. Models that translate: pix2pix, cyclegan."
        )
    shape, classes = folder.read_data_summary()
    model = build_model(config.model, shape, classes, folder.read_target_shape())
    assert isinstance(model, TranslationModel)
    return _ready(model, folder, checkpoint, device, say)


def translate(
    run: str | Path,
    source: str | Path | None = None,
    out: str | Path | None = None,
    direction: Direction = "AB",
    *,
    seed: int = 0,
    resize: bool = False,
    target: str | None = None,
    pair: Pair | None = None,
    tile: int = TILE,
    checkpoint: str = LAST,
    say: Say = print,
) -> Translation:
    """Translate pictures of files, each at its own size, into PNG files.

    Args:
        run: The run folder of a model that translates.
        source: A picture file, or a folder, a ZIP or a Parquet file of them; by default pictures of
            the run's own data that it was not trained on.
        out: A folder for the results (default: RUN/translated). Files there that are no results of
            an earlier translation are never replaced.
        direction: "AB", from the domain that was the training's source to the one that was its
            target, or "BA".
        seed: Of the first picture's noise (pix2pix); the next ones have seed + 1, seed + 2, ...
        resize: Bring the pictures to the size that the model learned from.
        target: A source of what the pictures should become, by equal names: for the contact sheet.
        pair: Each picture holds both domains side by side: "AB" or "BA", from left to right.
        tile: Pictures of more pixels than its square are translated in tiles of this side.
        checkpoint: "last", "best" or the number of one.
        say: Gets what a user should know, one line at a time.

    Raises:
        GanvasError: The run, the pictures or the folder cannot be used; the message says what to
            do.
    """
    model, how = load_translator(run, checkpoint=checkpoint, say=say), How(direction, seed, tile)
    how.check(model)
    config = RunFolder(Path(run)).read()
    place = Path(run) / "translated" if out is None else Path(out)
    inputs: Inputs
    if source is not None:
        check_place(place, str(source))
        takes = forms(model, direction, config.data, resize=resize)
        inputs = open_inputs(str(source), direction, takes, target, pair)
    elif resize or target is not None or pair is not None:
        raise ConfigError(
            "--resize, --target and --pair are about pictures that are given: name some after the "
            "run, or leave these out to translate pictures of the run's own data."
        )
    else:
        inputs, unseen = own_inputs(config, direction)
        known = "held out: the run was not trained on them" if unseen else "the run has seen them"
        say(f"Translating {len(inputs.names)} pictures of {config.data.source} ({known}).")
    return translate_all(model, inputs, place, how, say)


def _ready(model: Loaded, folder: RunFolder, checkpoint: str, device: str, say: Say) -> Loaded:
    """The model with the weights of a checkpoint, for use."""
    for note in load_weights(model, folder.checkpoints, checkpoint):
        say(note)
    return model.eval().requires_grad_(False).to(resolve_device(device))


@torch.no_grad()
def reconstruct(model: LatentModel, images: Tensor, labels: Tensor | None = None) -> Tensor:
    """Encode and decode images (N, C, H, W) in [-1, 1]; returns originals and results in turn.

    Raises ConfigError for a model without an encoder.
    """
    if not isinstance(model, Encodes):
        raise ConfigError(
            "this model has no encoder, so it cannot reconstruct pictures. Models that can: "
            "autoencoder, vae, vqvae, autoencoder-kl."
        )
    images = images.to(model.device)
    chosen = required_labels(model, None if labels is None else labels.to(model.device))
    latents = model.encode(images, chosen).float()
    return alternate(images, model.decode_all(latents, chosen))


def pictures_for(run: str | Path, source: str | None, n: int) -> tuple[Tensor, Tensor | None]:
    """The first n pictures of a source (default: the run's data) as the run's model takes them.

    Returns images (N, C, H, W) in [-1, 1] and, where a conditional model takes them and the source
    has the same classes, their labels (N,).
    """
    folder = RunFolder(Path(run))
    config = folder.read()
    data = config.data
    if source is not None:
        data = data.model_copy(update={"source": source, "images": None})
    pack = open_pack(data)
    if pack.shape != folder.read_data_summary()[0]:
        raise DataError(
            f"{data.source} does not fit the run {run}: one of the two holds pictures, the other "
            "points in a plane."
        )
    images = torch.from_numpy(np.array(pack.images[:n]))
    if images.ndim == 4:
        images = images.permute(0, 3, 1, 2)
    same_classes = pack.classes == folder.read_data_summary()[1]
    labels = pack.labels if same_classes and config.model.conditional else None
    return to_model_range(images), None if labels is None else torch.from_numpy(labels[:n].copy())


def report(run: str | Path) -> Path:
    """Write (again) the report of a run; returns its path."""
    return write_report(Path(run))


def list_models() -> list[dict[str, Any]]:
    """Every recipe as a plain record; parameters are those for RGB images of ten classes.

    The images are of 64x64 pixels, or of what the recipe asks for.
    """
    with torch.device("meta"):
        return [_describe(recipe) for recipe in RECIPES.values()]


def _describe(recipe: Recipe) -> dict[str, Any]:
    shape = (3, *(recipe.data.resolution or (64, 64)))
    about = {name: getattr(recipe, name) for name in ("name", "year", "paper", "summary")}
    config = recipe.model
    if isinstance(config, LatentDiffusionConfig):
        if missing_packages():
            why = "needs pip install 'ganvas[diffusion]'"
            return {**about, "summary": f"{recipe.summary} ({why})", "parameters": {}, "can": []}
        like = RECIPES[recipe.name.replace("latent-diffusion", "autoencoder-kl")].model
        first_stage = FirstStageOf.parse({"model": like})
        config = config.model_copy(update={"first_stage": first_stage})
    words = Captions(tuple("0123456789"), longest=1, examples=())
    model = build_model(config, shape, words.vocabulary, shape, words)
    abilities = {
        "sample": Samples, "reconstruct": Encodes, "interpolate": LatentModel, "mix": Styles,
        "translate": TranslationModel,
    }  # fmt: skip
    return {
        **about,
        "parameters": parameter_counts(model),
        "can": [verb for verb, kind in abilities.items() if isinstance(model, kind)],
    }


def _run(
    folder: RunFolder, config: RunConfig, processes: Processes, say: Say, *, new: bool
) -> None:
    """Prepare everything, run the loop, report: what `train` and `resume` share."""
    if not processes.is_main:
        _train(folder, config, processes, _silent, new)
        return
    with folder.locked():
        if new:
            folder.check_new()
        _train(folder, config, processes, say, new)


def _train(folder: RunFolder, config: RunConfig, processes: Processes, say: Say, new: bool) -> None:
    pack = _open_data(config, processes)
    if new and config.choose:
        config = _choose(config, pack, processes, say)
    with own_randomness(), explain_memory(config):
        if not new:
            folder.check_data(pack)
        else:
            check_first_stage(config, pack)
        captions = _captions(config, pack, None if new else folder)
        config = complete(config, pack, captions)
        state, plan = prepare(config, pack, folder, processes, captions)
        open_eyes(state.model, pack, config, processes, say)
        transfer = take_over(state, config, captions) if not state.step else None
        if not state.step:
            begin_with_first_stage(state, config, pack, say)
        for note in state.notes:
            say(note)
        if processes.is_main and (new or not folder.data.exists()):
            folder.write_data_summary(pack, config.data.source, captions)
        if state.images >= config.training.images and folder.is_finished():
            if processes.is_main and not folder.has_current_report():  # killed before writing it
                write_report(folder.path)
            say(f"This run is finished: all {state.images:,} images are shown.")
            return
        if processes.is_main:
            record_start(folder, config, state, plan, transfer)
        say(headline(config, state, plan, pack))
        if transfer is not None:
            say(transfer.text(named=3))
        say_captions(captions, say)
        say_skipped(config, pack, say)
        say_pairs(config, pack, say)
        with (
            graceful_stop(say) as stop,
            training_progress(
                config.name, state.images, config.training.images, say, processes.is_main
            ) as watch,
            _stops_are_recorded(folder, state, processes.is_main),
        ):
            judge = make_judge(pack, config, state.model) if processes.is_main else None
            reason = run_loop(state, plan, pack, folder, watch, stop, judge)
    if processes.is_main:
        write_report(folder.path)
        say(result(folder, state, reason))


def _captions(config: RunConfig, pack: Pack, begun: RunFolder | None) -> Captions | None:
    """What is known of the captions, as it was when a run was begun; None if it needs none."""
    if not config.model.needs_captions:
        return None
    noted = begun.read_captions() if begun is not None and begun.data.exists() else None
    return noted or known_captions(pack, config.data)


def _choose(config: RunConfig, pack: Pack, processes: Processes, say: Say) -> RunConfig:
    """Choose what is left to choose, and say how."""
    facts = Facts(
        shape=pack.shape,
        pictures=len(pack) - count_held_out(pack, config.data),
        device=resolve_device(config.training.device).type,
        processes=processes.world,
    )
    decided = choose(config, facts)
    for name in config.choose:
        say(f"Chose {name}: {decided.chosen[name]}")
    if facts.pixels is not None and not config.data.flip:
        say(FLIP_HINT)
    return decided


@contextlib.contextmanager
def _stops_are_recorded(folder: RunFolder, state: TrainingState, is_main: bool) -> Iterator[None]:
    """Where the training has to stop, say so in the log and the report, too."""
    try:
        yield
    except RunError:
        if is_main:
            with contextlib.suppress(GanvasError):  # such as a disk that is still full
                log = RunLog(folder.log)
                log.write("end", images=state.images, seconds=state.seconds, reason="stopped")
                write_report(folder.path)
        raise


def _open_data(config: RunConfig, processes: Processes) -> Pack:
    """The pack; the first process makes it, the others wait and then read it."""
    if not processes.is_main:
        wait_for_main(processes)
    pack = open_pack(
        config.data,
        progress=processes.is_main,
        needs_pairs=config.model.needs_pairs,
        needs_captions=config.model.needs_captions,
    )
    if processes.is_main:
        wait_for_main(processes)
    return pack


def _free_folder(config: RunConfig) -> Path:
    """runs/MODEL-DATA, with the first free number behind it."""
    source = Path(config.data.source.rstrip("/")).stem or "data"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{config.name}-{source}")
    candidates = (Path("runs") / (name if i == 1 else f"{name}-{i}") for i in itertools.count(1))
    return next(path for path in candidates if not path.exists() or _is_empty(path))


def _is_empty(path: Path) -> bool:
    """Whether this is a folder with nothing in it, as a `train` that was refused leaves it."""
    return path.is_dir() and not any(path.iterdir())


def _silent(line: str) -> None:
    """What the processes that are not the first one have to say."""
