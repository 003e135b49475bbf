"""Two processes that share a batch train as one process with all of it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.recipes import find_recipe
from ganvas.training.checkpoint import read_best
from ganvas.training.config import RunConfig, write_config
from ganvas.training.run_log import History, read_log
from tests.pair import comparable, measure_batch_norm
from tests.tiny import DISTINCT, final_state, tiny, train_quietly

STEPS = 4

COMBINED = {
    "adapting": ("dcgan", "model.augment=ada"),
    "penalised": (
        "sngan-tiny",  # spectral norm, two steps of D for one of G
        "model.gradient_penalty=one-sided", "model.augment=ada", "model.augment_strength=0.7",
        "model.instance_noise={start: 0.2, end: 0}", "model.orthogonal=0.01",
    ),
    "lazy": ("wgan-gp-tiny", "model.r1_gamma=1", "model.r2_gamma=1", "model.r1_every=2"),
    "large pool": ("cyclegan", "model.pool=30"),  # not yet full in the end
}  # fmt: skip
"""Remedies that no recipe has, or not together."""

WITHOUT = {"autoencoder-kl": ("model.adversarial_weight=0",)}
"""What recipes must do without: each process has an adaptive weight of its own."""

SEEDS = {"stylegan": 1, "cyclegan-few": 2}
"""Others than 0, with which a number passes so close to a kink (LeakyReLU, the absolute error) that
rounding bends the gradient."""


def shared(recipe: str, *settings: str) -> RunConfig:
    """A few steps in float32, with an Adam that does not blow up rounding errors.

    Adam divides a gradient by its own size: one that is zero but for rounding becomes a whole step
    of arbitrary sign. With eps = 1e-2 an error e of a gradient moves a weight by at most
    learning_rate / eps * e = 0.1 e a step, so that rounding stays rounding.
    """
    optimizers = [
        f"model.{name}.eps=0.01"
        for name in ("optimizer", "generator", "discriminator")
        if hasattr(find_recipe(recipe).model, name)
    ]
    return tiny(recipe, f"training.images={8 * STEPS}", "training.checkpoint_every=16",
                "training.precision=float32", *optimizers, *settings)  # fmt: skip


def case(name: str) -> RunConfig:
    """A recipe, or one of the combinations."""
    recipe, *settings = COMBINED.get(name, (name,))
    seed = f"training.seed={SEEDS.get(name, 0)}"
    return shared(recipe, seed, *settings, *WITHOUT.get(name, ()))


def torchrun(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run a module in two processes that meet on this machine's loopback, at a free port."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    environment = {
        **os.environ,
        "GANVAS_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    return subprocess.run(
        [*launcher, *rendezvous, "--local-addr", "localhost", "-m", *arguments],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@dataclass(frozen=True)
class Pair:
    """What the two processes left."""

    folder: Path
    cache: Path
    output: str


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder, cache = tmp_path_factory.mktemp("pair"), tmp_path_factory.mktemp("cache")
    for name in (*DISTINCT, *COMBINED):
        write_config(case(name), folder / f"{name}.yaml")
    write_config(shared("gan", "training.accumulate=2"), folder / "accumulated.yaml")
    write_config(shared("gan", "training.score_every=16"), folder / "scored.yaml")
    half = train_quietly(shared("vae"), folder / "resume-vae")
    shutil.rmtree(half / "checkpoints" / f"{8 * STEPS:09d}")
    done = torchrun("tests.pair", str(folder), cache=cache)
    assert done.returncode == 0, done.stdout + done.stderr
    return Pair(folder, cache, done.stdout)


def assert_close(run: Path, reference: Path) -> None:
    """All tensors equal within rounding: float32 has a precision of 6e-8.

    Gradients are sums of numbers far larger than some results, which before batch norm are zero;
    so what counts is a share of the largest number that an average of gradients holds.
    """
    first, second = final_state(run), final_state(reference)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        atol = 1e-6
        if name.endswith("/exp_avg"):
            atol = max(1e-5, 3e-5 * tensor.abs().max().item())
        torch.testing.assert_close(
            tensor, second[name], rtol=1e-4, atol=atol, equal_nan=True, msg=name
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", [*DISTINCT, *COMBINED])
def test_two_processes_match_one(name: str, pair: Pair, tmp_path: Path) -> None:
    with comparable():
        one = train_quietly(case(name), tmp_path / "one")
    assert_close(pair.folder / name, one)
    records = [(r["event"], r["images"]) for r in read_log(pair.folder / name / "log.jsonl")]
    assert records == [(r["event"], r["images"]) for r in read_log(one / "log.jsonl")]


@pytest.mark.slow
def test_resumed_by_two_processes(pair: Pair, tmp_path: Path) -> None:
    one = train_quietly(shared("vae"), tmp_path / "one")
    assert_close(pair.folder / "resume-vae", one)
    events = [record["event"] for record in read_log(pair.folder / "resume-vae" / "log.jsonl")]
    assert events.count("resume") == 1


@pytest.mark.slow
def test_two_processes_with_micro_batches_match_one_without(pair: Pair, tmp_path: Path) -> None:
    assert_close(pair.folder / "accumulated", train_quietly(shared("gan"), tmp_path / "one"))


@pytest.mark.slow
def test_only_the_first_process_scores(pair: Pair) -> None:
    run = pair.folder / "scored"
    assert [score.images for score in History.read(run / "log.jsonl").scores] == [16, 32]
    assert read_best(run / "checkpoints") is not None
    assert_close(run, pair.folder / "gan")


@pytest.mark.slow
def test_only_the_first_process_packs_and_speaks(pair: Pair) -> None:
    packs = [path for path in pair.cache.iterdir() if path.name.startswith("avatars")]
    data = {case(name).data.model_dump_json() for name in (*DISTINCT, *COMBINED)}
    assert len(packs) == 2 * len(data)  # as train asks for it, and as config.yaml resumes it
    trained = re.findall("^Training ", pair.output, re.MULTILINE)
    assert len(trained) == len(DISTINCT) + len(COMBINED) + 2
    assert len(re.findall("^Going on ", pair.output, re.MULTILINE)) == 1


@pytest.mark.slow
def test_batch_norm_over_two_processes(pair: Pair) -> None:
    one = dict(measure_batch_norm(nn.BatchNorm2d(3), slice(None)))
    two = [torch.load(pair.folder / f"batch-norm-{rank}.pt") for rank in range(2)]
    for name in ("output", "slope", "curvature", "evaluated"):
        joined = torch.cat([part[name] for part in two])
        torch.testing.assert_close(joined, one[name], rtol=1e-4, atol=1e-5, msg=name)
    # Of a weight every process sees its own rows' part of the gradient; the loop adds them up.
    total = two[0]["weight"] + two[1]["weight"]
    torch.testing.assert_close(total, one["weight"], rtol=1e-4, atol=1e-5)
    for name in ("running_mean", "running_var", "batches"):
        for part in two:
            torch.testing.assert_close(part[name], one[name])


@pytest.mark.slow
def test_command_line_under_torchrun(tmp_path: Path) -> None:
    """A batch that two processes cannot share is refused; then it trains, the folder being free."""
    write_config(shared("gan", "training.batch=9"), tmp_path / "odd.yaml")
    write_config(shared("gan"), tmp_path / "even.yaml")
    out = tmp_path / "run"
    command = ("ganvas", "train", "--out", str(out), "--config")
    refused = torchrun(*command, str(tmp_path / "odd.yaml"), cache=tmp_path / "cache")
    assert refused.returncode != 0
    assert "ganvas: training.batch=9 cannot be split into 2" in refused.stderr
    assert 'File "' not in refused.stderr.split("torch/distributed")[0]
    done = torchrun(*command, str(tmp_path / "even.yaml"), cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert_close(out, train_quietly(shared("gan"), tmp_path / "one"))


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("r3gan-tiny", ()),  # R2 in an update of its own
        ("r3gan-tiny", ("model.r1_every=1", "model.augment=diffaugment")),
        ("gan", ("model.critic_steps=3", "model.gradient_penalty=dragan", "model.augment=ada")),
        ("stylegan2", ()),  # path lengths of half a batch
        ("stylegan", ()),  # grows
        ("pix2pix", ()),  # dropout
        ("cyclegan", ()),  # pools, which are full after two steps
        ("cyclegan-few", ("model.pool=30",)),
    ],
)
def test_the_parts_of_remedies_add_up(
    recipe: str, settings: tuple[str, ...], tmp_path: Path
) -> None:
    settings = (f"training.seed={SEEDS.get(recipe, 0)}", *settings)
    divided = shared(recipe, "training.accumulate=2", *settings)
    with comparable():
        whole = train_quietly(shared(recipe, *settings), tmp_path / "whole")
        assert_close(train_quietly(divided, tmp_path / "divided"), whole)


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_micro_batches_add_up(accumulate: int, tmp_path: Path) -> None:
    """Where no layer mixes the images of a batch, dividing it changes nothing but rounding."""
    whole = train_quietly(shared("gan"), tmp_path / "whole")
    config = shared("gan", f"training.accumulate={accumulate}")
    assert_close(train_quietly(config, tmp_path / "divided"), whole)


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training.batch=8 cannot be split into 3 .* such as 9"):
        api.train(shared("gan", "training.accumulate=3"), out=tmp_path / "run", say=print)
