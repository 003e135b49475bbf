"""Measuring runs: what is compared with what, and that each score means what it says."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas import measuring
from ganvas.api import load
from ganvas.data.config import DataConfig
from ganvas.data.held_out import held_out_examples
from ganvas.data.pack import Pack, open_pack
from ganvas.errors import ConfigError, GanvasError, RunError
from ganvas.evaluation import evaluate
from ganvas.evaluation.features.points import PointFeatures
from ganvas.evaluation.features.random import RandomFeatures
from ganvas.evaluation.path_length import path_length
from ganvas.evaluation.protocol import Evaluation
from ganvas.measuring import bench
from ganvas.models.base import LatentModel
from tests.data.making import fill_folder
from tests.tiny import tiny, train_quietly

CPU = torch.device("cpu")
QUIET = measuring.Options(features="random", n=40, progress=False)


def silent(line: str) -> None:
    pass


def no_count(count: int) -> None:
    pass


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("gan", "vae", "autoencoder"):
        train_quietly(tiny(name, "training.images=16"), folder / name)
    labelled = ("model.conditional=true", "training.images=16")
    train_quietly(tiny("gan", *labelled), folder / "labelled")
    points = ("data.source=ring", "data.resolution=null", "data.images=400")
    train_quietly(tiny("gan", *points, "training.images=16"), folder / "ring")
    return folder


@pytest.fixture(scope="module")
def faces() -> tuple[Pack, DataConfig]:
    config = DataConfig(source="avatars", resolution=(16, 16), images=300)
    return open_pack(config, progress=False), config


@pytest.mark.parametrize("name", ["gan", "vae", "autoencoder", "labelled"])
def test_a_run_is_measured_with_everything_it_can_do(runs: Path, name: str) -> None:
    found = measuring.evaluate_run(runs / name, QUIET, say=silent)
    names = {score.name for score in found.scores}
    assert {"frechet_distance", "kernel_distance", "coverage_k5", "sharpness"} <= names
    assert ("psnr" in names) == (name in ("vae", "autoencoder"))
    assert ("path_length" in names) == (name != "autoencoder")
    assert found.protocol.n_real == found.protocol.n_fake == 40
    assert found.protocol.split == "test"
    stand_in = "N(0, I), for want of a prior"
    assert found.protocol.draws == (stand_in if name == "autoencoder" else "prior")
    assert found.images == 16
    assert all(score.floor is not None for score in found.scores if score.group == "generation")
    written = Evaluation.model_validate_json((runs / name / "evaluation.json").read_text())
    assert written == found
    assert (runs / name / "evaluation.html").stat().st_size > 10_000
    assert (runs / name / "closest-pairs.png").exists()


def test_the_classifier_of_avatars_knows_the_truth_about_them(runs: Path) -> None:
    options = measuring.Options(n=40, progress=False)
    found = measuring.evaluate_run(runs / "gan", options, say=silent)
    assert found.protocol.features == "classifier"
    names = {score.name for score in found.scores}
    assert {"inception_score", "mode_coverage", "attribute_distance"} <= names


def test_measuring_again_gives_the_same(runs: Path) -> None:
    first, second = (measuring.evaluate_run(runs / "gan", QUIET, say=silent) for _ in range(2))
    assert [s for s in first.scores if s.group != "price"] == [
        s for s in second.scores if s.group != "price"
    ]
    assert not first.protocol.differences(second.protocol)


def test_runs_of_equal_names_are_told_apart(runs: Path, tmp_path: Path) -> None:
    twin = tmp_path / "gan"
    shutil.copytree(runs / "gan", twin)
    entries = measuring.compare([runs / "gan", twin], QUIET, say=silent)
    assert [entry.name for entry in entries] == [str(runs / "gan"), str(twin)]


def test_points_are_measured_against_their_modes(runs: Path) -> None:
    options = measuring.Options(n=200, progress=False)
    found = measuring.evaluate_run(runs / "ring", options, say=silent)
    assert found.protocol.features == "points"
    names = {score.name for score in found.scores}
    assert {"energy_distance", "modes"} <= names
    assert not {"sharpness", "kernel_distance", "path_length"} & names
    modes = found.score("modes")
    assert modes is not None
    assert modes.floor == 8


def test_real_pictures_score_like_the_floor(faces: tuple[Pack, DataConfig]) -> None:
    pack, config = faces
    features = RandomFeatures(CPU)
    reference = evaluate.make_reference(pack, config, features, "test", 200, no_count)
    other = held_out_examples(pack, config, "validation", 200)
    observed = evaluate.observe(iter([evaluate.as_tensor(other.images)]), features, no_count)
    scores = {s.name: s for s in evaluate.generation_scores(reference, observed)}
    for name in ("precision_k5", "coverage_k5", "sharpness"):
        value, floor = scores[name].value, scores[name].floor
        assert value is not None
        assert floor is not None
        assert value == pytest.approx(floor, abs=0.1)
    copied, found = evaluate.copying(reference, observed)
    assert found is not None
    assert copied[0].interval is not None
    assert copied[0].interval[0] < 0.5 < copied[0].interval[1]


def test_copies_of_training_pictures_are_found(faces: tuple[Pack, DataConfig]) -> None:
    pack, config = faces
    features = RandomFeatures(CPU)
    reference = evaluate.make_reference(pack, config, features, "test", 100, no_count)
    training = evaluate.as_tensor(pack.images[:100])
    observed = evaluate.observe(iter([training]), features, no_count)
    (closer, copies), found = evaluate.copying(reference, observed)
    assert closer.value == 1
    assert copies.value == 1
    assert found is not None
    fake, real, distance = found.pairs[0]
    assert reference.training_pictures.rows[real] == fake
    assert distance == pytest.approx(0, abs=1e-3)


def test_what_is_compared_was_not_trained_on(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "pictures", [f"{i:03d}.png" for i in range(60)])
    config = DataConfig(source=str(source), resolution=(16, 16), held_out=24)
    pack = open_pack(config, progress=False)
    real, others, notes = evaluate.real_pictures(pack, config, "test", 100)
    assert len(real) == 18  # a quarter of the 24 is for choosing the best
    assert not notes
    assert not {p.tobytes() for p in real.images[real.rows]} & {
        p.tobytes() for p in others.images[others.rows]
    }


def test_without_held_out_pictures_a_note_says_so(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "pictures", [f"{i:03d}.png" for i in range(40)])
    config = DataConfig(source=str(source), resolution=(16, 16), held_out=0)
    pack = open_pack(config, progress=False)
    features = RandomFeatures(CPU)
    reference = evaluate.make_reference(pack, config, features, "test", 20, no_count)
    assert reference.split == "train"
    assert "held out" in reference.notes[0]
    assert evaluate.copying(reference, reference.real) == ([], None)


def test_pictures_against_pictures(tmp_path: Path) -> None:
    names = [f"{i:03d}.png" for i in range(12)]
    fill_folder(tmp_path / "real", names)
    found = measuring.evaluate_pictures(
        str(tmp_path / "real"), str(tmp_path / "real"), QUIET, resolution=16, say=silent
    )
    assert found.protocol.split == "all"
    assert found.protocol.shape == (3, 16, 16)
    distance, precision = found.score("frechet_distance"), found.score("precision_k5")
    assert distance is not None
    assert distance.value == pytest.approx(0, abs=1e-6)
    assert precision is not None
    assert precision.value == 1


def test_labels_have_the_frequencies_of_the_real_pictures(runs: Path) -> None:
    model = load(runs / "labelled", device="cpu", say=silent)
    config = DataConfig(source="avatars", resolution=(16, 16), images=40)
    pack = open_pack(config, progress=False)
    reference = evaluate.make_reference(pack, config, RandomFeatures(CPU), "test", 50, no_count)
    labels = reference.labels_for(model, 50)
    expected = held_out_examples(pack, config, "test", 50).labels
    assert labels is not None
    assert expected is not None
    assert np.array_equal(labels.numpy(), expected)


class Line(LatentModel):
    """Draws the latent itself: a picture whose path length is known."""

    averaged = ()
    latent_size = 4

    def __init__(self, factor: float) -> None:
        super().__init__((1, 2, 2))
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def phases(self) -> tuple[()]:
        return ()

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        return images

    def sample_latents(self, n: int, seed: int) -> Tensor:
        directions = torch.eye(4).repeat(n, 1)[:n] * 1.0
        return directions.roll(seed + n, 1) if seed else directions

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return latents.view(-1, 1, 2, 2) * self.factor


class Flat(PointFeatures):
    """The pixels."""

    size = 4

    def compute(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return images.flatten(1), None


def test_path_length_of_a_known_map() -> None:
    """Latents of length 1 at right angles: the arc is pi/2, and a pixel is 127.5 a unit."""
    expected = (torch.pi / 2 * 127.5) ** 2
    for factor in (0.5, 1.0):
        found = path_length(Line(factor), Flat(CPU), 3, 0).value
        assert found == pytest.approx(expected * factor**2, rel=0.01)


def test_bad_requests(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few"):
        measuring.Options(n=3)
    for options, words in (
        (measuring.Options(features="inceptoin"), "Did you mean 'inception'"),
        (measuring.Options(features="points"), "do not suit"),
        (measuring.Options(features="random", weights=tmp_path), "take no weights"),
    ):
        with pytest.raises(ConfigError, match=words):
            measuring.evaluate_run(runs / "gan", options, say=silent)
    bets = measuring.Options(checkpoint="bets")
    with pytest.raises(RunError, match="no checkpoint 'bets'"):
        measuring.evaluate_run(runs / "gan", bets, say=silent)
    with pytest.raises(GanvasError, match="points of the plane"):
        measuring.evaluate_run(runs / "gan", QUIET, against="ring", say=silent)


def test_weights_that_have_diverged(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(runs / "gan", device="cpu", say=silent)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    monkeypatch.setattr(bench, "load", lambda *_, **__: model)
    with pytest.raises(RunError, match="not finite"):
        measuring.evaluate_run(runs / "gan", QUIET, say=silent)
