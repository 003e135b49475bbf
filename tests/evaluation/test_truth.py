"""Scores against the known truth, on samples of which the answer is known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES, draw_attributes
from ganvas.data.builtin.toys import MODES, sample_points
from ganvas.evaluation.protocol import Score
from ganvas.evaluation.truth import JOINT, avatar_scores, toy_scores

N = 5_000


def points(name: str, count: int = N, seed: int = 0) -> Tensor:
    return torch.from_numpy(sample_points(name, count, seed)[0])


def faces(count: int = N, seed: int = 1) -> dict[str, Tensor]:
    drawn = draw_attributes(range(count), seed)
    return {name: torch.from_numpy(values) for name, values in drawn.items()}


def by_name(scores: list[Score]) -> dict[str, Score]:
    assert all(score.group == "truth" for score in scores)
    named = {score.name: score for score in scores}
    assert len(named) == len(scores)
    return named


def value(score: Score) -> float:
    assert score.value is not None
    return score.value


@pytest.mark.parametrize(("source", "modes"), [("ring", 8), ("grid", 25)])
def test_true_points_score_as_the_floor(source: str, modes: int) -> None:
    scores = by_name(toy_scores(points(source, seed=1), points(source), source))
    assert scores["modes"].value == scores["modes"].floor == modes
    inside = 1 - math.exp(-4.5)  # of a round Gaussian within three standard deviations
    low, high = scores["high_quality"].interval or (0, 0)
    assert low < inside < high
    assert scores["high_quality"].floor == pytest.approx(inside, abs=0.01)
    expected = (modes - 1) / (2 * N)  # of the divergence of a sample of the uniform distribution
    assert 0 < value(scores["mode_divergence"]) < 3 * expected
    assert 0 < (scores["mode_divergence"].floor or 0) < 3 * expected


def test_half_of_the_modes_reads_half() -> None:
    drawn, mode = sample_points("ring", N)
    scores = by_name(toy_scores(torch.from_numpy(drawn[mode < 4]), points("ring", seed=1), "ring"))
    assert scores["modes"].value == 4
    assert value(scores["mode_divergence"]) == pytest.approx(math.log(2), abs=0.01)
    assert value(scores["high_quality"]) > 0.98


def test_points_between_the_modes_are_of_low_quality() -> None:
    centres = torch.from_numpy(MODES["ring"].centres)  # type: ignore[union-attr]
    between = (centres + centres.roll(1, 0)) / 2
    drawn = torch.cat([centres.repeat(3, 1), between])
    scores = by_name(toy_scores(drawn, points("ring"), "ring"))
    assert scores["high_quality"].value == 0.75
    assert scores["mode_divergence"].value == pytest.approx(0, abs=1e-12)
    alone = by_name(toy_scores(between, points("ring"), "ring"))
    assert (alone["high_quality"].value, alone["modes"].value) == (0, 0)
    assert alone["mode_divergence"].value is None


def test_three_standard_deviations_are_the_limit() -> None:
    modes = MODES["grid"]
    assert modes is not None
    start = torch.from_numpy(modes.centres[:1])
    steps = modes.std * torch.tensor([[2.99, 0], [3.01, 0], [0, -2.99], [0, -3.01]])
    scores = by_name(toy_scores(start + steps, points("grid"), "grid"))
    assert scores["high_quality"].value == 0.5
    assert scores["modes"].value == 1
    assert value(scores["mode_divergence"]) == pytest.approx(math.log(25))


def test_a_curve_has_no_modes() -> None:
    assert toy_scores(points("swiss-roll"), points("swiss-roll"), "swiss-roll") == []


def test_true_faces_score_as_the_floor() -> None:
    scores = by_name(avatar_scores(faces(seed=1), faces(seed=2)))
    assert scores["attribute_distance"].value == pytest.approx(0.01, abs=0.005)
    assert value(scores["attribute_distance_worst"]) < 0.03
    assert scores["attribute_spread"].value == pytest.approx(1, abs=0.01)
    for score in scores.values():
        assert score.floor is not None
        assert score.value == pytest.approx(score.floor, rel=0.05, abs=0.02)


def test_mode_coverage_is_the_mass_of_what_occurs() -> None:
    """All with one value of an attribute missing: the mass of the rest."""
    some = faces(50_000)
    keep = some["glasses"] != 0  # none, which 55% have
    few = {name: values[keep] for name, values in some.items()}
    scores = by_name(avatar_scores(few, faces(50_000, seed=2)))
    assert scores["mode_coverage"].value == pytest.approx(0.45, abs=0.01)
    assert scores["modes"].floor == pytest.approx(1440, rel=0.05)
    assert scores["modes"].value == pytest.approx(1440 * 3 / 4, rel=0.05)
    assert "1,440" in scores["mode_coverage"].about


def test_half_of_the_modes_of_faces_reads_half() -> None:
    half = {name: values.clone() for name, values in faces(50_000).items()}
    half["hair_style"] %= 3  # bald, short and bob, which half have: the others become them
    scores = by_name(avatar_scores(half, faces(50_000, seed=2)))
    assert scores["mode_coverage"].value == pytest.approx(0.5, abs=0.01)
    assert scores["modes"].value == pytest.approx(720, rel=0.05)


def test_one_face_covers_its_own_mode() -> None:
    same = {name: values[:1].repeat(N) for name, values in faces().items()}
    scores = by_name(avatar_scores(same, faces(seed=2)))
    truth = {attribute.name: attribute for attribute in ATTRIBUTES}
    mass = math.prod(truth[name].probabilities[int(same[name][0])] for name in JOINT)
    assert scores["mode_coverage"].value == pytest.approx(mass)
    assert scores["modes"].value == 1
    assert scores["attribute_spread"].value == pytest.approx(0, abs=1e-6)


def test_a_constant_attribute_is_named_with_its_distance() -> None:
    fake = {**faces(), "beard": torch.full((N,), 2)}  # goatee, which 12% have
    scores = by_name(avatar_scores(fake, faces(seed=2)))
    worst = scores["attribute_distance_worst"]
    assert worst.value == pytest.approx(0.88)
    assert worst.floor == pytest.approx(0.01, abs=0.01)
    assert "beard" in worst.label
    assert "beard" in worst.about
    assert scores["attribute_distance"].value == pytest.approx(0.88 / 12 + 0.01, abs=0.005)


def test_colours_of_what_is_hidden_do_not_count() -> None:
    """A classifier's guesses about the hats of the hatless say nothing about the model."""
    fake = faces()
    guessed = {**fake, "hat_colour": torch.where(fake["hat"] == 0, 0, fake["hat_colour"])}
    before, after = (by_name(avatar_scores(f, faces(seed=2))) for f in (fake, guessed))
    assert before["attribute_distance"] == after["attribute_distance"]
    hatless = {**fake, "hat": torch.zeros(N, dtype=torch.int64)}
    scores = by_name(avatar_scores(hatless, faces(seed=2)))
    assert scores["attribute_distance_worst"].value == pytest.approx(0.4)
    assert "hat" in scores["attribute_distance_worst"].label
    assert scores["attribute_distance"].value is not None


def test_a_narrow_attribute_is_named_with_its_ratio() -> None:
    fake = faces()
    fake["tilt"] = fake["tilt"] * 0.25
    scores = by_name(avatar_scores(fake, faces(seed=2)))
    assert scores["attribute_spread_worst"].value == pytest.approx(0.25, abs=0.01)
    assert scores["attribute_spread_worst"].floor == pytest.approx(1, abs=0.02)
    assert "tilt" in scores["attribute_spread_worst"].label
    assert scores["attribute_spread"].value == pytest.approx(1 - 0.75 / 7, abs=0.01)


def test_both_sides_are_cut_to_the_same_number() -> None:
    """Few faces cover few modes, so the floor must be of as few."""
    few, many = faces(300, seed=1), faces(seed=2)
    first = {name: values[:300] for name, values in many.items()}
    for fake, real in ((few, many), (many, few)):
        scores = by_name(avatar_scores(fake, real))
        assert scores["modes"].value is not None
        assert scores["modes"].value < 300
        assert "300 drawn faces" in scores["modes"].about
    assert avatar_scores(few, many) == avatar_scores(few, first)
    assert np.isclose(value(by_name(avatar_scores(few, many))["mode_coverage"]), 0.4, atol=0.15)
