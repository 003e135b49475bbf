"""The rules of the house: who may import whom, what importing costs, who may train."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = SOURCE / "ganvas"

FOUNDATIONS = {"_version", "errors", "files", "pictures", "progress", "settings"}
"""Modules that every room may use and that use no room."""

ROOMS = [
    *("data", "networks", "losses", "models", "training", "recipes", "evaluation", "doctor"),
    *("latent", "translation", "interop", "studio", "api", "measuring", "failures", "cli"),
]
"""A room may import only from rooms above it, that is, before it in this list."""

HEAVY = {"torch", "matplotlib", "pyarrow", "datasets", "sklearn", "pydantic", "numpy", "PIL"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    """The name of a module by its file."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every import in a file with the full name of what it imports."""
    package = dotted(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield from ((node, f"{module}.{alias.name}") for alias in node.names)


def room(name: str) -> str:
    """The room, or the foundation, that a name within ganvas belongs to; "" for the front door."""
    parts = name.split(".")
    known = {path.stem if path.suffix else path.name for path in PACKAGE.iterdir()}
    return parts[1] if len(parts) > 1 and parts[1] in known else ""


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_rooms_import_only_what_is_above_them(path: Path) -> None:
    here = room(dotted(path))
    if here in {"", "__main__"}:
        return
    assert here in FOUNDATIONS or here in ROOMS, f"{here} is not in the design"
    allowed = set(FOUNDATIONS)
    if here in ROOMS:
        allowed |= set(ROOMS[: ROOMS.index(here) + 1])
    for node, name in imports(path):
        if name.split(".")[0] == "ganvas":
            there = room(name)
            if not there and here == "cli" and name == "ganvas.__version__":
                continue
            assert there in allowed, f"{path}:{node.lineno} imports {name}"


def test_the_rule_would_notice() -> None:
    """The names that the rule above sees are those that are written."""
    names = {name for _, name in imports(PACKAGE / "training" / "loop.py")}
    assert "ganvas.data.pack.Pack" in names
    assert {room(name) for name in names} >= {"data", "training", "pictures"}
    relative = {name for _, name in imports(PACKAGE / "data" / "pack.py")}
    assert "ganvas.data.domains.open_domains" in relative


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_only_the_step_trains(path: Path) -> None:
    """`.backward()` and an optimiser's `.step()` are called in training/step.py alone."""
    calls = {
        f"{node.lineno}: .{node.func.attr}()"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"backward", "step", "zero_grad"}
        and ast.unparse(node.func.value) != "scheduler"  # a step of drawing, not of training
    }
    if dotted(path) == "ganvas.training.step":
        assert {call.split(": ")[1] for call in calls} == {".backward()", ".step()", ".zero_grad()"}
    else:
        assert not calls


def python(code: str) -> str:
    """What a fresh interpreter prints, in which warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_importing_the_package_costs_nothing() -> None:
    loaded = python("import sys, ganvas; print(*sys.modules)").split()
    assert not HEAVY & set(loaded)
    ours = {name for name in loaded if name.startswith("ganvas")}
    assert ours == {"ganvas", "ganvas._version", "ganvas.errors"}


@pytest.mark.parametrize("verb", ["", "train", "sample", "data", "models", "resume"])
def test_help_loads_nothing_heavy(verb: str) -> None:
    code = (
        "import sys, contextlib, io\n"
        f"sys.argv = ['ganvas', {verb!r}, '--help'] if {verb!r} else ['ganvas', '--help']\n"
        "from ganvas.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): run()\n"
        "print(*sys.modules)"
    )
    assert not (HEAVY - {"pydantic"}) & set(python(code).split())  # pydantic: typer loads it itself


@pytest.mark.slow
def test_importing_has_no_side_effects() -> None:
    """All modules at once: nothing is printed, written, seeded, set up or started."""
    names = [dotted(path) for path in MODULES if path.stem != "__main__"]
    code = f"""
import os, random, signal, sys, threading
import numpy, torch, matplotlib, PIL.Image, rich.progress  # rich draws a number of its own

def world():
    return {{
        "random": random.getstate(),
        "numpy": numpy.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state().tolist(),
        "environment": dict(os.environ),
        "place": (os.getcwd(), os.listdir()),
        "threads": (threading.active_count(), torch.get_num_threads()),
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        "pillow": PIL.Image.MAX_IMAGE_PIXELS,
        "plots": dict(matplotlib.rcParams),
        "modes": (torch.is_grad_enabled(), torch.get_default_dtype(),
                  torch.backends.cudnn.deterministic),
    }}

before = world()
for name in {names!r}:
    __import__(name)
after = world()
changed = [key for key in before if before[key] != after[key]]
assert not changed, changed
"""
    assert python(code) == ""


def test_the_public_names_are_there() -> None:
    code = "import ganvas\nfor name in ganvas.__all__: print(name, getattr(ganvas, name))"
    assert "interpolate" in python(code)
    assert not python("import ganvas\ntry: ganvas.absent\nexcept AttributeError: pass")
