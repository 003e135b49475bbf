"""Measure what a model draws against real pictures: one pass of features, then every score.

Real pictures that the model was not trained on ("test") are the reference. Training pictures give
the floor of every score, real against other real pictures at the same n, and show whether the model
copies. Pictures stream through in batches; only vectors and a few numbers of each are kept.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.config import DataConfig
from ganvas.data.held_out import held_out_captions, held_out_examples, training_rows
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack
from ganvas.errors import DataError
from ganvas.evaluation.classes import class_numbers
from ganvas.evaluation.definitions import make_score
from ganvas.evaluation.estimate import Estimate, mean
from ganvas.evaluation.features.base import Features
from ganvas.evaluation.features.classifier import ClassifierFeatures
from ganvas.evaluation.frechet import frechet_distance
from ganvas.evaluation.inception_score import inception_score
from ganvas.evaluation.kernel import energy_distance, kernel_distance
from ganvas.evaluation.manifold import manifold_scores
from ganvas.evaluation.memorisation import Memorisation, memorisation
from ganvas.evaluation.prompting import faces_of, words_for
from ganvas.evaluation.protocol import Protocol, Score, Split
from ganvas.evaluation.reconstruction import psnr, ssim
from ganvas.evaluation.sharpness import energy_ratio, high_frequency_energy
from ganvas.evaluation.truth import avatar_scores, toy_scores
from ganvas.models.base import Encodes, LatentModel
from ganvas.models.reading import reads_captions
from ganvas.pictures import to_uint8

BATCH = 64
MOST_TRAINING = 20_000
"""Training pictures that are looked through for copies, at most."""
_RECONSTRUCTED = 1_000
FEWEST = 6
"""Pictures on a side, at least: nearest neighbours are counted up to the fifth."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Real:
    """Some real pictures, read in batches from where they lie."""

    images: NDArray[np.generic]
    """As in a pack: uint8 (N, H, W, C), or float32 points (N, 2)."""
    rows: NDArray[np.int64]
    """Which of them, in this order."""
    labels: NDArray[np.int64] | None
    """Of `rows`."""
    captions: tuple[str, ...] | None = None
    """Of `rows`, where they are known."""
    attributes: Mapping[str, NDArray[Any]] | None = None
    """Of `rows`, where they are avatars: all of them, by name."""

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self) -> Iterator[Tensor]:
        """uint8 (B, C, H, W), or points (B, 2)."""
        for start in range(0, len(self.rows), BATCH):
            yield as_tensor(self.images[self.rows[start : start + BATCH]])


@dataclass(frozen=True)
class Observed:
    """What is kept of N pictures."""

    features: Tensor
    logits: Tensor | None = None
    energies: Tensor | None = None
    """High-frequency energy of each picture (N,); None for points."""
    attributes: dict[str, Tensor] = field(default_factory=dict)
    """Of avatars, as the classifier reads them off."""

    def first(self, n: int) -> "Observed":
        """The first n."""
        return Observed(
            self.features[:n],
            None if self.logits is None else self.logits[:n],
            None if self.energies is None else self.energies[:n],
            {name: values[:n] for name, values in self.attributes.items()},
        )


@dataclass(frozen=True)
class Reference:
    """The real side of an evaluation, observed once for any number of models."""

    features: Features
    source: str
    fingerprint: str
    shape: tuple[int, ...]
    split: Split
    pictures: Real
    classes: tuple[str, ...]
    """Of the real pictures, () for none."""
    real: Observed
    training_pictures: Real
    training: Observed
    """For copies and the floor; empty where no other real pictures were to be had."""
    notes: tuple[str, ...]

    def protocol(self, n: int, seed: int, draws: str) -> Protocol:
        """How n pictures from a seed on are compared with it."""
        return Protocol(
            features=self.features.name,
            features_hash=self.features.identity,
            preparation=self.features.preparation,
            real=self.source,
            real_fingerprint=self.fingerprint,
            split=self.split,
            shape=self.shape,
            n_real=len(self.pictures),
            n_fake=n,
            seed=seed,
            draws=draws,
        )

    def labels_for(self, model: LatentModel, n: int) -> Tensor | None:
        """What a conditional model is asked for: what the real pictures are, in their order.

        Returns:
            Classes (n,), or of a model that reads the words of captions (n, L); in these, words
            that it never read count as one unknown word.
        """
        if reads_captions(model):
            if self.pictures.captions is None:
                raise DataError(
                    f"This model draws what captions say, but {self.source} has none: give real "
                    "pictures with captions, as it was trained on."
                )
            in_turn = np.resize(np.array(self.pictures.captions, object), n).tolist()
            return words_for(model, in_turn)
        if not model.classes:
            return None
        if self.pictures.labels is None:
            raise DataError(
                f"This model was trained with classes, but {self.source} has none: give real "
                "pictures with the same classes."
            )
        numbers = class_numbers(self.classes, model.classes, self.source)
        return torch.from_numpy(numbers[np.resize(self.pictures.labels, n)]).to(model.device)


