"""Finding directions, walking along them, and keeping them in files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganvas.errors import ConfigError, DataError
from ganvas.latent.attributes import Term
from ganvas.latent.boundary import balanced_accuracy, boundary_directions, logistic, projected
from ganvas.latent.directions import (
    Direction,
    find_direction,
    kept,
    read_direction,
    save_directions,
)
from ganvas.latent.edit import along, edit_along
from ganvas.latent.factorisation import factorised_directions
from ganvas.latent.finding import directions
from ganvas.latent.first_layer import first_activations
from ganvas.latent.metric import metric_of
from ganvas.latent.pca import principal_directions
from ganvas.latent.space import Space, open_space
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from tests.latent.attributed import SIZE, ColumnReader, Columns
from tests.latent.painter import Painter, tiny_stylegan


def stretched() -> Columns:
    """Its first layer stretches the sum of columns 2 and 3 most, then column 5."""
    mixing = torch.eye(SIZE)
    mixing[0] = torch.tensor([0.0, 0, 5, 5, 0, 0])
    mixing[1] = torch.tensor([0.0, 0, 0, 0, 0, 4])
    return Columns(mixing)


def unit(*numbers: float) -> Tensor:
    vector = torch.tensor(numbers, dtype=torch.float32)
    normalised: Tensor = vector / vector.norm()
    return normalised


def alike(a: Tensor, b: Tensor) -> float:
    """The cosine, whatever the signs."""
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0).abs())


@pytest.mark.parametrize("find", [principal_directions, factorised_directions])
def test_the_first_layer_tells_directions_of_z(
    find: Callable[[Space, int], list[Direction]],
) -> None:
    first, second, *others = find(open_space(stretched(), "z"), 4)
    assert len(others) == 2
    assert alike(first.vector, unit(0, 0, 1, 1, 0, 0)) > 0.99
    assert alike(second.vector, unit(0, 0, 0, 0, 0, 1)) > 0.98
    shares = [found.explained or 0 for found in (first, second, *others)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0
    assert first.vector.norm() == pytest.approx(1, abs=0.1)  # z is standard normal


def test_sefa_is_exact_where_pca_is_a_sample() -> None:
    first = factorised_directions(open_space(stretched(), "z"), 1)[0]
    values = torch.linalg.svdvals(stretched().linear.weight).square()
    assert first.explained == pytest.approx(float(values[0] / values.sum()))


def test_first_activations_of_a_dcgan() -> None:
    model = Gan(GanConfig(networks="dcgan", latent_size=8, width=4), (3, 16, 16))
    model.eval().requires_grad_(False)
    z = torch.randn(70, 8)
    seen = first_activations(model, z)
    assert seen.ndim == 2
    assert len(seen) == 70
    torch.testing.assert_close(  # it is affine
        first_activations(model, (z[:5] + z[5:10]) / 2), (seen[:5] + seen[5:10]) / 2
    )
    assert not any(m._forward_hooks for m in model.modules())


def test_w_of_a_stylegan() -> None:
    model = tiny_stylegan("stylegan2")
    space = open_space(model, "w")
    components = principal_directions(space, 3)
    centred = space.many - space.many.mean(0)
    variances = torch.linalg.eigvalsh(centred.T @ centred).flip(0)
    assert components[0].explained == pytest.approx(float(variances[0] / variances.sum()), rel=1e-3)
    metric = metric_of(space)
    for found in (*components, *factorised_directions(space, 3)):
        assert found.space == "w"
        assert metric.lengths(found.vector) == pytest.approx(1, rel=1e-4)
    for find in (principal_directions, factorised_directions):
        with pytest.raises(ConfigError, match="leave out --space z"):
            find(open_space(model, "z"), 3)


def test_logistic_regression() -> None:
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(3000, 4, generator=generator)
    truth = torch.tensor([2.0, -1.0, 0.0, 0.0])
    has = torch.rand(3000, generator=generator) < (u @ truth + 0.7).sigmoid()
    normal, offset = logistic(u, has)
    torch.testing.assert_close(normal, truth, atol=0.25, rtol=0)
    assert float(offset) == pytest.approx(0.7, abs=0.15)
    separable, _ = logistic(u, u[:, 0] > 0)
    assert separable.isfinite().all()
    assert alike(separable, unit(1, 0, 0, 0)) > 0.99


def test_projection_and_accuracy() -> None:
    left = projected(torch.tensor([1.0, 1.0, 1.0]), [unit(1, 0, 0), unit(1, 0, 0), unit(1, 1, 0)])
    torch.testing.assert_close(left, torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0)
    told = torch.tensor([True, False, True, True])
    assert balanced_accuracy(told, torch.tensor([True, True, False, True])) == pytest.approx(1 / 3)


def test_a_boundary_keeps_what_it_is_told_to() -> None:
    mixing = torch.eye(SIZE)
    mixing[0, 1] = 0.7  # what makes a beard makes glasses, too
    space, reader = open_space(Columns(mixing), "z"), ColumnReader()
    found = [
        boundary_directions(space, reader, ["glasses"], keep, read=1024)[0]
        for keep in ([], ["beard"])
    ]
    ways = [mixing @ direction.vector for direction in found]
    for direction, way in zip(found, ways, strict=True):
        assert direction.accuracy is not None
        assert direction.accuracy > 0.9
        assert way[0] > 0.7
    assert ways[0][1] > 0.4
    assert abs(float(ways[1][1])) < 0.15
    assert [direction.name for direction in found] == ["glasses", "glasses-keep-beard"]
    assert found[1].about == "towards glasses, keeping beard"


def test_no_boundary_where_all_are_alike() -> None:
    never = torch.eye(SIZE)
    never[0] = 0
    with pytest.raises(ConfigError, match="no boundary to find for 'glasses'"):
        boundary_directions(open_space(Columns(never), "z"), ColumnReader(), ["glasses"], read=64)


def direction(vector: Tensor, name: str = "one") -> Direction:
    return Direction(name, "z", "pca", vector, "a test", explained=0.25)


def test_strengths() -> None:
    space = open_space(Columns(), "z")
    points = space.points([1, 2])
    found = direction(torch.eye(SIZE)[2])
    moved = along(space, found, points, [-1.0, 0.0, 1.0])
    torch.testing.assert_close(moved.images[:, 1], space.draw(points))
    shifted = points.clone()
    shifted[:, 2] += 1
    torch.testing.assert_close(moved.images[:, 2], space.draw(shifted))
    assert moved.notes == ()
    width, height = moved.sheet().size
    assert width > height
    assert along(space, found, points, [0.0]).notes == ()
    with pytest.raises(ConfigError, match="no strengths"):
        along(space, found, points, [])


def test_strengths_that_saturate_are_said() -> None:
    space = open_space(Columns(), "z")
    notes = along(space, direction(torch.eye(SIZE)[2]), space.points([1, 2]), [0, 10, 30]).notes
    assert "2 of 2 points lie at strength 10 further out" in notes[0]
    assert "from strength 10 to 30" in notes[-1]
    blind = torch.eye(SIZE)
    blind[2] = 0
    space = open_space(Columns(blind), "z")
    notes = along(space, direction(torch.eye(SIZE)[2]), space.points([1]), [0, 1]).notes
    assert notes == ("nothing in the pictures changes with the strength.",)


def test_directions_of_w_move_w_plus_in_all_layers() -> None:
    model = Painter()
    found = Direction("one", "w", "pca", torch.eye(4)[0], "a test")
    space = open_space(model, "w+")
    points = space.points([1, 2])
    torch.testing.assert_close(
        along(space, found, points, [2.0]).images[:, 0],
        space.draw(points + 2 * torch.eye(4)[0]),
    )
    with pytest.raises(ConfigError, match="is of w"):
        along(open_space(model, "z"), found, torch.zeros(1, 4), [1.0])


def test_files(tmp_path: Path) -> None:
    model = Columns()
    paths = save_directions(
        tmp_path, [direction(torch.rand(SIZE), "b"), direction(torch.rand(SIZE), "a")], model
    )
    assert kept(tmp_path) == sorted(paths)
    read = find_direction(tmp_path, "a", model)
    assert (read.name, read.space, read.method, read.explained) == ("a", "z", "pca", 0.25)
    assert read.quality == "explains 25.0%"
    torch.testing.assert_close(find_direction(tmp_path, str(paths[1]), model).vector, read.vector)
    with pytest.raises(ConfigError, match="no direction 'c'"):
        find_direction(tmp_path, "c", model)
    with pytest.raises(ConfigError, match="has none yet"):
        find_direction(tmp_path / "empty", "c", model)
    with pytest.raises(DataError, match="another model"):
        read_direction(paths[0], Columns(2 * torch.eye(SIZE)))


def test_names_stay_in_their_folder(tmp_path: Path) -> None:
    """Classes, of which directions have their names, may be called anything by a data set."""
    model, reader = Columns(), ColumnReader()
    run = tmp_path / "run"
    reader.terms["../../x"] = Term("../../x", {"glasses": frozenset({1})})
    reader.terms["/"] = Term("/", {"beard": frozenset({0})})
    found = directions(model, "boundary", attributes=["../../x", "/"], reader=reader)
    assert [one.name for one in found] == ["x", "unnamed"]
    paths = save_directions(run, [*found, direction(torch.rand(SIZE), "../../y")], model)
    assert {path.resolve().parent for path in paths} == {(run / "directions").resolve()}
    assert find_direction(run, "x", model).about == "towards ../../x"
    for name in ("../../run/directions/x", "x" * 5000, "", ".."):
        with pytest.raises(ConfigError, match="no direction"):
            find_direction(run, name, model)


def test_what_a_file_says_does_not_disturb_a_terminal(tmp_path: Path) -> None:
    model = Columns()
    told = Direction("one", "z", "pca", torch.rand(SIZE), "\x1b[2J\x07 cleared")
    (path,) = save_directions(tmp_path, [told], model)
    assert read_direction(path, model).about.isprintable()


def test_finding_by_each_method() -> None:
    model = Columns()
    assert [one.name for one in directions(model, count=2)] == ["pca-z-1", "pca-z-2"]
    assert [one.name for one in directions(model, "sefa", 1)] == ["sefa-z-1"]
    with pytest.raises(ConfigError, match="needs attributes"):
        directions(model, "boundary", attributes=["glasses"])
    moved = edit_along(model, directions(model, count=1)[0], [1, 2], [0, 1])
    torch.testing.assert_close(moved.images[:, 0], model.sample(2, 1))


@pytest.mark.parametrize(
    "change", ["cut", "text", "shape", "type", "nan", "kind", "space", "bare", "folder"]
)
def test_damaged_files_are_refused(tmp_path: Path, change: str) -> None:
    model = Columns()
    (path,) = save_directions(tmp_path, [direction(torch.rand(SIZE))], model)
    with safe_open(path, framework="pt") as file:
        facts, vector = json.loads(file.metadata()["ganvas"]), file.get_tensor("direction")
    tensors = {
        "shape": torch.rand(SIZE + 1), "type": vector.double(), "nan": vector * torch.nan,
    }  # fmt: skip
    changes = {"kind": {"kind": "points"}, "space": {"space": "w+"}}
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif change == "text":
        path.write_text("a direction")
    elif change == "folder":
        path.unlink()
        path.mkdir()
    else:
        metadata = {"ganvas": json.dumps(facts | changes.get(change, {}))}
        save_file({"direction": tensors.get(change, vector)}, path,
                  None if change == "bare" else metadata)  # fmt: skip
    with pytest.raises((DataError, ConfigError)) as caught:
        read_direction(path, model)
    assert "\n" not in str(caught.value)
