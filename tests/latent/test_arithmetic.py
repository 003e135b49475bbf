"""Sums of words: reading them, working them out, and what they do to pictures."""

import pytest
import torch
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES
from ganvas.errors import ConfigError
from ganvas.evaluation.features.classifier import ClassifierFeatures
from ganvas.evaluation.features.classifier_training import Trained
from ganvas.evaluation.features.known import Task
from ganvas.latent.arithmetic import arithmetic, parse, wanted_of
from ganvas.latent.arithmetic_scores import arithmetic_scores
from ganvas.latent.attributes import Reader
from ganvas.latent.edit import apply_arithmetic, edit
from ganvas.latent.metric import metric_from, metric_of
from ganvas.latent.points import Points
from ganvas.latent.space import open_space
from ganvas.latent.survey import survey
from ganvas.models.classifier import Head
from ganvas.networks.classifier import Classifier
from tests.latent.attributed import SIZE, ColumnReader, Columns
from tests.latent.painter import Painter


def stirred() -> Tensor:
    """Columns that share latents: what brings glasses brings a beard, too."""
    mixing = torch.eye(SIZE)
    mixing[1, 0] = 0.8
    return mixing


@pytest.fixture(scope="module")
def avatars() -> Reader:
    """An untrained classifier of avatars: it knows the words."""
    heads = tuple(Head(a.name, len(a.values)) for a in ATTRIBUTES)
    network = Classifier((3, 16, 16), sum(head.outputs for head in heads))
    width = network.eval().describe(torch.zeros(1, 3, 16, 16))[0].shape[1]
    tensors = {**network.state_dict(), "centre": torch.zeros(width), "matrix": torch.eye(width)}
    task = Task((3, 16, 16), heads, "hair_style", is_avatars=True)
    return Reader(ClassifierFeatures(task, Trained(tensors, {}), torch.device("cpu")), ())


def codes(avatars: Reader, words: str) -> dict[str, set[str]]:
    """What words mean, by the names of values."""
    values = {a.name: a.values for a in ATTRIBUTES}
    state = avatars.term(words).state
    return {name: {values[name][code] for code in chosen} for name, chosen in state.items()}


def test_the_words_of_avatars(avatars: Reader) -> None:
    assert codes(avatars, "glasses") == {"glasses": {"round", "square", "sunglasses"}}
    assert codes(avatars, " a  Moustache") == {"beard": {"moustache"}}
    assert codes(avatars, "no hat") == {"hat": {"none"}}
    assert codes(avatars, "red hair, long hair") == {
        "hair_colour": {"red"}, "hair_style": {"long"},
    }  # fmt: skip
    assert codes(avatars, "beard, no moustache") == {"beard": {"goatee", "full"}}
    discrete = [a for a in ATTRIBUTES if a.kind == "discrete"]
    said = [term.state for term in avatars.terms.values()]
    for attribute in discrete:
        for code, value in enumerate(attribute.values):
            if value != "none" and attribute.name != "hat_colour":
                assert {attribute.name: frozenset({code})} in said


def test_unknown_words_are_explained(avatars: Reader) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'glasses'") as caught:
        avatars.term("glases")
    assert "round glasses, square glasses" in str(caught.value)
    with pytest.raises(ConfigError, match="both at once"):
        avatars.term("cap, beanie")


def test_reading_outputs(avatars: Reader) -> None:
    images = torch.rand(3, 3, 16, 16, requires_grad=True)
    outputs = avatars.outputs(images)
    outputs["hat"].sum().backward()
    assert images.grad is not None
    assert avatars.read(images.detach())["hat"].tolist() == outputs["hat"].argmax(1).tolist()


def test_parsing() -> None:
    reader = ColumnReader()
    parts = parse("glasses - none + full beard", reader)
    assert [str(part) for part in parts] == ["+ glasses", "- no glasses", "+ full beard"]
    assert wanted_of(parts, reader) == {"glasses": {1}, "beard": {2}}
    assert [part.sign for part in parse("- glasses", reader)] == [-1]
    taken = parse("beard, glasses - beard + glasses", reader)
    assert wanted_of(taken, reader) == {"glasses": {1}, "beard": {0}}
    for wrong in ("", " ", "glasses +", "+", "glasses - ,"):
        with pytest.raises(ConfigError):
            parse(wrong, reader)
    with pytest.raises(ConfigError, match="glasses"):
        parse("glasses-beard", reader)


def test_metric() -> None:
    generator = torch.Generator().manual_seed(0)
    root = torch.tensor([[3.0, 0.0], [1.0, 0.5]])
    points = torch.randn(4096, 2, generator=generator) @ root.T + 7
    metric = metric_from(points)
    torch.testing.assert_close(metric.mean, torch.tensor([7.0, 7.0]), atol=0.2, rtol=0)
    torch.testing.assert_close(metric.unwhiten(metric.whiten(points)), points)
    torch.testing.assert_close(metric.whiten(points - metric.mean).T.cov(), torch.eye(2),
                               atol=1e-4, rtol=0)  # fmt: skip
    assert metric.lengths(metric.normalised(torch.tensor([1.0, 1.0]))) == pytest.approx(1)
    assert metric.beyond(torch.tensor([[7.0, 7.0], [90.0, 7.0]])).tolist() == [False, True]