def as_tensor(images: NDArray[np.generic]) -> Tensor:
    """Pictures of a pack (B, H, W, C) as (B, C, H, W); points as they are."""
    tensor = torch.from_numpy(np.array(images))
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def real_pictures(
    pack: Pack, config: DataConfig, split: Split, n: int
) -> tuple[Real, Real, tuple[str, ...]]:
    """At most n pictures of a split, and other real ones for the floor and as training set.

    Where nothing is held out the training pictures have to serve, and a note says so.

    Raises:
        DataError: There are too few pictures to measure anything.
    """
    trained = training_rows(pack, config)
    training = shuffled(np.arange(len(pack)) if trained is None else trained)
    notes: list[str] = []
    if split == "test":
        examples = held_out_examples(pack, config, "test", n)
        if len(examples.indices) >= FEWEST:
            rows = np.arange(len(examples.indices))
            said = held_out_captions(pack, config, examples)
            faces = faces_of(config, examples.indices)
            chosen = Real(examples.images, rows, examples.labels, said, faces)
            return chosen, _of_pack(pack, training[:MOST_TRAINING]), ()
        notes.append(
            "No pictures were held out from training, so the scores compare with the training "
            "pictures and cannot tell copying from learning (data.held_out keeps some back)."
        )
    chosen, others = (
        _of_pack(pack, training[:n], config),
        _of_pack(pack, training[n:][:MOST_TRAINING]),
    )
    if len(chosen) < FEWEST:
        raise DataError(
            f"{config.source} has {len(chosen)} pictures to compare with; at least {FEWEST} are "
            "needed, and some thousand for scores that mean much."
        )
    return chosen, others, tuple(notes)


def make_reference(
    pack: Pack, config: DataConfig, features: Features, split: Split, n: int, advance: Advance
) -> Reference:
    """Observe the real pictures."""
    pictures, training, notes = real_pictures(pack, config, split, n)
    is_test = split == "test" and not notes
    return Reference(
        features,
        config.source,
        pack.fingerprint,
        pack.shape,
        "test" if is_test else "train" if split != "all" else "all",
        pictures,
        pack.classes,
        observe(pictures.batches(), features, advance),
        training,
        observe(training.batches(), features, advance, attributes=False)
        if len(training)
        else _nothing(features),
        notes,
    )


def observe(
    batches: Iterator[Tensor], features: Features, advance: Advance, *, attributes: bool = True
) -> Observed:
    """Look at every picture; where the features know attributes, read those off, too."""
    vectors: list[Tensor] = []
    logits: list[Tensor] = []
    energies: list[Tensor] = []
    read_off: list[dict[str, Tensor]] = []
    knows = attributes and isinstance(features, ClassifierFeatures) and features.knows_attributes
    for images in batches:
        extracted = features.extract(images, batch=BATCH)
        vectors.append(extracted.features)
        if extracted.logits is not None:
            logits.append(extracted.logits)
        if images.ndim == 4:
            energies.append(high_frequency_energy(images))
        if knows and isinstance(features, ClassifierFeatures):
            read_off.append(features.attributes(images))
        advance(len(images))
    return Observed(
        torch.cat(vectors),
        torch.cat(logits) if logits else None,
        torch.cat(energies) if energies else None,
        {name: torch.cat([some[name] for some in read_off]) for name in read_off[0]}
        if read_off
        else {},
    )


def generation_scores(reference: Reference, fakes: Observed) -> list[Score]:
    """Everything about the pictures drawn, each with its floor."""
    n = len(fakes.features)
    measured = _compare(reference.real, fakes)
    others = reference.training.first(n)
    floors = _compare(reference.real, others) if len(others.features) >= FEWEST else {}
    return [
        make_score(name, estimate, floors[name].value if name in floors else None)
        for name, estimate in measured.items()
    ]


