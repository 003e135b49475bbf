"""Measuring translations, on models of which the scores are known."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ganvas import measuring
from ganvas.data.builtin.avatars import render
from ganvas.data.config import DataConfig
from ganvas.data.held_out import held_out_pairs
from ganvas.data.loader import to_model_range
from ganvas.data.pack import Pack, open_pack
from ganvas.errors import ConfigError, DataError
from ganvas.evaluation import translation_truth
from ganvas.evaluation.compare import comparison_table, ranking_groups
from ganvas.evaluation.evaluate import as_tensor
from ganvas.evaluation.features.random import RandomFeatures
from ganvas.evaluation.pairwise import l1, levels, mean_picture
from ganvas.evaluation.protocol import TRANSLATED, Evaluation, Score
from ganvas.evaluation.translating import choose_features, make_ground, measure, translation_sheet
from ganvas.evaluation.translation import real_sides
from ganvas.models.translation import Direction, TranslationModel
from ganvas.models.translation_config import Pix2PixConfig
from tests.tiny import tiny, train_quietly

CPU = torch.device("cpu")
VIEWS = DataConfig(
    source="avatars", domains=("segmentation", "image"), resolution=(16, 16), images=60
)
GLASSES = DataConfig(
    source="avatars:glasses", domains=("none", "round"), resolution=(16, 16), images=60
)
N = 40

Way = Callable[[Tensor, int], Tensor]
"""From pictures in [-1, 1] and the number of the first to pictures in [-1, 1]."""


def no_count(count: int) -> None:
    pass


class Known(TranslationModel):
    """Translates by functions."""

    averaged = ()
    directions: ClassVar[tuple[Direction, ...]] = ("AB",)

    def __init__(self, pack: Pack, **ways: Way) -> None:
        assert pack.target is not None
        super().__init__(Pix2PixConfig(), pack.shape, pack.target.shape)
        self.ways = ways
        self.weight = nn.Parameter(torch.zeros(1))

    @property
    def multiple(self) -> int:
        return 1

    @property
    def context(self) -> int:
        return 0

    def generator_of(self, direction: Direction) -> nn.Module:
        return self

    def phases(self) -> tuple[()]:
        return ()

    def _generate(self, images: Tensor, direction: Direction, uniform: object) -> Tensor:
        raise NotImplementedError

    def translate(
        self, images: Tensor, direction: Direction = "AB", seed: int = 0, batch: int = 1
    ) -> Tensor:
        return self.ways[direction](images, seed)

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        assert targets is not None
        return torch.stack([images, self.translate(images, "AB"), targets], 1).flatten(0, 1)


class KnownBothWays(Known):
    """The same, there and back."""

    directions = ("AB", "BA")


def same(images: Tensor, first: int) -> Tensor:
    return images


def answering(images: NDArray[np.generic]) -> Way:
    """Answers with these, one by one, whatever it is given."""
    answers = to_model_range(as_tensor(images))
    return lambda x, first: answers[first : first + len(x)]


@pytest.fixture(scope="module")
def views() -> Pack:
    return open_pack(VIEWS, progress=False)


@pytest.fixture(scope="module")
def glasses() -> Pack:
    return open_pack(GLASSES, progress=False)


@pytest.fixture
def few_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier that is trained in seconds."""
    monkeypatch.setattr(translation_truth, "FACES", 400)


def scores_of(
    pack: Pack, config: DataConfig, model: Known, features: str = "random", n: int = N
) -> dict[str, Score]:
    chosen, readers = choose_features(features, pack, config, model.directions, CPU, progress=False)
    ground = make_ground(pack, config, model.directions, chosen, readers, "test", n, no_count)
    found, _ = measure(model, ground, 0, no_count)
    named = {score.name: score for score in found}
    assert len(named) == len(found)
    return named


def value(score: Score) -> float:
    assert score.value is not None
    return score.value


