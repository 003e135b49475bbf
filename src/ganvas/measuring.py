"""The verbs that measure: evaluate and compare."""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganvas._version import __version__
from ganvas.api import load, load_translator, resume, train
from ganvas.data.config import DataConfig
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack, open_pack
from ganvas.data.progress import progress_bar
from ganvas.data.source_types import printable
from ganvas.data.sources import IMPORTED, absolute
from ganvas.errors import ConfigError, DataError, RunError
from ganvas.evaluation.compare import Entry, write_comparison
from ganvas.evaluation.definitions import order
from ganvas.evaluation.evaluate import (
    FEWEST,
    MOST_TRAINING,
    Advance,
    Fakes,
    Reference,
    as_tensor,
    copying,
    draw,
    generation_scores,
    latents_of,
    make_reference,
    observe,
    real_pictures,
    reconstruction_scores,
    truth_scores,
)
from ganvas.evaluation.features import build_features
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.latent_space import latent_scores
from ganvas.evaluation.likelihood import LikelihoodFound, has_likelihood, measure_likelihood
from ganvas.evaluation.memorisation import Memorisation
from ganvas.evaluation.protocol import Evaluation, Protocol, Score, Split
from ganvas.evaluation.story import chapters
from ganvas.evaluation.translating import (
    Ground,
    choose_features,
    make_ground,
    measure,
    translation_sheet,
)
from ganvas.files import write_text
from ganvas.models.base import Encodes, LatentModel, Model, alternate, class_labels
from ganvas.models.translation import TranslationModel
from ganvas.pictures import grid, save_png, scatter, to_uint8
from ganvas.recipes.story import STORY, Story
from ganvas.training.announce import Say
from ganvas.training.checkpoint import checkpoint_images, find_checkpoint
from ganvas.training.config import RunConfig
from ganvas.training.precision import resolve_device
from ganvas.training.prepare import device_name, parameter_counts
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import History

DEFAULT_N = 5_000
_SHEET = 36
_RECONSTRUCTIONS = 18
_PAIRS = 18
_PATHS = 1_000
"""Short steps for the path length; each needs two pictures."""


@dataclass(frozen=True)
class Options:
    """What all verbs that measure can be asked for."""

    features: str = "auto"
    """auto, random, classifier, inception, dinov2 or points."""
    n: int = DEFAULT_N
    """Pictures on each side, at most."""
    seed: int = 0
    """Of the first picture drawn."""
    checkpoint: str = "last"
    """last, best, or the number of one."""
    weights: Path | None = None
    """A local file (inception) or folder (dinov2) in place of a download."""
    device: str = "auto"
    progress: bool = True
    """Whether to show a bar when it takes long."""
    likelihood_samples: int = 200
    """Importance samples for each picture, of a VAE; 0: do not measure its likelihood."""
    likelihood_pictures: int = 250
    """Pictures whose likelihood is measured, at most."""

    def __post_init__(self) -> None:
        if self.n < FEWEST:
            raise ConfigError(
                f"{self.n} pictures are too few to measure anything: at least {FEWEST}, and some "
                "thousand for scores that mean much (-n 5000)."
            )
        if self.likelihood_samples < 0 or self.likelihood_pictures < FEWEST:
            raise ConfigError(
                f"{self.likelihood_pictures} pictures with {self.likelihood_samples} samples give "
                f"no likelihood: at least {FEWEST} pictures, and 1 sample (or 0 to leave it out)."
            )


def evaluate_run(
    run: str | Path,
    options: Options = Options(),
    *,
    against: str | None = None,
    target: str | None = None,
    say: Say = print,
) -> Evaluation:
    """Measure a run; its scores and a page with them are written into its folder.

    Args:
        run: The run folder.
        options: What to measure with.
        against: A source of real pictures; by default what the run held out of its own data. Of a
            run that translates, pictures of both domains, or those to translate.
        target: The second domain, where the run was trained with a second source (`--target`).
        say: Gets what a user should know, one line at a time.

    Raises:
        GanvasError: The run, the pictures or the weights cannot be used; the message says what to
            do.
    """
    entry = _Bench(options, say).run(Path(run), against, target)
    folder = Path(run)
    write_text(folder / "evaluation.json", entry.evaluation.model_dump_json(indent=1))
    write_comparison([entry], folder / "evaluation.html", title=f"{entry.name}, measured")
    if entry.pairs is not None:
        save_png(entry.pairs, folder / "closest-pairs.png")
    return entry.evaluation


def evaluate_pictures(
    source: str,
    against: str,
    options: Options = Options(),
    *,
    resolution: str | int | None = None,
    say: Say = print,
) -> Evaluation:
    """Measure pictures of any source against real ones, both brought to one size.

    Raises GanvasError as `evaluate_run`.
    """
    return _Bench(options, say).pictures(source, against, resolution)


