"""The score that training asks for."""

from pathlib import Path

import pytest
import torch

from ganvas import api
from ganvas.data.pack import open_pack
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
    assert api.load(run, checkpoint="best", device="cpu", say=lambda line: None)


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


def test_no_judge_without_pictures_to_judge_by(tmp_path: Path) -> None:
    source = fill_folder(tmp_path / "few", [f"{i}.png" for i in range(20)])
    config = tiny("gan", f"data.source={source}", "training.score_every=8")
    pack = open_pack(config.data, progress=False)
    model = build_model(config.model, pack.shape, pack.classes)
    assert make_judge(pack, complete(config, pack), model) is None