def test_perfect_answers(views: Pack) -> None:
    targets = held_out_pairs(views, VIEWS, "test", N)[1]
    scores = scores_of(views, VIEWS, Known(views, AB=answering(targets.images)))
    expected = {
        "l1_ab": 0.0, "psnr_ab": 100.0, "ssim_ab": 1.0, "feature_distance_ab": 0.0,
        "sharpness_ab": 1.0, "frechet_distance_ab": 0.0,
    }  # fmt: skip
    assert scores.keys() == expected.keys()
    for name, number in expected.items():
        assert value(scores[name]) == pytest.approx(number, abs=1e-6)
        baseline = scores[name].baseline
        assert baseline is not None
        lower = scores[name].better == "lower"
        assert baseline > number + 0.01 if lower else baseline < number - 0.01
    floor = scores["frechet_distance_ab"].floor
    assert floor is not None
    assert floor > 0


def test_the_mean_picture_scores_the_baselines(views: Pack) -> None:
    assert views.target is not None
    mean = np.rint(views.target.images.mean(0, keepdims=True)).astype(np.uint8)
    model = Known(views, AB=answering(mean.repeat(N, 0)))
    scores = scores_of(views, VIEWS, model)
    for name in ("l1_ab", "psnr_ab", "ssim_ab", "feature_distance_ab", "sharpness_ab"):
        assert scores[name].value == pytest.approx(scores[name].baseline, rel=1e-5)


def test_leaving_pictures_as_they_are_scores_the_baseline_of_distributions(glasses: Pack) -> None:
    scores = scores_of(glasses, GLASSES, KnownBothWays(glasses, AB=same, BA=same))
    assert "l1_ab" not in scores  # no picture has a partner
    for name in ("frechet_distance_ab", "frechet_distance_ba"):
        assert scores[name].value == scores[name].baseline
    for name in ("cycle_l1_ab", "cycle_l1_ba"):
        assert scores[name].value == 0
        baseline = scores[name].baseline
        assert baseline is not None
        assert baseline > 0.05


def test_errors_are_what_they_are_called(views: Pack) -> None:
    """51 levels too bright everywhere is 0.2 of the range."""
    targets = np.minimum(held_out_pairs(views, VIEWS, "test", N)[1].images, 204)
    brighter = targets + np.uint8(51)
    assert l1(as_tensor(targets), as_tensor(brighter)).tolist() == pytest.approx([0.2] * N)


def test_what_comes_back_is_compared_with_the_input_of_that_way(glasses: Pack) -> None:
    """B to A returns black: there and back is black against the input, whichever the way."""
    model = KnownBothWays(glasses, AB=same, BA=lambda x, first: torch.full_like(x, -1.0))
    scores = scores_of(glasses, GLASSES, model)
    a, b = held_out_pairs(glasses, GLASSES, "test", N)
    for name, images in (("cycle_l1_ab", a.images), ("cycle_l1_ba", b.images)):
        assert scores[name].value == pytest.approx(images.mean() / 255, rel=1e-6)


def test_every_picture_has_its_own_seed(views: Pack) -> None:
    seen: list[int] = []

    def note(images: Tensor, first: int) -> Tensor:
        seen.extend(range(first, first + len(images)))
        return images

    scores_of(views, VIEWS, Known(views, AB=note), n=100)
    assert seen == list(range(100))


@pytest.mark.usefixtures("few_faces")
def test_perfect_answers_keep_what_the_classifier_can_see(views: Pack) -> None:
    targets = held_out_pairs(views, VIEWS, "test", N)[1]
    scores = scores_of(views, VIEWS, Known(views, AB=answering(targets.images)), "auto")
    kept = {name: score for name, score in scores.items() if name.startswith("kept")}
    assert len(kept) == 3 + 6
    for score in kept.values():
        assert score.value == score.floor
    black = scores_of(views, VIEWS, Known(views, AB=lambda x, first: -torch.ones_like(x)), "auto")
    assert value(black["kept_ab"]) < value(kept["kept_ab"])


@pytest.mark.usefixtures("few_faces")
def test_glasses_that_were_put_on(glasses: Pack) -> None:
    """An ideal answer, drawn from the truth, scores what is read off ideal ones; doing nothing
    changes fewer."""
    sides = real_sides(glasses, GLASSES, "test", N)
    truth = sides.a.attributes
    assert truth is not None
    wish = translation_truth.find_wish(GLASSES, "AB")
    assert wish is not None
    ideal = answering(render(wish.ideal(truth), (16, 16)))
    scores = scores_of(glasses, GLASSES, Known(glasses, AB=ideal), "auto")
    told = {name: score for name, score in scores.items() if score.group == "truth"}
    assert {"changed_ab", "kept_ab", "kept_worst_ab", "kept_all_ab", "kept_skin_ab"} <= told.keys()
    for score in told.values():
        assert score.value == pytest.approx(score.floor)
    unchanged = scores_of(glasses, GLASSES, Known(glasses, AB=same), "auto")
    assert value(unchanged["changed_ab"]) <= value(scores["changed_ab"])