def compare(
    runs: Sequence[str | Path],
    options: Options = Options(),
    *,
    say: Say = print,
) -> list[Entry]:
    """Measure several runs alike; give what `write_comparison` makes a page of.

    Raises GanvasError as `evaluate_run`; so does an imported run, which has no pictures.
    """
    for run in runs:  # one that cannot be compared should say so before the others are measured
        if RunFolder(Path(run)).read().data.source == IMPORTED:
            raise DataError(
                f"{run} was imported without its pictures, and runs are compared by those that "
                f"each was trained on. Measure it by itself: ganvas evaluate {run} --against "
                "PICTURES."
            )
    bench = _Bench(options, say)
    entries = [bench.run(Path(run), None) for run in runs]
    names = [entry.name for entry in entries]
    return [
        entry if names.count(entry.name) == 1 else replace(entry, name=printable(str(run)))
        for entry, run in zip(entries, runs, strict=True)
    ]


class _Bench:
    """Measures one thing after the other on equal terms; real pictures are observed once."""

    def __init__(self, options: Options, say: Say) -> None:
        self.options, self.say = options, say
        self._references: dict[tuple[str, ...], Reference] = {}
        self._grounds: dict[tuple[str, ...], Ground] = {}

    def run(self, path: Path, against: str | None, target: str | None = None) -> Entry:
        """Measure a run: as many pictures are drawn, or translated, as there are real ones."""
        folder, options = RunFolder(path), self.options
        config = folder.read()
        if config.model.needs_pairs is not None:
            return self._translation(folder, against, target)
        if target is not None:
            raise ConfigError(
                f"--target is for runs that translate, and {path} holds a {config.model.name}: "
                "leave it out."
            )
        model = load(path, checkpoint=options.checkpoint, device=options.device, say=self.say)
        data = config.data
        if data.source == IMPORTED and against is not None:  # its own pictures are not here
            data = _other(data, against)
        own = open_pack(data, progress=options.progress)
        if data is config.data:
            folder.check_data(own)
        features = self._features(own, data, model.device)
        real = own
        if against is not None:
            data = _other(config.data, against)
            real = open_pack(data, progress=options.progress)
        if real.shape != model.shape:
            raise DataError(
                f"{data.source} has examples of shape {real.shape}, but the run {path} makes "
                f"{model.shape}: one of the two holds pictures, the other points in a plane."
            )
        reference = self._reference(real, data, features, "test" if against is None else "all")
        n, seed = len(reference.pictures), options.seed
        with self._bar(f"Drawing from {path.name}", n) as advance:
            fakes = draw(model, reference, n, seed, advance)
        began = time.perf_counter()
        likelihood = self._likelihood(model, reference, path)
        copied, memory = copying(reference, fakes.observed)
        scores = [
            *generation_scores(reference, fakes.observed),
            *copied,
            *truth_scores(reference, fakes.observed),
            *latent_scores(model, features, min(n, _PATHS), seed),
            *reconstruction_scores(model, reference),
            *likelihood.scores,
        ]
        seconds = {**fakes.seconds, "metrics": time.perf_counter() - began}
        protocol = reference.protocol(n, seed, fakes.draws)
        notes = (*reference.notes, *likelihood.notes)
        evaluation = self._evaluation(
            path.resolve().name, protocol, notes, scores, seconds, model.device
        ).model_copy(update={"likelihood": likelihood.protocol})
        return Entry(
            name=evaluation.subject,
            evaluation=self._of_run(
                evaluation, folder, model, n / max(fakes.sampling_seconds, 1e-9)
            ),
            history=History.read(folder.log) if folder.log.exists() else None,
            samples=_sheet(model, seed),
            reconstructions=_reconstructions(model, reference),
            pairs=None if memory is None else _pairs(model, reference, memory, seed),
        )

    def _translation(self, folder: RunFolder, against: str | None, target: str | None) -> Entry:
        """Measure a run that translates, in all its directions."""
        options, config = self.options, folder.read()
        path, data = folder.path, config.data
        model = load_translator(
            path, checkpoint=options.checkpoint, device=options.device, say=self.say
        )
        if against is not None:
            data = _other_domains(data, against, target)
        pairs = config.model.needs_pairs
        pack = open_pack(data, progress=options.progress, needs_pairs=pairs)
        if against is None:
            folder.check_data(pack)
        ground = self._ground(model, pack, data, "test" if against is None else "all")
        began = time.perf_counter()
        n = sum(len(ground.sides.of(direction)[0].pictures) for direction in model.directions)
        with self._bar(f"Translating with {path.name}", n) as advance:
            scores, translating = measure(model, ground, options.seed, advance)
        seconds = {"translating": translating, "metrics": time.perf_counter() - began - translating}
        protocol = ground.protocol(model, options.seed)
        evaluation = self._evaluation(
            path.resolve().name, protocol, ground.sides.notes, scores, seconds, model.device
        )
        return Entry(
            name=evaluation.subject,
            evaluation=self._of_run(evaluation, folder, model, n / max(translating, 1e-9)),
            history=History.read(folder.log) if folder.log.exists() else None,
            samples=translation_sheet(model, ground.sides, options.seed),
            reconstructions=None,
        )

    def pictures(self, source: str, against: str, resolution: str | int | None) -> Evaluation:
        """Measure the pictures of a source."""
        options = self.options
        data = DataConfig.parse({"source": against, "resolution": resolution, "held_out": 0})
        real = open_pack(data, progress=options.progress)
        data = real.decided(data)
        pack = open_pack(_other(data, source), progress=options.progress)
        device = resolve_device(options.device)
        features = self._features(real, data, device)
        drawn, _, _ = real_pictures(pack, _other(data, source), "all", options.n)
        reference = self._reference(real, data, features, "all", len(drawn))
        n = len(reference.pictures)
        with self._bar("Looking at pictures", len(drawn)) as advance:
            began = time.perf_counter()
            observed = observe(drawn.batches(), features, advance).first(n)
            fakes = Fakes(observed, "pictures", 0.0, time.perf_counter() - began)
        began = time.perf_counter()
        scores = [*generation_scores(reference, observed), *truth_scores(reference, observed)]
        seconds = {**fakes.seconds, "metrics": time.perf_counter() - began}
        protocol = reference.protocol(n, options.seed, fakes.draws)
        found = self._evaluation(source, protocol, reference.notes, scores, seconds, device)
        if data.resolution is None:
            return found
        height, width = data.resolution
        size = f"Both sides were brought to {height}x{width} pixels ({data.fit})."
        return found.model_copy(update={"notes": (*found.notes, size)})

    def _features(self, pack: Pack, data: DataConfig, device: torch.device) -> Features:
        options = self.options
        return build_features(
            options.features, pack, data, device,
            weights=options.weights, progress=options.progress, say=self.say,
        )  # fmt: skip

    def _reference(
        self, pack: Pack, data: DataConfig, features: Features, split: Split, n: int | None = None
    ) -> Reference:
        n = min(self.options.n, n or self.options.n)
        key = (pack.fingerprint, str(data.held_out), features.identity, split, str(n))
        if key not in self._references:
            total = n + min(MOST_TRAINING, len(pack))
            with self._bar("Looking at real pictures", total) as advance:
                self._references[key] = make_reference(pack, data, features, split, n, advance)
        return self._references[key]

    def _likelihood(self, model: LatentModel, reference: Reference, path: Path) -> LikelihoodFound:
        """Of a VAE, how probable it finds the real pictures."""
        samples, pictures = self.options.likelihood_samples, self.options.likelihood_pictures
        if not has_likelihood(model, samples):
            return LikelihoodFound()
        n = min(pictures, len(reference.pictures))
        with self._bar(f"Likelihood by {path.name}", n) as advance:
            return measure_likelihood(
                model, reference, samples, pictures, self.options.seed, advance
            )

    def _ground(
        self, model: TranslationModel, pack: Pack, data: DataConfig, split: Split
    ) -> Ground:
        """What is known of the real pictures; observed once for runs of the same ones."""
        options = self.options
        assert pack.target is not None
        features, readers = choose_features(
            options.features, pack, data, model.directions, model.device,
            weights=options.weights, progress=options.progress, say=self.say,
        )  # fmt: skip
        key = (pack.fingerprint, str(data.held_out), features.identity, split, *model.directions)
        if key not in self._grounds:
            total = 4 * min(options.n, len(pack) + len(pack.target))
            with self._bar("Looking at real pictures", total) as advance:
                self._grounds[key] = make_ground(
                    pack, data, model.directions, features, readers, split, options.n, advance
                )
        return self._grounds[key]

    def _evaluation(
        self, subject: str, protocol: Protocol, notes: Sequence[str], scores: Sequence[Score],
        seconds: dict[str, float], device: torch.device,
    ) -> Evaluation:  # fmt: skip
        n = min(protocol.n_real, protocol.n_fake)
        if n < self.options.n:
            notes = [*notes, f"{n:,} pictures on each side, for want of more real ones."]
        return Evaluation(
            subject=printable(subject),
            model="",
            images=0,
            checkpoint="",
            protocol=protocol,
            scores=order(scores),
            notes=tuple(notes),
            seconds=seconds,
            device=device_name(device),
            versions={"ganvas": __version__, "torch": torch.__version__},
            command=printable(shlex.join(["ganvas", *sys.argv[1:]])),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _of_run(
        self, evaluation: Evaluation, folder: RunFolder, model: Model, speed: float
    ) -> Evaluation:
        """With what is known of a run alone; the speed is in pictures per second."""
        kept = find_checkpoint(folder.checkpoints, self.options.checkpoint, [])
        known = {
            "model": folder.read().name,
            "images": checkpoint_images(kept),
            "checkpoint": self.options.checkpoint,
            "sampling_speed": speed,
            "parameters": parameter_counts(model),
        }
        return evaluation.model_copy(update=known)

    def _bar(self, label: str, total: int) -> AbstractContextManager[Advance]:
        return progress_bar(label, total, self.options.progress)


def _other(data: DataConfig, source: str) -> DataConfig:
    """The same treatment for another source, all of whose pictures are used."""
    update = {"source": absolute(source), "images": None, "held_out": 0}
    return data.model_copy(update=update)


def _other_domains(data: DataConfig, source: str, target: str | None) -> DataConfig:
    """The same treatment for both domains of another source."""
    if (target is None) != (data.target is None):
        asked = "needs --target" if target is None else "takes no --target"
        how = "with two sources" if target is None else "on both domains of one source"
        raise ConfigError(
            f"--against {source} {asked} here, because the run was trained {how}: the pictures to "
            "measure against are given as those to train on were."
        )
    second = None if target is None else absolute(target)
    return _other(data, source).model_copy(update={"target": second})


def _sheet(model: LatentModel, seed: int) -> Image.Image:
    """The same seeds for every model."""
    count = _SHEET if len(model.shape) == 3 else 2_000
    latents = latents_of(model, count, seed)
    images = model.decode_all(latents, class_labels(model, None, count))
    return grid(to_uint8(images)) if images.ndim == 4 else scatter(images)


def _reconstructions(model: LatentModel, reference: Reference) -> Image.Image | None:
    """Unseen pictures, each beside its reconstruction."""
    if not isinstance(model, Encodes) or len(model.shape) == 1:
        return None
    with torch.no_grad():
        images = to_model_range(next(reference.pictures.batches()))[:_RECONSTRUCTIONS]
        images = images.to(model.device)
        labels = reference.labels_for(model, len(images))
        decoded = model.decode_all(model.encode(images, labels).float(), labels)
    return grid(to_uint8(alternate(images, decoded)), together=2)


def _pairs(
    model: LatentModel, reference: Reference, memory: Memorisation, seed: int
) -> Image.Image | None:
    """The pictures drawn that lie nearest to a training picture, each beside it."""
    if len(model.shape) == 1:
        return None
    labels = reference.labels_for(model, len(reference.pictures))
    pairs: list[Tensor] = []
    for fake, real, _ in memory.pairs[:_PAIRS]:
        chosen = None if labels is None else labels[fake : fake + 1]
        drawn = model.decode_all(latents_of(model, 1, seed + fake), chosen).cpu()
        row = reference.training_pictures.rows[real]
        training = to_model_range(as_tensor(reference.training_pictures.images[row][None]))
        pairs.append(torch.cat([drawn, training]))
    return grid(to_uint8(torch.cat(pairs)), together=2)


def story(
    out: str | Path = "story",
    options: Options = Options(),
    *,
    told: Story = STORY,
    say: Say = print,
) -> Path:
    """Train the models of a story on equal terms, measure them, and write its page.

    Args:
        out: A folder for the runs and story.html. Runs in it are gone on with and not repeated, so
            that a story that was stopped can be told to its end.
        options: What to measure with.
        told: What is trained, and the texts.
        say: Gets what a user should know, one line at a time.

    Returns:
        The page.

    Raises:
        GanvasError: A training had to stop, or the folder holds other runs.
    """
    runs = {part.recipe: Path(out) / part.recipe for part in told.parts}
    for part in told.parts:
        _train_once(told.config(part), runs[part.recipe], say)
    entries = compare(list(runs.values()), options, say=say)
    found = {entry.name: entry.evaluation for entry in entries}
    return write_comparison(
        entries,
        Path(out) / "story.html",
        title=told.title,
        introduction=told.introduction,
        chapters=chapters(found, told),
    )


def _train_once(config: RunConfig, run: Path, say: Say) -> None:
    """Train, or go on with what was begun before."""
    folder = RunFolder(run)
    if not folder.config.is_file():
        train(config, out=run, say=say)
        return
    begun = folder.read()
    if begun.training.images != config.training.images or begun.model != config.model:
        raise RunError(
            f"{run} holds a run with other settings than this story's. Choose another folder with "
            "--out, or remove that one."
        )
    resume(run, say=say)