def copying(reference: Reference, fakes: Observed) -> tuple[list[Score], Memorisation | None]:
    """Whether the pictures drawn are nearer to training pictures than unseen real ones are."""
    if reference.split != "test" or len(reference.training.features) < FEWEST:
        return [], None
    found = memorisation(reference.training.features, reference.real.features, fakes.features)
    scores = [
        make_score("memorisation_closer", found.closer, 0.5),
        make_score("memorisation_copies", found.copies, 0.01),
    ]
    return scores, found


def truth_scores(reference: Reference, fakes: Observed) -> list[Score]:
    """Scores against what is known of drawn data."""
    if len(reference.shape) == 1:
        return toy_scores(fakes.features, reference.real.features, reference.source)
    if fakes.attributes:
        return avatar_scores(fakes.attributes, reference.real.attributes)
    return []


@torch.no_grad()
def reconstruction_scores(model: LatentModel, reference: Reference) -> list[Score]:
    """How well real pictures survive encoding and decoding."""
    if len(model.shape) == 1 or not isinstance(model, Encodes):
        return []
    pictures = reference.pictures
    pictures = Real(pictures.images, pictures.rows[:_RECONSTRUCTED], pictures.labels)
    labels = reference.labels_for(model, len(pictures))
    features = reference.features
    signal, similarity, before, after, distances = [], [], [], [], []
    for index, images in enumerate(pictures.batches()):
        part = slice(index * BATCH, index * BATCH + len(images))
        chosen = None if labels is None else labels[part]
        latents = model.encode(to_model_range(images).to(model.device), chosen)
        decoded = as_tensor(to_uint8(model.decode(latents, chosen)))
        signal.append(psnr(images.float(), decoded.float()))
        similarity.append(ssim(images.float(), decoded.float()))
        before.append(high_frequency_energy(images))
        after.append(high_frequency_energy(decoded))
        there, back = (features.extract(part).features for part in (images, decoded))
        distances.append((there - back).norm(dim=1))
    detail = energy_ratio(torch.cat(before), torch.cat(after))
    return [
        make_score("psnr", mean(torch.cat(signal)), None),
        make_score("ssim", mean(torch.cat(similarity)), None),
        make_score("reconstruction_sharpness", detail, 1.0),
        make_score("reconstruction_distance", mean(torch.cat(distances)), None),
    ]


def _compare(real: Observed, fake: Observed) -> dict[str, Estimate]:
    """Every score of one set of pictures against another."""
    scores = {"frechet_distance": Estimate(frechet_distance(real.features, fake.features))}
    if real.energies is None or fake.energies is None:
        scores["energy_distance"] = energy_distance(real.features, fake.features)
    else:
        scores["kernel_distance"] = kernel_distance(real.features, fake.features)
    for k, found in manifold_scores(real.features, fake.features, ks=(3, 5)).items():
        scores[f"precision_k{k}"] = found.precision
        scores[f"recall_k{k}"] = found.recall
        if k == 5:
            scores["density_k5"] = found.density
            scores["coverage_k5"] = found.coverage
    if fake.logits is not None and len(fake.logits) >= 10:
        value, spread = inception_score(fake.logits)
        half = 1.96 * spread / 10**0.5
        scores["inception_score"] = Estimate(value, (value - half, value + half))
    if real.energies is not None and fake.energies is not None:
        scores["sharpness"] = energy_ratio(real.energies, fake.energies)
    return scores


def _of_pack(pack: Pack, rows: NDArray[np.int64], config: DataConfig | None = None) -> Real:
    """Rows of a pack, with a configuration also what is known of them."""
    labels = None if pack.labels is None else pack.labels[rows]
    if config is None:
        return Real(pack.images, rows, labels)
    faces = faces_of(config, rows)
    said = pack.captions
    of_rows = None if said is None else tuple(said[row] for row in rows.tolist())
    return Real(pack.images, rows, labels, of_rows, faces)


def shuffled(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Always the same order, so that the same pictures are compared with."""
    return np.random.default_rng(0).permutation(rows)


def _nothing(features: Features) -> Observed:
    return Observed(torch.empty(0, features.size))