def test_a_vector_points_to_its_attribute() -> None:
    space, reader = open_space(Columns(), "z"), ColumnReader()
    found = arithmetic(space, reader, "glasses", examples=512)
    assert found.name == "glasses - no glasses"
    across = found.move.clone()
    across[0] = 0
    assert found.move[0] > 1.4  # 2 sqrt(2 / pi) = 1.6 between the halves of a normal number
    assert across.norm() < 0.4
    assert [len(pictures) for pictures in found.examples] == [3, 3]
    assert reader.read(torch.cat(found.examples))["glasses"].tolist() == [1, 1, 1, 0, 0, 0]
    width, height = found.figure().size
    assert width > height
    taken = arithmetic(space, reader, "- glasses", examples=512)
    torch.testing.assert_close(taken.move, -found.move)
    assert taken.wanted == {"glasses": {0}}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("glasses", (1, 0)),  # the average of those without, with glasses
        ("- glasses", (0, 0)),
        ("glasses, beard - beard + no beard", (1, 0)),  # man with glasses - man + woman
        ("no glasses, beard - no beard + no glasses", (0, 1)),
        ("glasses + beard", (1, 1)),
    ],
)
def test_the_figure_shows_the_sum(words: str, shown: tuple[int, int]) -> None:
    space, reader = open_space(Columns(), "z"), ColumnReader()
    result = reader.read(arithmetic(space, reader, words, examples=512).result[None])
    assert (int(result["glasses"]), int(result["beard"] > 0)) == shown


def test_editing_in_words() -> None:
    model, reader = Columns(), ColumnReader()
    edited = edit(model, "glasses", reader, [1, 2, 3], examples=64)
    torch.testing.assert_close(edited.before, model.sample(3, 1))
    assert edited.reached.all()
    assert edited.found.name == "glasses - no glasses"
    assert edited.sheet().width > 0
    points = Points("z", edited.points, ("a", "b", "c"))
    again = edit(model, "glasses", reader, points, examples=64, plain=True)
    torch.testing.assert_close(again.before, edited.after)


def test_what_cannot_be_corrected_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stepped(Columns):
        def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
            return super().decode(latents.detach(), labels)

    def slow(*given: object, **options: object) -> None:
        pytest.fail("pictures are read")

    monkeypatch.setattr(ColumnReader, "read", slow)
    with pytest.raises(ConfigError, match="no gradients"):
        edit(Stepped(), "glasses", ColumnReader())


def test_what_is_never_drawn_is_said() -> None:
    never = torch.eye(SIZE)
    never[0] = 0
    with pytest.raises(ConfigError, match="does not draw 'glasses'"):
        arithmetic(open_space(Columns(never), "z"), ColumnReader(), "glasses", examples=64)
    with pytest.raises(ConfigError, match="z or w"):
        arithmetic(open_space(Painter(), "w+"), ColumnReader(), "glasses")


def test_pictures_are_corrected_one_by_one() -> None:
    """A vector that brings beards with the glasses: corrected, it brings glasses alone."""
    space, reader = open_space(Columns(stirred()), "z"), ColumnReader()
    plain = arithmetic_scores(space, reader, "glasses", 40, plain=True, strength=1.0)
    held = arithmetic_scores(space, reader, "glasses", 40)
    assert plain.by_attribute.keys() == held.by_attribute.keys() == {"beard"}
    assert held.appears > 0.9
    assert held.stays > max(0.9, plain.stays + 0.1)
    assert held.n == 40
    chosen = arithmetic_scores(space, reader, "glasses", 40, plain=True)
    assert min(chosen.appears / 0.8, chosen.stays / 0.85) >= min(
        plain.appears / 0.8, plain.stays / 0.85
    )


def test_an_edit() -> None:
    space, reader = open_space(Columns(stirred()), "z"), ColumnReader()
    found = arithmetic(space, reader, "glasses", examples=128)
    points = space.points(range(20))
    steps: list[int] = []
    edit = apply_arithmetic(space, reader, found, points, advance=steps.append)
    assert sum(steps) == 20 * 20
    assert "have what was asked for" in edit.notes[0]
    torch.testing.assert_close(edit.before, space.draw(points))
    torch.testing.assert_close(edit.after, space.draw(edit.points))
    torch.testing.assert_close(edit.moved, metric_of(space).lengths(edit.points - points))
    assert int(edit.reached.sum()) >= 18
    plain = apply_arithmetic(space, reader, found, points, strength=2.0, plain=True)
    torch.testing.assert_close(plain.points - points, (2 * found.move).expand(20, -1))
    far = apply_arithmetic(space, reader, found, points, strength=50.0, plain=True)
    assert "20 of 20 points lie after it further out" in far.notes[1]
    assert edit.sheet().size[0] > 0


def test_points_of_w_plus_move_in_all_layers() -> None:
    model = Painter()
    reader, base, space = ColumnReader(), open_space(model, "w"), open_space(model, "w+")
    reader.outputs = lambda images: {  # type: ignore[method-assign]
        "glasses": 5 * torch.stack([-images[:, 0, 0, 3], images[:, 0, 0, 3]], 1)
    }
    reader.sizes = {"glasses": 2}
    found = arithmetic(base, reader, "glasses", examples=64)
    points = space.points([1, 2, 3])
    edit = apply_arithmetic(space, reader, found, points)
    assert edit.points.shape == points.shape
    moves = edit.points - points
    torch.testing.assert_close(moves, moves[:, :1].expand_as(moves))
    assert edit.reached.all()


def test_a_survey_is_of_its_seeds_and_classes() -> None:
    space, reader = open_space(Columns(classes=["a", "b"]), "z"), ColumnReader()
    read = survey(space, reader, 70, first=5)
    assert len(read) == 70
    torch.testing.assert_close(read.points[65], space.points([70])[0])
    assert read.labels is not None
    assert read.labels[:4].tolist() == [0, 1, 0, 1]
    assert read.has({"glasses": frozenset({1})}).tolist() == (read.codes["glasses"] == 1).tolist()