def test_pictures_are_those_held_out_and_pairs_stay_pairs(tmp_path: Path) -> None:
    config, pack = stored_pairs(tmp_path, 60, held_out=24)
    sides = real_sides(pack, config, "test", 100)
    a, b = (side.pictures.images[side.pictures.rows] for side in (sides.a, sides.b))
    assert sides.split == "test"
    assert len(a) == 18  # a quarter of the 24 is for choosing the best
    assert np.array_equal(a[..., 0], 255 - b[..., 0])
    known = {p.tobytes() for p in sides.a.others.images[sides.a.others.rows]}
    assert len(known) == 36
    assert not known & {p.tobytes() for p in a}


def test_without_held_out_pictures_a_note_says_so(tmp_path: Path) -> None:
    config, pack = stored_pairs(tmp_path, 20, held_out=0)
    sides = real_sides(pack, config, "test", 12)
    assert sides.split == "train"
    assert "held out" in sides.notes[0]
    a, b = (side.pictures.images[side.pictures.rows] for side in (sides.a, sides.b))
    assert len(a) == 12
    assert np.array_equal(a[..., 0], 255 - b[..., 0])
    assert not {*sides.a.pictures.rows.tolist()} & {*sides.a.others.rows.tolist()}


def test_too_few_pictures(tmp_path: Path) -> None:
    config, pack = stored_pairs(tmp_path, 4, held_out=0)
    with pytest.raises(DataError, match="has 4 pictures in one of the domains"):
        real_sides(pack, config, "test", 12)


def stored_pairs(folder: Path, count: int, held_out: int) -> tuple[DataConfig, Pack]:
    """Pictures that are all different, and their negatives."""
    random = np.random.default_rng(0)
    for i in range(count):
        pixels = random.integers(0, 256, (16, 16, 3), np.uint8)
        for name, shown in (("a", pixels), ("b", 255 - pixels)):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(shown).save(folder / name / f"{i:03d}.png")
    config = DataConfig(
        source=str(folder / "a"), target=str(folder / "b"), resolution=(16, 16), held_out=held_out
    )
    return config, open_pack(config, progress=False, needs_pairs=True)


def test_deep_pictures_are_brought_to_8_bits_for_measures_alone() -> None:
    deep = torch.tensor([[[[0, 257], [32896, 65535]]]], dtype=torch.uint16)
    assert levels(deep).flatten().tolist() == [0, 1, 128, 255]
    assert mean_picture([deep, deep]).flatten().tolist() == [0, 1, 128, 255]
    shallow = torch.tensor([[[[7]]]], dtype=torch.uint8)
    assert levels(shallow) is shallow


@pytest.mark.usefixtures("few_faces")
def test_features_suit_what_comes_out(views: Pack, glasses: Pack) -> None:
    def chosen(
        name: str, pack: Pack, config: DataConfig, *ways: Direction
    ) -> tuple[str, list[str]]:
        features, readers = choose_features(name, pack, config, ways, CPU, progress=False)
        return features.name, list(readers)

    assert chosen("auto", views, VIEWS, "AB") == ("classifier", ["AB"])
    assert chosen("auto", views, VIEWS, "AB", "BA") == ("random", ["AB"])
    assert chosen("auto", glasses, GLASSES, "AB", "BA") == ("classifier", ["AB", "BA"])
    assert chosen("random", glasses, GLASSES, "AB", "BA") == ("random", [])
    digits = DataConfig(source="digits", domains=("1", "7"), resolution=(16, 16))
    pack = open_pack(digits, progress=False)
    assert chosen("auto", pack, digits, "AB", "BA") == ("random", [])
    with pytest.raises(ConfigError, match="do not suit translations of digits"):
        chosen("classifier", pack, digits, "AB")
    with pytest.raises(ConfigError, match="Did you mean 'random'"):
        chosen("randm", pack, digits, "AB")


