"""`ganvas.failures`: what is trained, how it is counted, what is claimed, and the page."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ganvas.errors import ConfigError, RunError
from ganvas.failures import verb
from ganvas.failures.cases import CASES, STACKED, Case, Recipe
from ganvas.failures.claims import Apart, Bound
from ganvas.failures.page import command, films
from ganvas.failures.results import Result
from ganvas.failures.running import Run, train_and_measure
from ganvas.failures.summary import HEADS, table, tell
from ganvas.models import build_model
from ganvas.training.config import override

EVERY = (*CASES, dataclasses.replace(STACKED, source="stacked:digits"))


def result(recipe: str = "bad", seed: int = 0, **values: object) -> Result:
    known = {
        "modes": 8, "total": 8, "samples": 2_500, "good": 0.95, "divergence": 0.01, "images": 64,
        "updates": 8, "seconds": 1.0, "at": (16, 32, 48, 64), "gradients": (8.0, 4.0, 2.0, 1.0),
    }  # fmt: skip
    return Result.model_validate(
        {"case": "case", "recipe": recipe, "seed": seed, **known, **values}
    )


# ------------------------------------------------------------------ the cases as data


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_every_recipe_is_a_configuration_that_can_be_built(case: Case) -> None:
    shape = (2,) if case.source in ("ring", "grid") else (3, 28, 28)
    for recipe in case.recipes:
        config = case.config(recipe, seed=3)
        assert config.training.seed == 3
        assert config.training.images == case.images
        assert config.data.source == case.source
        build_model(config.model, shape)


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_the_budget_is_equal(case: Case) -> None:
    """Within a case nothing but the model differs, and of it neither networks nor rates."""
    equal = [recipe for recipe in case.recipes if recipe.name != "minimax-slower"]
    first, *others = (case.config(recipe, 0).model_dump() for recipe in equal)
    for other in others:
        assert other["training"] == first["training"]
        assert other["data"] == first["data"]
        for field in ("networks", "width", "latent_size", "critic_steps"):
            assert other["model"][field] == first["model"][field], field
        for network in ("generator", "discriminator"):
            rate = other["model"][network]["learning_rate"]
            assert rate == first["model"][network]["learning_rate"]


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_other_betas_are_told(case: Case) -> None:
    usual = case.config(case.failing[0], 0).model_dump()["model"]["generator"]["betas"]
    for recipe in case.recipes:
        betas = case.config(recipe, 0).model_dump()["model"]["generator"]["betas"]
        told = "betas" in recipe.about or "momentum" in recipe.about
        assert told or betas == usual, recipe.name


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_claims_are_about_recipes_that_are_there(case: Case) -> None:
    names = {recipe.name for recipe in case.recipes}
    assert len(names) == len(case.recipes)
    for claim in case.claims:
        about = {claim.recipe} if isinstance(claim, Bound) else {claim.smaller, claim.larger}
        assert about <= names
    assert {recipe.name for recipe in case.failing} & {
        name for claim in case.claims
        for name in ([claim.recipe] if isinstance(claim, Bound) else [claim.smaller])
    }  # fmt: skip


def test_the_command_on_the_page_is_the_configuration() -> None:
    case = CASES[0]
    config = case.config(case.failing[0], 0).model_dump(mode="json")
    for setting in (*case.settings, *case.failing[0].settings):
        assert setting in command(case)
        assert override(config, [setting]).keys() == config.keys()


# ------------------------------------------------------------------ claims


def decided(claim: Bound | Apart, **by_recipe: list[Result]) -> bool | None:
    return claim.decide(by_recipe).holds


def modes(*values: int | None) -> list[Result]:
    return [result(seed=i, modes=value) for i, value in enumerate(values)]


def test_a_bound_in_every_seed() -> None:
    claim = Bound("", "a", "modes", "at least", 8)
    assert decided(claim, a=modes(8, 8, 8)) is True
    assert decided(claim, a=modes(8, 7, 8)) is False
    assert decided(claim, a=[]) is None
    assert decided(claim, b=modes(8)) is None


def test_a_bound_in_most_seeds() -> None:
    claim = Bound("", "a", "modes", "below", 8, "most")
    assert decided(claim, a=modes(7, 7, 8)) is True
    assert decided(claim, a=modes(7, 8)) is False  # a half is not most
    assert decided(claim, a=modes(7, None, 7)) is None


def test_the_evidence_shows_every_seed() -> None:
    evidence = Bound("", "a", "modes", "below", 8, "most").decide({"a": modes(3, 8, 5)}).evidence
    assert evidence == "Modes covered: 3, 8, 5; below 8 in 2 of 3 seeds."


def test_apart() -> None:
    claim = Apart("", "modes", "a", "b")
    assert decided(claim, a=modes(3, 4), b=modes(5, 8)) is True
    assert decided(claim, a=modes(3, 5), b=modes(5, 8)) is None
    assert decided(claim, a=modes(7, 8), b=modes(5, 6)) is False
    tenfold = Apart("", "modes", "a", "b", factor=10)
    assert decided(tenfold, a=modes(3), b=modes(31)) is True
    assert decided(tenfold, a=modes(3), b=modes(29)) is False


def test_the_gradient_is_that_of_the_second_half() -> None:
    assert result().value("gradient") == 1.5
    assert result(gradients=(None, None, None, 4.0)).value("gradient") == 4.0
    assert result(gradients=(1.0, 1.0, None, None)).value("gradient") is None


# ------------------------------------------------------------------ the summary

CASE = Case(
    name="case", title="A <title>", source="ring", failure="It fails.\n\nYes.", diagnosis="Seen.",
    fix="Mended.", budget="Equal.", images=64, begins_as="gan",
    settings=(
        "data.images=200", "model.width=8", "model.latent_size=2", "training.batch=16",
        "training.score_every=0", "training.device=cpu",
    ),
    failing=(Recipe("bad", "the bad one", "It is bad.", ("model.objective=minimax",)),),
    fixes=(Recipe("good", "the good one", "It is good.", ("model.objective=non-saturating",)),),
    claims=(Bound("It is bad.", "bad", "modes", "below", 9, "most"),),
)  # fmt: skip


def test_median_and_range_over_the_seeds() -> None:
    results = [result(seed=i, modes=m, good=m / 10) for i, m in enumerate((2, 8, 3))]
    told = tell(CASE, [*results, result(case="another")])
    (row,) = told.rows
    cells = dict(zip(HEADS, row.cells, strict=True))
    assert row.fails
    assert cells["Modes"] == "3 (2 to 8) of 8"
    assert cells["All covered"] == "1 of 3"
    assert cells["Good samples"] == "30.0% (20.0% to 80.0%)"
    assert cells["KL to uniform"] == "0.01"
    assert told.claims[0].holds is True
    assert "the bad one" in table([told])
    assert "holds: It is bad." in table([told])


def test_a_training_that_stopped_covers_nothing_and_is_named() -> None:
    stopped = result(modes=None, total=0, good=None, divergence=None, stopped="not finite")
    told = tell(CASE, [stopped, result(seed=1)])
    assert told.rows[0].cells[:2] == ("8 of 8", "1 of 2")
    assert told.claims[0].holds is None
    assert told.stopped == ("bad, seed 0: not finite",)
    assert tell(CASE, [stopped]).rows[0].cells[1] == "0 of 1"


def test_the_curve_is_the_median_over_the_seeds() -> None:
    results = [result(seed=i, gradients=(g, g, None, g)) for i, g in enumerate((1.0, 5.0, 100.0))]
    chart = tell(CASE, results).gradients
    assert chart is not None
    (line,) = chart.lines
    assert (line.name, line.last) == ("the bad one", "5")


# ------------------------------------------------------------------ running


def run_of(case: Case, folder: Path, seed: int = 0) -> Run:
    recipe = case.failing[0]
    return Run(case.name, recipe.name, seed, case.config(recipe, seed), folder / "run")


def test_a_run_is_trained_once_and_measured(tmp_path: Path) -> None:
    run = run_of(CASE, tmp_path)
    assert run.finished() is None
    found = train_and_measure(run)
    assert (found.images, found.updates, found.total, found.samples) == (64, 4, 8, 2_500)
    assert found.good is not None
    assert found.at[-1] == 64
    assert all(g is not None and g > 0 for g in found.gradients)
    assert run.finished() == found
    (tmp_path / "run" / "result.json").unlink()  # as a kill between training and measuring does
    assert train_and_measure(run) == found


def test_a_run_from_before_a_setting_came_is_still_that_run(tmp_path: Path) -> None:
    run = run_of(CASE, tmp_path)
    found = train_and_measure(run)
    asked = tmp_path / "run" / "asked.json"
    settings = json.loads(asked.read_text())
    del settings["data"]["background"]
    asked.write_text(json.dumps(settings))
    assert run.finished() == found
    asked.write_text("{")
    with pytest.raises(RunError, match="other settings"):
        run.finished()


def test_a_run_of_other_settings_is_refused(tmp_path: Path) -> None:
    run = run_of(CASE, tmp_path)
    train_and_measure(run)
    with pytest.raises(RunError, match="other settings"):
        run_of(CASE, tmp_path, seed=1).finished()


def test_a_damaged_result_is_measured_anew(tmp_path: Path) -> None:
    run = run_of(CASE, tmp_path)
    found = train_and_measure(run)
    (tmp_path / "run" / "result.json").write_text("{")
    assert run.finished() is None
    assert train_and_measure(run) == found


def test_a_training_that_diverges_is_a_result(tmp_path: Path) -> None:
    wild = Recipe("bad", "", "", ("model.generator.learning_rate=1.0e+30",))
    case = dataclasses.replace(CASE, failing=(wild,))
    found = train_and_measure(run_of(case, tmp_path))
    assert "not finite" in found.stopped
    assert found.modes is None


def test_bad_data_is_no_result(tmp_path: Path) -> None:
    case = dataclasses.replace(CASE, source="nowhere")
    with pytest.raises(Exception, match="nowhere"):
        train_and_measure(run_of(case, tmp_path))


@pytest.mark.slow
def test_all_of_it_in_small(tmp_path: Path) -> None:
    """Two processes train; the page tells it; a second time nothing is trained."""
    said: list[str] = []
    out = tmp_path / "out"
    page = verb.failures(out, seeds=2, images=32, cases=(CASE,), say=said.append)
    text = page.read_text()
    for words in ("A &lt;title&gt;", "the good one", "1 of 1 claims hold", "data:image/png",
                  "Norm of the generator", "--set model.width=8"):  # fmt: skip
        assert words in text
    assert page.stat().st_size < 2_000_000
    numbers = json.loads((out / verb.NUMBERS).read_text())
    assert [(r["recipe"], r["seed"], r["images"]) for r in numbers["results"]] == [
        ("bad", 0, 32), ("good", 0, 32), ("bad", 1, 32), ("good", 1, 32),
    ]  # fmt: skip
    assert len(films(CASE, out / verb.RUNS)[0].frames) == 3
    states = {p: p.stat().st_mtime_ns for p in out.rglob("state.pt")}
    assert len(states) == 4
    verb.failures(out, seeds=2, images=32, cases=(CASE,), say=said.append)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("state.pt")} == states
    with pytest.raises(RunError, match="other settings"):
        verb.failures(out, seeds=1, images=48, cases=(CASE,), say=said.append)


# ------------------------------------------------------------------ what is refused


def test_an_unknown_failure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'collapse-ring'"):
        verb.failures(tmp_path / "out", only=["colapse-ring"])
    assert not (tmp_path / "out").exists()


def test_stacked_digits_need_digits(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--mnist"):
        verb.failures(tmp_path / "out", only=["stacked-mnist"])


@pytest.mark.parametrize("source", ["ring", "avatars", "nowhere.parquet"])
def test_what_is_no_digits(tmp_path: Path, source: str) -> None:
    with pytest.raises(Exception, match=r"drawn by ganvas itself|no data source"):
        verb.failures(tmp_path / "out", only=["stacked-mnist"], mnist=source)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match=r"thesis\.tex"):
        verb.failures(tmp_path)
    with pytest.raises(RunError, match="is a file"):
        verb.failures(tmp_path / "thesis.tex")


@pytest.mark.slow
def test_no_training_goes_on_when_the_command_is_killed() -> None:
    """Its processes hold its output open until the last of them ends."""
    code = (
        "import multiprocessing, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from ganvas.failures.running import _prepare_worker\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    with ProcessPoolExecutor(2, context, _prepare_worker, (True,)) as pool:\n"
        "        futures = [pool.submit(abs, -1), pool.submit(time.sleep, 300)]\n"
        "        futures[0].result()\n"
        "        print('working', flush=True)\n"
        "        futures[1].result()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.kill()
        assert process.communicate(timeout=60)[0] == ""
