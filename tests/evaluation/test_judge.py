"""The score that training asks for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ganvas import api
from ganvas.data.held_out import held_out_pairs
from ganvas.data.loader import to_model_range
from ganvas.data.pack import open_pack
from ganvas.evaluation.evaluate import as_tensor
from ganvas.evaluation.judge import make_judge
from ganvas.models import build_model
from ganvas.training.prepare import complete
from ganvas.training.run_log import History
from tests.data.making import fill_folder
from tests.tiny import tiny, train_quietly


@pytest.mark.parametrize(
    ("recipe", "settings", "named"),
    [
        ("gan", (), "Fréchet distance"),
        ("vae", ("model.conditional=true",), "Fréchet distance"),
        ("autoencoder", (), "mean squared error"),
        ("autoencoder", ("model.conditional=true",), "mean squared error"),
        ("gan", ("data.source=ring", "data.resolution=null"), "energy distance"),
        ("pix2pix", (), "feature distance"),
        ("cyclegan", (), "Fréchet distance"),
    ],
)
def test_every_kind_of_model_is_judged_and_the_best_kept(
    recipe: str, settings: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    config = tiny(recipe, "training.score_every=48", *settings)
    run = train_quietly(config, tmp_path / "run")
    scores = History.read(run / "log.jsonl").scores
    assert [score.images for score in scores] == [48, 96]
    assert all(score.name.startswith(named) and score.value is not None for score in scores)
    load = api.load_translator if recipe in ("pix2pix", "cyclegan") else api.load
    assert load(run, checkpoint="best", device="cpu", say=lambda line: None)


def test_the_score_depends_on_the_weights_alone(tmp_path: Path) -> None:
    config = tiny("gan", "training.score_every=48")
    pack = open_pack(config.data, progress=False)
    model = build_model(config.model, pack.shape, pack.classes).eval()
    judge = make_judge(pack, complete(config, pack), model)
    assert judge is not None
    first = judge(model)
    torch.manual_seed(1)
    assert judge(model) == first
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    assert judge(model) != first


def test_pairs_are_judged_by_their_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets themselves are at a distance of 0, those of other pictures are not."""
    config = tiny("pix2pix", "training.score_every=48")
    pack = open_pack(config.data, progress=False)
    assert pack.target is not None
    model = build_model(config.model, pack.shape, (), pack.target.shape)
    judge = make_judge(pack, complete(config, pack), model)
    assert judge is not None
    assert judge.name == "feature distance, random features, 250 validation pairs"
    targets = held_out_pairs(pack, config.data, "validation", 250)[1].images
    for shift in (0, 1):
        answers = iter(to_model_range(as_tensor(np.roll(targets, shift, 0))).split(64))
        monkeypatch.setattr(model, "translate", lambda *_, answers=answers: next(answers))
        assert (judge(model) == 0) == (shift == 0)


def test_no_judge_without_pictures_to_judge_by(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "few", [f"{i}.png" for i in range(20)])
    config = tiny("gan", f"data.source={source}", "training.score_every=8")
    pack = open_pack(config.data, progress=False)
    model = build_model(config.model, pack.shape, pack.classes)
    assert make_judge(pack, complete(config, pack), model) is None
