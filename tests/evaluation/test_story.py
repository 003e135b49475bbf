from pathlib import Path

import pytest

from ganvas.evaluation.protocol import Evaluation
from ganvas.evaluation.story import CLAIMS, Bound, Order, chapters
from ganvas.models.diffusion_config import LatentDiffusionConfig
from ganvas.recipes.story import STORY
from tests.evaluation.comparing import PROTOCOL, evaluation, score

Interval = tuple[float, float]


def measured(
    first: Interval | None, second: Interval | None, draws: str = "prior"
) -> dict[str, Evaluation]:
    protocol = PROTOCOL.model_copy(update={"draws": draws})
    return {
        "a": evaluation("a", score("s", 0.5, first)),
        "b": evaluation("b", score("s", 0.7, second), protocol=protocol),
    }


@pytest.mark.parametrize(
    ("first", "second", "holds"),
    [
        ((0.4, 0.6), (0.65, 0.75), True),
        ((0.4, 0.66), (0.65, 0.75), None),
        (None, None, True),
        ((0.4, 0.7), None, None),
    ],
)
def test_an_order_holds_where_the_intervals_lie_apart(
    first: Interval | None, second: Interval | None, holds: bool | None
) -> None:
    scores = measured(first, second)
    assert Order("t", "s", "a", "below", "b").decide(scores).holds is holds
    assert Order("t", "s", "b", "above", "a").decide(scores).holds is holds
    wrong = None if holds is None else not holds
    assert Order("t", "s", "a", "above", "b").decide(scores).holds is wrong


def test_the_evidence_is_the_numbers() -> None:
    claim = Order("t", "s", "a", "below", "b").decide(measured((0.4, 0.6), None))
    assert claim.evidence == "S: a 0.500 (0.400–0.600), b 0.700."
    claim = Bound("t", "s", "a", "below", 0.8).decide(measured((0.4, 0.6), None))
    assert claim.evidence == "S: a 0.500 (0.400–0.600), claimed below 0.8."
    assert claim.holds


def test_a_bound_is_not_met_by_luck() -> None:
    scores = measured((0.4, 0.6), None)
    assert Bound("t", "s", "a", "above", 0.45).decide(scores).holds is None
    assert Bound("t", "s", "a", "above", 0.9).decide(scores).holds is False


def test_where_latents_come_from_may_differ_but_nothing_else() -> None:
    order = Order("t", "s", "a", "below", "b")
    assert order.decide(measured(None, None, draws="a guess")).holds is True
    unlike = measured(None, None)
    protocol = PROTOCOL.model_copy(update={"n_fake": 7})
    unlike["b"] = unlike["b"].model_copy(update={"protocol": protocol})
    claim = order.decide(unlike)
    assert (claim.holds, claim.evidence) == (None, "Measured unlike: n_fake differ.")


def test_what_was_not_measured_leaves_every_claim_open() -> None:
    for told in (chapters({}), chapters({part.name: evaluation("x") for part in STORY.parts})):
        claims = [claim for chapter in told for claim in chapter.claims]
        assert len(claims) > 10
        assert {claim.holds for claim in claims} == {None}
        assert all(claim.evidence.startswith("Not measured: ") for claim in claims)
    odd = {"a": evaluation("a", score("s", None))}
    assert Bound("t", "s", "a", "below", 1).decide(odd).holds is None


def test_every_model_of_the_story_has_claims_about_models_of_the_story() -> None:
    told = [part.name for part in STORY.parts]
    assert list(CLAIMS) == told
    assert len(set(told)) == len(told)
    for claims in CLAIMS.values():
        for claim in claims:
            names = {claim.name} if isinstance(claim, Bound) else {claim.first, claim.second}
            assert names <= set(told)


def test_a_claim_may_be_about_a_multiple() -> None:
    scores = measured((0.4, 0.6), (1.4, 1.6))
    assert Order("t", "s", "b", "above", "a", times=2).decide(scores).holds is True
    assert Order("t", "s", "b", "above", "a", times=2.5).decide(scores).holds is None
    assert Order("t", "s", "b", "above", "a", times=10).decide(scores).holds is False


def test_what_builds_on_an_earlier_run_finds_it(tmp_path: Path) -> None:
    names = [part.name for part in STORY.parts]
    building = [part for part in STORY.parts if part.first_stage is not None]
    assert building
    for part in building:
        assert part.first_stage in names[: names.index(part.name)]
        model = STORY.config(part, tmp_path).model
        assert isinstance(model, LatentDiffusionConfig)
        assert model.first_stage.run == str(tmp_path / str(part.first_stage))


def test_all_models_are_trained_alike(tmp_path: Path) -> None:
    configs = [STORY.config(part, tmp_path) for part in STORY.parts]
    shown = {p.name: c.training.images for p, c in zip(STORY.parts, configs, strict=True)}
    less = {part.name for part in STORY.parts if part.share < 1}
    assert {name for name, images in shown.items() if images != STORY.images} == less
    assert less == {"autoencoder-kl-tiny"}, "its chapter says that it has seen fewer pictures"
    assert len({config.data.model_dump_json() for config in configs}) == 1
    assert configs[0].data.resolution == (STORY.resolution, STORY.resolution)
    assert len({config.training.seed for config in configs}) == 1
