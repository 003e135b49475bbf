"""The commands that the README shows must exist with the arguments shown."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from ganvas.cli.main import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def shown_commands() -> list[str]:
    """Every line of a ```sh block that calls ganvas, without prompts and comments."""
    lines = []
    for document in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL):
            joined = block.replace("\\\n", " ")
            for line in re.split(r"\n|&&|\|", joined):
                words = shlex.split(line, comments=True)
                if words and words[0].rsplit("/", 1)[-1] == "ganvas":
                    lines.append(shlex.join(["ganvas", *words[1:]]))
    return sorted(set(lines))


@pytest.mark.parametrize("line", shown_commands())
def test_command_of_the_readme_exists_as_shown(line: str) -> None:
    command = get_command(app)
    context = None
    words = shlex.split(line)[1:]
    while hasattr(command, "commands") and words and words[0] in command.commands:
        name = words.pop(0)
        command = command.commands[name]
        context = command.make_context(name, list(words), parent=context, resilient_parsing=False) \
            if not hasattr(command, "commands") else None  # fmt: skip
    assert not hasattr(command, "commands") or words == ["--help"], f"no such verb: {line}"


def test_the_readme_shows_every_verb() -> None:
    command = get_command(app)
    assert hasattr(command, "commands")
    shown = {line.split()[1] for line in shown_commands() if len(line.split()) > 1}
    assert set(command.commands) <= shown


def test_first_two_blocks_are_the_set_up_commands() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENTS[0].read_text(), re.DOTALL)
    assert blocks[0].startswith("python3 -m venv .venv && ")
    assert blocks[0].strip().endswith(".venv/bin/ganvas train")
    assert "pytest" in blocks[1].rsplit("&&", 1)[1]
    assert all(len(block.strip().splitlines()) == 1 for block in blocks[:2])
