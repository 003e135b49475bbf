"""Whether pictures show what was asked for: that the shares mean what they say."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas import measuring
from ganvas.data.builtin.avatars import ATTRIBUTES, captions, draw_attributes, render
from ganvas.data.config import DataConfig
from ganvas.data.pack import Pack, open_pack
from ganvas.errors import ConfigError, DataError
from ganvas.evaluation import evaluate
from ganvas.evaluation.asked import asked_scores
from ganvas.evaluation.drawing import draw, price_score
from ganvas.evaluation.features.classifier import train_or_load_classifier
from ganvas.evaluation.guidance import by_guidance, check_guidances, guidance_charts, guided
from ganvas.evaluation.prompting import caption_scores, class_scores, faces_of, named
from ganvas.evaluation.protocol import Evaluation, Score
from ganvas.evaluation.table import guidance_table
from ganvas.models.base import Diffuses, LatentModel, Reads, normal_latents
from ganvas.models.diffusion_config import LatentDiffusionConfig, Sampling
from ganvas.models.phase import Phase
from tests.evaluation.comparing import evaluation
from tests.tiny import tiny, train_quietly

CPU = torch.device("cpu")
N = 300
TRUTH = draw_attributes(range(N))
RIGHT = {name: torch.from_numpy(values) for name, values in TRUTH.items()}
BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}


def no_count(count: int) -> None:
    pass


def value(scores: Sequence[Score], name: str) -> float:
    (score,) = (score for score in scores if score.name == name)
    assert score.value is not None
    return score.value


def code(name: str, word: str) -> int:
    return BY_NAME[name].values.index(word)


def test_an_attribute_counts_where_its_caption_names_it() -> None:
    asked = named(TRUTH)
    words = {
        "glasses": ("glasses",),
        "beard": ("beard", "goatee", "moustache"),
        "hat": ("cap", "beanie"),
        "hat_colour": ("cap", "beanie"),
        "earrings": ("earrings", "studs"),
        "hair_colour": ("hair", "bob"),
    }
    for i, caption in enumerate(captions(TRUTH)):
        for name, any_of in words.items():
            assert asked[name][i] == any(word in caption for word in any_of), (name, caption)
    for name in ("expression", "hair_style", "shirt_colour", "background"):
        assert asked[name].all()
    assert not {"skin", "eye_colour", "tilt"} & set(asked)


def test_everything_as_asked_scores_one() -> None:
    scores = caption_scores(TRUTH, RIGHT, RIGHT)
    assert len(scores) == 12
    assert {score.value for score in scores} == {score.floor for score in scores} == {1.0}
    assert all(score.interval is not None and score.interval[0] < 1 for score in scores)
    assert {score.group for score in scores} == {"asked"}
    assert not any("OVER" in score.about for score in scores)
    wearing = int((RIGHT["glasses"] != code("glasses", "none")).sum())
    glasses = next(score for score in scores if score.name == "asked_glasses")
    assert f"over {wearing:,} of {N:,} captions" in glasses.about


def test_drawing_none_of_it_or_the_same_on_everybody_does_not_pay() -> None:
    nobody = RIGHT | {"glasses": torch.full((N,), code("glasses", "none"))}
    scores = caption_scores(TRUTH, nobody, RIGHT)
    assert value(scores, "asked_glasses") == 0
    assert value(scores, "asked_nothing_else") == 1
    wearing = (RIGHT["glasses"] != code("glasses", "none")).double().mean().item()
    assert value(scores, "asked_all") == pytest.approx(1 - wearing)
    everybody = RIGHT | {"glasses": torch.full((N,), code("glasses", "round"))}
    scores = caption_scores(TRUTH, everybody, RIGHT)
    assert value(scores, "asked_nothing_else") == pytest.approx(wearing)
    assert 0 < value(scores, "asked_glasses") < 1


def test_what_no_caption_names_cannot_be_wrong() -> None:
    told = {name: torch.zeros_like(RIGHT[name]) for name in ("skin", "eye_colour")}
    bald = RIGHT["hair_style"] == code("hair_style", "bald")
    hatless = RIGHT["hat"] == code("hat", "none")
    told["hair_colour"] = torch.where(bald, 99, RIGHT["hair_colour"])
    told["hat_colour"] = torch.where(hatless, 99, RIGHT["hat_colour"])
    scores = caption_scores(TRUTH, RIGHT | told, RIGHT)
    assert {score.value for score in scores} == {1.0}


def test_the_floor_is_what_is_read_off_real_pictures() -> None:
    misread = RIGHT | {"hat": torch.zeros_like(RIGHT["hat"])}
    scores = caption_scores(TRUTH, RIGHT, misread)
    hat = next(score for score in scores if score.name == "asked_hat")
    assert (hat.value, hat.floor) == (1, 0)


def test_an_attribute_that_no_caption_names_has_no_score() -> None:
    faces = np.flatnonzero(TRUTH["hat"] == code("hat", "none"))[:20]
    few = {name: values[faces] for name, values in TRUTH.items()}
    told = {name: torch.from_numpy(values) for name, values in few.items()}
    names = {score.name for score in caption_scores(few, told, told)}
    assert not {"asked_hat", "asked_hat_colour"} & names
    assert "asked_glasses" in names


def test_classes_as_asked() -> None:
    asked = torch.tensor([0, 0, 1, 1, 1, 1])
    told = torch.tensor([0, 1, 1, 1, 1, 1])
    scores = class_scores(asked, told, asked, asked, ("cat", "dog"))
    assert value(scores, "asked_class") == pytest.approx(5 / 6)
    assert value(scores, "asked_class_worst") == 0.5
    assert scores[1].label == "Class as asked, worst (cat)"
    assert [score.floor for score in scores] == [1, 1]


def test_the_truth_is_known_of_avatars_only() -> None:
    rows = np.array([7, 3])
    found = faces_of(DataConfig(source="avatars:hat"), rows)
    assert found is not None
    assert found["skin"].tolist() == TRUTH["skin"][rows].tolist()
    assert faces_of(DataConfig(source="digits"), rows) is None


class Oracle(LatentModel):
    """Draws the very face of a caption; with little guidance, more often somebody else's."""

    averaged = ()

    def __init__(self, said: Sequence[str], first: int) -> None:
        super().__init__((3, 16, 16))
        self.config = LatentDiffusionConfig(condition="text")
        self.latent_size = 2
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self._said = {caption: first + i for i, caption in enumerate(said)}
        self._guidance = self.config.sampling.guidance

    def tokenise(self, captions: Sequence[str], *, lenient: bool = False) -> Tensor:
        return torch.tensor([[self._said[caption]] for caption in captions])

    def sample_latents(self, n: int, seed: int) -> Tensor:
        return normal_latents(n, self.latent_size, seed, CPU)

    @contextlib.contextmanager
    def drawing(
        self, sampling: Sampling | None, advance: Callable[[int], None] | None
    ) -> Iterator[None]:
        before, self._guidance = self._guidance, (sampling or self.config.sampling).guidance
        yield
        self._guidance = before

    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        follows = latents[:, 0] < self._guidance - 3
        faces = torch.where(follows, labels[:, 0], labels[:, 0] + 10_000).numpy()
        pictures = torch.from_numpy(render(draw_attributes(faces), (16, 16)))
        return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1

    def phases(self) -> tuple[Phase, ...]:
        return ()

    def preview(
        self, images: Tensor, labels: Tensor | None, seed: int, targets: Tensor | None = None
    ) -> Tensor:
        return images


