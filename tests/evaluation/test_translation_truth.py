"""Attributes of translated avatars, on answers of which the scores are known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.data.builtin.avatar_layers import PALETTE
from ganvas.data.builtin.avatars import ATTRIBUTES, View, draw_attributes, render
from ganvas.data.config import DataConfig
from ganvas.evaluation.features.known import visible
from ganvas.evaluation.protocol import Score
from ganvas.evaluation.translation_truth import Truth, Wish, attribute_scores, find_wish

N = 400
DISCRETE = {a.name: a for a in ATTRIBUTES if a.kind == "discrete"}
GLASSES = DataConfig(source="avatars:glasses", domains=("none", "round"))
VIEWS = DataConfig(source="avatars", domains=("segmentation", "image"))


def tensors(values: Truth) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in values.items()}


def without_glasses() -> Truth:
    return {**draw_attributes(range(N)), "glasses": np.zeros(N, np.int64)}


def wished(config: DataConfig) -> Wish:
    wish = find_wish(config, "AB")
    assert wish is not None
    return wish


def by_name(scores: list[Score]) -> dict[str, Score]:
    assert all(score.group == "truth" and score.better == "higher" for score in scores)
    assert all(score.name.endswith("_ab") and "A to B" in score.label for score in scores)
    return {score.name.removesuffix("_ab"): score for score in scores}


def measured(wish: Wish, truth: Truth, told: dict[str, Tensor]) -> dict[str, Score]:
    ideal = tensors(wish.ideal(truth))
    return by_name(attribute_scores("AB", wish, truth, told, ideal))


def test_an_ideal_translation_has_everything() -> None:
    wish, truth = wished(GLASSES), without_glasses()
    scores = measured(wish, truth, tensors(wish.ideal(truth)))
    assert {score.value for score in scores.values()} == {1.0}
    assert {score.floor for score in scores.values()} == {1.0}
    assert len(scores) == 1 + 3 + 11  # changed; kept, all and worst; each of the others
    assert "kept_glasses" not in scores


def test_leaving_faces_as_they_are_changes_nothing_and_keeps_all() -> None:
    wish, truth = wished(GLASSES), without_glasses()
    scores = measured(wish, truth, tensors(truth))
    assert scores["changed"].value == 0
    assert scores["changed"].floor == 1
    assert scores["kept"].value == scores["kept_all"].value == 1


def test_both_directions_of_a_change() -> None:
    back = find_wish(GLASSES, "BA")
    assert back is not None
    assert back.changed == ("glasses", "none")
    assert wished(GLASSES).changed == ("glasses", "round")


def test_what_is_lost_is_counted_where_it_shows() -> None:
    """Every hat is told to be green: wrong on those that wear one of another colour, no others."""
    wish, truth = wished(GLASSES), without_glasses()
    told = tensors(wish.ideal(truth))
    green = DISCRETE["hat_colour"].values.index("green")
    told["hat_colour"] = torch.full_like(told["hat_colour"], green)
    scores = measured(wish, truth, told)
    hats = truth["hat"] != DISCRETE["hat"].values.index("none")
    right = (truth["hat_colour"] == green)[hats].mean()
    assert scores["kept_hat_colour"].value == pytest.approx(right)
    assert scores["kept_worst"].value == scores["kept_hat_colour"].value
    assert "(hat colour)" in scores["kept_worst"].label
    assert scores["kept"].value == pytest.approx((10 + right) / 11)
    wrong = (hats & (truth["hat_colour"] != green)).mean()
    assert scores["kept_all"].value == pytest.approx(1 - wrong)


def test_the_mean_has_the_interval_of_its_spread() -> None:
    """Attributes are read rightly by chance; the mean of many draws has the stated spread."""
    wish, truth = Wish(("skin", "hat_colour"), None), draw_attributes(range(N))
    generator = torch.Generator().manual_seed(0)
    values, halves = [], []
    for _ in range(300):
        told = tensors(truth)
        for name in ("skin", "hat_colour"):
            wrong = torch.rand(N, generator=generator) < 0.3
            told[name] = torch.where(wrong, (told[name] + 1) % 3, told[name])
        score = measured(wish, truth, told)["kept"]
        assert score.value is not None
        assert score.interval is not None
        values.append(score.value)
        halves.append(score.interval[1] - score.value)
    spread = torch.tensor(values).std().item()
    assert np.mean(halves) == pytest.approx(1.96 * spread, rel=0.15)


def test_what_the_change_hides_is_not_asked_for() -> None:
    dark = DataConfig(source="avatars:glasses", domains=("none", "sunglasses"))
    scores = measured(wished(dark), without_glasses(), tensors(without_glasses()))
    assert "kept_eye_colour" not in scores


def test_the_hair_of_the_bald_cannot_change() -> None:
    wish = wished(DataConfig(source="avatars:hair_colour", domains=("black", "blonde")))
    truth = {**draw_attributes(range(N)), "hair_colour": np.zeros(N, np.int64)}
    told = tensors(wish.ideal(truth))
    bald = truth["hair_style"] == 0
    told["hair_colour"][torch.from_numpy(bald)] = 0
    assert measured(wish, truth, told)["changed"].value == 1


def test_plain_avatars_have_hair_styles_for_domains() -> None:
    wish = wished(DataConfig(source="avatars", domains=("short", "long")))
    assert wish.changed == ("hair_style", "long")


@pytest.mark.parametrize("view", ["segmentation", "lines"])
def test_an_input_shows_what_should_be_kept_of_it(view: View) -> None:
    """Another value of what is kept alters the input; another colour does not."""
    wish = wished(DataConfig(source="avatars", domains=(view, "image")))
    truth = draw_attributes(range(40))
    before = render(truth, (32, 32), view)
    for name, attribute in DISCRETE.items():
        other = {**truth, name: (truth[name] + 1) % len(attribute.values)}
        shown = visible(name, tensors(truth)).numpy()
        altered = (render(other, (32, 32), view) != before).any((1, 2, 3))[shown]
        assert altered.mean() > 0.8 if name in wish.kept else not altered.any()
    assert set(wish.kept) == set(DISCRETE) - set(PALETTE)


def test_what_cannot_be_read_off_is_not_wished_for() -> None:
    assert find_wish(VIEWS, "BA") is None  # a segmentation map: no picture of a face
    assert find_wish(DataConfig(source="digits", domains=("1", "7")), "AB") is None
    assert find_wish(DataConfig(source="avatars"), "AB") is None
