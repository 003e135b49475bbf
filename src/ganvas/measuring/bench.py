"""Measuring one thing after the other on equal terms."""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import torch

from ganvas._version import __version__
from ganvas.api import load, load_translator
from ganvas.data.config import DataConfig
from ganvas.data.pack import Pack, open_pack
from ganvas.data.progress import progress_bar
from ganvas.data.source_types import printable
from ganvas.data.sources import IMPORTED, absolute
from ganvas.errors import ConfigError, DataError
from ganvas.evaluation.asked import asked_scores
from ganvas.evaluation.compare import Entry
from ganvas.evaluation.definitions import make_score, order
from ganvas.evaluation.drawing import Fakes, draw, price_score
from ganvas.evaluation.estimate import Estimate
from ganvas.evaluation.evaluate import (
    MOST_TRAINING,
    Advance,
    Reference,
    copying,
    generation_scores,
    make_reference,
    observe,
    real_pictures,
    reconstruction_scores,
    truth_scores,
)
from ganvas.evaluation.features import build_features
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.guidance import MOST, check_guidances, guided, is_guided, sampling_of
from ganvas.evaluation.latent_space import latent_scores
from ganvas.evaluation.likelihood import LikelihoodFound, has_likelihood, measure_likelihood
from ganvas.evaluation.protocol import Evaluation, Guided, Protocol, Score, Split
from ganvas.evaluation.translating import (
    Ground,
    choose_features,
    make_ground,
    measure,
    translation_sheet,
)
from ganvas.measuring.options import Options
from ganvas.measuring.sheets import pairs_sheet, reconstructions_sheet, samples_sheet
from ganvas.models.base import LatentModel, Model
from ganvas.models.diffusion_config import Sampling
from ganvas.models.translation import TranslationModel
from ganvas.training.announce import Say
from ganvas.training.checkpoint import checkpoint_images, find_checkpoint
from ganvas.training.precision import resolve_device
from ganvas.training.prepare import device_name, parameter_counts
from ganvas.training.run_folder import RunFolder
from ganvas.training.run_log import History


class Bench:
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
        guidances = check_guidances(model, options.guidances)
        reference, classes = self._opened(folder, model, against)
        n, seed = len(reference.pictures), options.seed
        with self._bar(f"Drawing from {path.name}", n) as advance:
            fakes = draw(model, reference, n, seed, advance)
        began = time.perf_counter()
        likelihood = self._likelihood(model, reference, path)
        copied, memory = copying(reference, fakes.observed)
        asked, how = asked_scores(model, reference, fakes.observed, classes, options.captions)
        scores = [
            *generation_scores(reference, fakes.observed),
            *asked,
            *copied,
            *truth_scores(reference, fakes.observed),
            *latent_scores(model, reference.features, n, seed),
            *reconstruction_scores(model, reference),
            *likelihood.scores,
            price_score(fakes, device_name(model.device)),
        ]
        strengths = self._guided(model, reference, guidances, classes, path)
        seconds = {**fakes.seconds, "metrics": time.perf_counter() - began}
        notes = (*reference.notes, *_steps(model), *how, *likelihood.notes)
        evaluation = self._evaluation(
            path.resolve().name, reference.protocol(n, seed, fakes.draws), notes, scores, seconds,
            model.device,
        ).model_copy(update={"likelihood": likelihood.protocol, "guided": strengths})  # fmt: skip
        speed = n / max(fakes.sampling_seconds, 1e-9)
        return Entry(
            name=evaluation.subject,
            evaluation=self._of_run(evaluation, folder, model, speed),
            history=History.read(folder.log) if folder.log.exists() else None,
            samples=samples_sheet(model, reference, seed),
            reconstructions=reconstructions_sheet(model, reference),
            pairs=None if memory is None else pairs_sheet(model, reference, memory, seed),
        )

    def _opened(
        self, folder: RunFolder, model: LatentModel, against: str | None
    ) -> tuple[Reference, tuple[str, ...]]:
        """The real pictures, and the classes that a classifier of the run's data knows."""
        options, config = self.options, folder.read()
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
                f"{data.source} has examples of shape {real.shape}, but the run {folder.path} "
                f"makes {model.shape}: one of the two holds pictures, the other points in a plane."
            )
        split: Split = "test" if against is None else "all"
        return self._reference(real, data, features, split), own.classes

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
        price = make_score("translating_seconds", Estimate(translating / max(n, 1)), None)
        scores.append(price)
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

    def _guided(
        self, model: LatentModel, reference: Reference, samplings: Sequence[Sampling],
        classes: tuple[str, ...], path: Path,
    ) -> tuple[Guided, ...]:  # fmt: skip
        """What every strength of guidance does."""
        n = min(MOST, len(reference.pictures))
        found: list[Guided] = []
        for sampling in samplings:
            label = f"Drawing from {path.name} with guidance {sampling.guidance:g}"
            with self._bar(label, n) as advance:
                found.append(
                    guided(
                        model, reference, sampling, classes, self.options.captions,
                        self.options.seed, advance,
                    )
                )  # fmt: skip
        return tuple(found)

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


def _steps(model: LatentModel) -> tuple[str, ...]:
    """How a model that draws in steps does it."""
    sampling = sampling_of(model)
    if sampling is None:
        return ()
    guidance = f", guidance {sampling.guidance:g}" if is_guided(model) else ""
    return (f"Drawn with the sampler {sampling.sampler} in {sampling.steps} steps{guidance}.",)