def test_a_sheet_shows_what_training_shows(views: Pack) -> None:
    sides = real_sides(views, VIEWS, "test", 8)
    sheet = translation_sheet(Known(views, AB=same), sides, 0)
    assert sheet.mode == "RGB"
    width, height = sheet.size
    assert width > 16 * 3
    assert height > 16


def test_the_features_are_those_of_the_protocol(views: Pack) -> None:
    model = Known(views, AB=same)
    ground = make_ground(views, VIEWS, ("AB",), RandomFeatures(CPU), {}, "test", N, no_count)
    protocol = ground.protocol(model, 3)
    assert protocol.real == "avatars (segmentation and image)"
    assert (protocol.n_real, protocol.n_fake, protocol.seed) == (N, N, 3)
    assert protocol.real_fingerprint == views.fingerprint


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, recipe in (("pix2pix", "pix2pix"), ("other", "pix2pix"), ("cyclegan", "cyclegan")):
        seed = f"training.seed={len(name)}"
        train_quietly(tiny(recipe, "training.images=16", seed), folder / name)
    config, _ = stored_pairs(folder, 30, held_out=12)
    stored = (f"data.source={config.source}", f"data.target={config.target}", "data.held_out=12")
    settings = ("data.domains=null", "data.images=null", *stored, "training.images=16")
    train_quietly(tiny("pix2pix", *settings), folder / "stored")
    return folder


def silent(line: str) -> None:
    pass


QUIET = measuring.Options(features="random", n=24, progress=False)


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan", "stored"])
def test_a_run_is_measured_and_kept(runs: Path, name: str) -> None:
    found = measuring.evaluate_run(runs / name, QUIET, say=silent)
    names = {score.name for score in found.scores}
    assert {"frechet_distance_ab", "sharpness_ab"} <= names
    assert ("l1_ab" in names) == (name != "cyclegan")
    assert ("frechet_distance_ba" in names) == ("cycle_l1_ba" in names) == (name == "cyclegan")
    assert found.protocol.split == "test"
    assert found.protocol.draws == TRANSLATED
    assert found.images == 16
    assert found.sampling_speed is not None
    written = Evaluation.model_validate_json((runs / name / "evaluation.json").read_text())
    assert written == found
    assert (runs / name / "evaluation.html").stat().st_size > 10_000
    again = measuring.evaluate_run(runs / name, QUIET, say=silent)
    assert [s for s in again.scores if s.group != "price"] == [
        s for s in found.scores if s.group != "price"
    ]


@pytest.mark.usefixtures("few_faces")
def test_a_run_on_avatars_is_measured_against_the_truth(runs: Path) -> None:
    options = measuring.Options(n=24, progress=False)
    found = measuring.evaluate_run(runs / "cyclegan", options, say=silent)
    assert found.protocol.features == "classifier"
    assert [score.name for score in found.scores if score.name.startswith("changed")] == [
        "changed_ab",
        "changed_ba",
    ]


def test_runs_of_the_same_data_are_ranked(runs: Path) -> None:
    entries = measuring.compare([runs / "pix2pix", runs / "other"], QUIET, say=silent)
    (group,) = ranking_groups(entries)
    assert [entry.name for entry in group] == ["pix2pix", "other"]
    assert "L1 to the target, A to B ↓" in comparison_table(entries)


def test_other_pictures_are_given_as_the_first_were(runs: Path, tmp_path: Path) -> None:
    other, _ = stored_pairs(tmp_path, 20, held_out=0)
    found = measuring.evaluate_run(
        runs / "stored", QUIET, against=other.source, target=other.target, say=silent
    )
    assert found.protocol.split == "all"
    assert found.protocol.n_real == found.protocol.n_fake == 20
    with pytest.raises(ConfigError, match="needs --target"):
        measuring.evaluate_run(runs / "stored", QUIET, against=other.source, say=silent)
    with pytest.raises(ConfigError, match="takes no --target"):
        measuring.evaluate_run(
            runs / "pix2pix", QUIET, against="avatars", target=other.target, say=silent
        )