@pytest.fixture(scope="module")
def faces() -> tuple[Pack, DataConfig]:
    config = DataConfig(source="avatars", resolution=(16, 16), images=300)
    return open_pack(config, progress=False), config


@pytest.fixture(scope="module")
def reference(faces: tuple[Pack, DataConfig]) -> evaluate.Reference:
    features = train_or_load_classifier(*faces, CPU, progress=False)
    return evaluate.make_reference(*faces, features, "test", 60, no_count)


@pytest.fixture
def oracle(reference: evaluate.Reference, faces: tuple[Pack, DataConfig]) -> Oracle:
    said = reference.pictures.captions
    assert said is not None
    attributes = reference.pictures.attributes
    assert attributes is not None
    assert captions(attributes) == list(said)
    first = next(
        i for i in range(300, 3_000) if captions(draw_attributes(range(i, i + 1)))[0] == said[0]
    )
    model = Oracle(said, first)
    assert isinstance(model, Reads)
    assert isinstance(model, Diffuses)
    return model


def test_pictures_are_drawn_for_the_captions_of_the_real_ones_in_turn(
    reference: evaluate.Reference, oracle: Oracle
) -> None:
    with oracle.drawing(Sampling(guidance=99), None):
        fakes = draw(oracle, reference, 60, 0, no_count)
    assert "captions of the real pictures" in fakes.draws
    torch.testing.assert_close(fakes.observed.features, reference.real.features)
    scores, (note,) = asked_scores(oracle, reference, fakes.observed, (), 40)
    assert "40" in note
    assert len(scores) > 5
    assert all(score.value == score.floor for score in scores)
    price = price_score(fakes, "cpu (1 thread)")
    assert price.value is not None
    assert price.value > 0
    assert price.about.endswith("On cpu (1 thread).")
    asked = reference.labels_for(oracle, 61)
    assert asked is not None
    assert asked[60] == oracle.tokenise(reference.pictures.captions or ())[0]


