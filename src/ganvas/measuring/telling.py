"""story: train the models of a story, measure them, and write its page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ganvas.api import resume, train
from ganvas.errors import RunError
from ganvas.evaluation.compare import write_comparison
from ganvas.evaluation.story import chapters
from ganvas.measuring.options import DEFAULTS, Options
from ganvas.measuring.verbs import compare
from ganvas.models.diffusion_parts import missing_packages
from ganvas.recipes.story import STORY, Story
from ganvas.training.announce import Say
from ganvas.training.config import RunConfig
from ganvas.training.run_folder import RunFolder


def story(
    out: str | Path = "story",
    options: Options = DEFAULTS,
    *,
    told: Story = STORY,
    say: Say = print,
) -> Path:
    """Train the models of a story on equal terms, measure them, and write its page.

    Args:
        out: A folder for the runs and story.html. Runs in it are gone on with and not repeated, so
            that a story that was stopped, or has become longer, can be told to its end.
        options: What to measure with.
        told: What is trained, and the texts.
        say: Gets what a user should know, one line at a time.

    Returns:
        The page.

    Raises:
        GanvasError: A training had to stop, or the folder holds other runs.
    """
    told = _that_can_be_told(told, say)
    runs = {part.name: Path(out) / part.name for part in told.parts}
    for part in told.parts:
        _train_once(told.config(part, Path(out)), runs[part.name], say)
    entries = compare(list(runs.values()), options, say=say)
    found = {entry.name: entry.evaluation for entry in entries}
    return write_comparison(
        entries,
        Path(out) / "story.html",
        title=told.title,
        introduction=told.introduction,
        chapters=chapters(found, told),
    )


def _that_can_be_told(told: Story, say: Say) -> Story:
    """Without the parts that need what is not installed, which should be known at once."""
    missing = " and ".join(missing_packages())
    if not missing:
        return told
    kept = tuple(part for part in told.parts if part.first_stage is None)
    if len(kept) < len(told.parts):
        say(
            f"The story ends before latent diffusion, which needs {missing}: to tell it to its "
            "end, pip install 'ganvas[diffusion]' and repeat this command."
        )
    return replace(told, parts=kept)


def _train_once(config: RunConfig, run: Path, say: Say) -> None:
    """Train, or go on with what was begun before."""
    folder = RunFolder(run)
    if not folder.config.is_file():
        train(config, out=run, say=say)
        return
    begun = folder.read()
    if begun.training.images != config.training.images or _own(begun) != _own(config):
        raise RunError(
            f"{run} holds a run with other settings than this story's. Choose another folder with "
            "--out, or remove that one."
        )
    resume(run, say=say)


def _own(config: RunConfig) -> dict[str, Any]:
    """The model's settings without its first stage, which is a run of the same story."""
    values = config.model.model_dump(mode="json")
    values.pop("first_stage", None)
    return values
