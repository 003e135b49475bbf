"""Which models have their equivariance measured, and in which state."""

import pytest
import torch

from ganvas.evaluation.definitions import make_score
from ganvas.evaluation.equivariance import drawing, equivariance
from ganvas.evaluation.estimate import Estimate
from ganvas.evaluation.latent_space import equivariance_scores
from ganvas.models import build_model
from ganvas.models.base import LatentModel
from ganvas.models.stylegan import StyleGan
from tests.tiny import tiny

NAMES = ["equivariance_translation", "equivariance_fractional", "equivariance_rotation"]


def made(recipe: str, *settings: str, shape: tuple[int, ...] = (3, 32, 32)) -> LatentModel:
    torch.manual_seed(0)
    model = build_model(tiny(recipe, *settings).model, shape, ("cat", "dog"))
    assert isinstance(model, LatentModel)
    return model.eval()


def test_of_the_pictures_of_the_seeds() -> None:
    model = made("stylegan2-tiny", "model.conditional=true")
    assert isinstance(model, StyleGan)
    scores = equivariance_scores(model, 3, 5)
    assert [score.name for score in scores] == NAMES
    w = model.map(model.sample_latents(3, 5), torch.tensor([0, 1, 0]))
    styles = w[:, None].expand(-1, model.layers, -1)
    found = equivariance(drawing(model.generator.synthesis), styles, 5)
    values = [found.translation.value, found.fractional.value, found.rotation.value]
    assert [score.value for score in scores] == pytest.approx(values)


def test_stylegan3_moves_its_pictures() -> None:
    new, old = made("stylegan3-tiny"), made("stylegan2-tiny")
    (better, *_), (worse, *_) = (equivariance_scores(model, 3, 0) for model in (new, old))
    assert better.value is not None
    assert worse.value is not None
    assert better.value > worse.value + 20


@pytest.mark.parametrize("shape", [(3, 32, 48), (3, 28, 28), (1, 16, 16)])
def test_small_and_oblong_pictures_are_left_out(shape: tuple[int, ...]) -> None:
    assert equivariance_scores(made("stylegan2-tiny", shape=shape), 3, 0) == []


def test_other_models_are_left_out() -> None:
    assert equivariance_scores(made("gan"), 3, 0) == []


def test_a_model_that_still_grows_is_left_out() -> None:
    model = made("stylegan", "model.growing=0.5")
    assert isinstance(model, StyleGan)
    assert equivariance_scores(model, 3, 0) == []
    model.level.fill_(model.layers // 2 - 1)
    assert [score.name for score in equivariance_scores(model, 3, 0)] == NAMES


def test_an_interval_without_an_end_is_left_out() -> None:
    score = make_score(NAMES[2], Estimate(30.0, (26.0, float("inf"))), None)
    assert (score.value, score.interval) == (30.0, None)
    score = make_score(NAMES[2], Estimate(30.0, (26.0, 34.0)), None)
    assert score.interval == (26.0, 34.0)