def test_guidance_is_measured_from_weak_to_strong(
    reference: evaluate.Reference, oracle: Oracle
) -> None:
    strengths = check_guidances(oracle, (8, 1, 8))
    assert [sampling.guidance for sampling in strengths] == [1, 8]
    found = tuple(
        guided(oracle, reference, sampling, (), 60, 0, no_count) for sampling in strengths
    )
    shares = [value(each.scores, "asked_background") for each in found]
    assert shares[0] < shares[1]
    distances = [value(each.scores, "frechet_distance") for each in found]
    assert distances[0] > distances[1]
    measured = evaluation("text").model_copy(update={"guided": found})
    assert list(by_guidance(measured)) == ["guidance 1", "guidance 8"]
    text = guidance_table(measured)
    assert "Background as asked" in text
    assert "Coverage, k=5" in text
    charts = guidance_charts(measured)
    assert [chart.title for chart in charts][1:] == ["Fréchet distance", "Precision and coverage"]
    assert {"Glasses", "Hat"} <= {line.name for line in charts[0].lines}


def test_what_cannot_be_measured_says_so(reference: evaluate.Reference, oracle: Oracle) -> None:
    fakes = evaluate.Observed(reference.real.features)
    scores, (note,) = asked_scores(oracle, reference, fakes, (), 60)
    assert not scores
    assert "avatars" in note
    mute = replace(reference, pictures=replace(reference.pictures, captions=None))
    with pytest.raises(DataError, match="has none: give real pictures with captions"):
        mute.labels_for(oracle, 5)
    with pytest.raises(ConfigError, match="guidance"):
        check_guidances(oracle, (-1,))
    oracle.config = LatentDiffusionConfig()
    assert check_guidances(oracle, ()) == ()
    with pytest.raises(ConfigError, match="leave it out"):
        check_guidances(oracle, (1, 2))


@pytest.mark.slow
def test_a_run_that_reads_captions_is_measured_with_all_of_this(tmp_path: Path) -> None:
    run = train_quietly(tiny("latent-diffusion", "training.images=16"), tmp_path / "text")
    options = measuring.Options(n=24, captions=20, guidances=(2, 1), progress=False)
    found = measuring.evaluate_run(run, options, say=lambda line: None)
    names = {score.name for score in found.scores}
    assert {"asked_all", "asked_glasses", "sampling_seconds", "path_length"} <= names
    assert [each.guidance for each in found.guided] == [1, 2]
    assert any("captions of 20 of the real pictures" in note for note in found.notes)
    assert "The effect of guidance" in (run / "evaluation.html").read_text()
    assert Evaluation.model_validate_json((run / "evaluation.json").read_text()) == found
