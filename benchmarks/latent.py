"""The latent space, measured: `python -m benchmarks.latent RUN [RUN ...]`, runs on `avatars`.

`--only shape,mixing,latency` leaves out the arithmetic, which takes most of an hour.

For each run and space: whether arithmetic brings an attribute and keeps the rest, plainly as in the
paper and corrected; how linearly the attributes lie (Karras et al. 2019, section 4.2) and how long
its paths are (section 4.1); which attributes follow the coarse, middle and fine styles of a mix;
and what each operation takes.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from math import exp
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.table import alternate, print_table
from ganvas import api
from ganvas.data.pack import open_pack
from ganvas.evaluation.features.classifier import train_or_load_classifier
from ganvas.latent.arithmetic import arithmetic
from ganvas.latent.arithmetic_scores import arithmetic_scores
from ganvas.latent.attributes import Reader, open_reader
from ganvas.latent.boundary import logistic
from ganvas.latent.edit import apply_arithmetic
from ganvas.latent.factorisation import factorised_directions
from ganvas.latent.metric import metric_of
from ganvas.latent.mix import mixed_styles, named_layers
from ganvas.latent.pca import principal_directions
from ganvas.latent.space import Space, SpaceName, open_space
from ganvas.latent.survey import Survey, survey
from ganvas.models.base import LatentModel, Styles
from ganvas.training.run_folder import RunFolder

PARTS = ("arithmetic", "shape", "mixing", "latency")
WORDS = ("glasses", "beard", "hat")
EDITED, READ, PAIRS, MIXED, ROUNDS = 200, 4_000, 500, 200, 5
EPSILON = 1e-4  # of the path length
NATS = 1e-12


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latent")
    parser.add_argument("runs", nargs="+", type=Path, help="Runs on avatars.")
    parser.add_argument("--only", default=",".join(PARTS), help="Some of these, with commas.")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    for run in asked.runs:
        model = api.load(run)
        reader = open_reader(run, model.device, say=print)
        names: list[SpaceName] = ["z", "w"] if isinstance(model, Styles) else ["z"]
        print(f"\n### {run.name}", flush=True)
        for name in names:
            space = open_space(model, name)
            if "arithmetic" in parts:
                _arithmetic(space, reader, other_reader(run, model.device))
            if "shape" in parts:
                _shape(space, reader)
        if "mixing" in parts and isinstance(model, Styles):
            _mixing(model, reader)
        if "latency" in parts:
            _latency(open_space(model, names[-1]), reader)


def other_reader(run: Path, device: torch.device) -> Reader:
    """A classifier of half the pictures: what one was led by another must see, too."""
    config = RunFolder(run).read().data.model_copy(update={"images": 10_000})
    pack = open_pack(config)
    return Reader(train_or_load_classifier(pack, config, device, say=print), pack.classes)


def _arithmetic(space: Space, reader: Reader, judge: Reader) -> None:
    rows = []
    for words in WORDS:
        for plain, reads in ((True, reader), (False, reader), (False, judge)):
            found = arithmetic_scores(space, reader, words, EDITED, plain=plain, judge=reads)
            how = "plain" if plain else "corrected"
            rows.append([
                space.name, words, how if reads is reader else f"{how}, judged by another",
                f"{found.appears:.1%}",
                f"{found.stays:.1%}", f"{found.moved:.2f}", f"{found.strength:g}",
            ])  # fmt: skip
    print_table(["space", "word", "how", "appears", "stays", "moved", "strength"], rows)


def _shape(space: Space, reader: Reader) -> None:
    """Separability and path length."""
    entropies = separability(space, reader, survey(space, reader, READ))
    length = path_length(space, reader)
    mean = exp(sum(entropies.values()))
    worst = max(entropies, key=entropies.__getitem__)
    rows = [[space.name, f"{mean:.2f}", f"{worst} ({entropies[worst]:.2f} nats)", f"{length:.1f}"]]
    print_table(["space", "separability", "worst attribute", "path length"], rows)


def separability(space: Space, reader: Reader, read: Survey) -> dict[str, float]:
    """H(Y|X) in nats of the commonest value of each attribute against the others: 0 is separable.

    X is the side of the hyperplane that separates best, Y what the classifier sees. As in the
    paper, whose score is exp of their sum, the half that the classifier is least sure of is left
    out: those nearest to where it would change its mind.
    """
    metric = metric_of(space)
    u = metric.whiten(read.points - metric.mean)
    margins = _margins(space, reader, read)
    entropies = {}
    for name, codes in read.codes.items():
        common = int(codes.bincount().argmax())
        sure = margins[name] >= margins[name].median()
        has = codes[sure] == common
        half = len(has) // 2  # to learn from; the paper's many points need no others to try it on
        normal, offset = logistic(u[sure][:half], has[:half])
        sides = u[sure][half:] @ normal + offset > 0
        entropies[name] = _conditional_entropy(sides, has[half:])
    return entropies


@torch.no_grad()
def _margins(space: Space, reader: Reader, read: Survey) -> dict[str, Tensor]:
    """By how much the likeliest value leads, for each attribute: (N,)."""
    parts: list[dict[str, Tensor]] = []
    for i in torch.arange(len(read)).split(64):
        labels = None if read.labels is None else read.labels[i]
        outputs = reader.outputs(space.draw(read.points[i], labels))
        two = {name: outputs[name].topk(2, 1).values for name in read.codes}
        parts.append({name: top[:, 0] - top[:, 1] for name, top in two.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _conditional_entropy(side: Tensor, has: Tensor) -> float:
    """H(has | side) in nats, bool (N,) each."""
    joint = torch.stack([
        torch.stack([(side == a) & (has == b) for b in (False, True)]).sum(1)
        for a in (False, True)
    ]).double() / len(has)  # fmt: skip
    given = joint / joint.sum(1, keepdim=True).clamp(min=NATS)
    return float(-(joint * given.clamp(min=NATS).log()).sum())


@torch.no_grad()
def path_length(space: Space, reader: Reader) -> float:
    """Mean squared distance of features over squared step, in spreads of the space, trimmed by 1%.

    On straight lines between points, in both spaces, and over the length of a line in spreads, so
    that z and w are on one scale; the paper's z goes along arcs.
    """
    ends = space.points(range(5_000_000, 5_000_000 + 2 * PAIRS))
    a, b = ends[:PAIRS], ends[PAIRS:]
    t = torch.rand(PAIRS, 1, generator=torch.Generator().manual_seed(0)).to(a)
    lengths = []
    for i in torch.arange(PAIRS).split(50):
        seen = [
            reader.features.compute((space.draw(torch.lerp(a[i], b[i], t[i] + e)) + 1) * 127.5)[0]
            for e in (0.0, EPSILON)
        ]
        lengths.append((seen[0] - seen[1]).square().sum(1) / EPSILON**2)
    values = torch.cat(lengths).double().sort().values
    trimmed = PAIRS // 100
    return float(values[trimmed : PAIRS - trimmed].mean())


def _mixing(model: LatentModel, reader: Reader) -> None:
    """Of the attributes that differ, how many follow the source of the coarse, ... styles."""
    assert isinstance(model, Styles)
    space = open_space(model, "w+")
    kept, given = (space.points(range(s, s + MIXED)) for s in (6_000_000, 7_000_000))
    before, source = (reader.read(space.draw(styles)) for styles in (kept, given))
    names = [name for name in named_layers(model.layer_resolutions) if name != "all"]
    rows: dict[str, list[str]] = {name: [name] for name in before}
    for layers in names:
        chosen = named_layers(model.layer_resolutions)[layers]
        mixed = torch.cat([
            mixed_styles(a[None], b[None], chosen)[0] for a, b in zip(kept, given, strict=True)
        ])  # fmt: skip
        after = reader.read(space.draw(mixed))
        for name, row in rows.items():
            differs = before[name] != source[name]
            row.append(f"{(after[name] == source[name])[differs].float().mean():.0%}")
    print_table(["follows the source of", *names], list(rows.values()))


def _latency(space: Space, reader: Reader) -> None:
    """Milliseconds of what a page that explores a model asks for."""
    one, six = space.points([1]), space.points(range(6))
    metric_of(space)
    found = arithmetic(space, reader, "glasses", examples=64)
    measures: dict[str, Callable[[], object]] = {
        "a preview frame": partial(space.draw, one),
        "a walk of 16 frames": partial(space.draw, torch.lerp(six[:1], six[1:2], _ts(16))),
        "plain arithmetic on 6": partial(apply_arithmetic, space, reader, found, six, plain=True),
        "corrected arithmetic on 6": partial(apply_arithmetic, space, reader, found, six),
        "8 directions by pca": partial(principal_directions, space, 8),
        "8 directions by sefa": partial(factorised_directions, space, 8),
    }
    if space.name == "z" and isinstance(space.model, Styles):
        measures = {name: call for name, call in measures.items() if "directions" not in name}
    times = alternate({name: partial(_seconds, call) for name, call in measures.items()}, ROUNDS)
    print_table(
        ["operation", "ms (median)", "lowest", "highest"],
        [[name, *(f"{1000 * t:,.0f}" for t in spread)] for name, spread in times.items()],
    )


def _ts(n: int) -> Tensor:
    return torch.linspace(0, 1, n)[:, None]


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
