from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ganvas.errors import DataError
from ganvas.latent.points import Points, fingerprint, read_points, save_points
from ganvas.latent.space import SpaceName, open_space
from ganvas.models.stylegan import StyleGan
from tests.latent.painter import Painter, tiny_stylegan


def found(model: Painter | StyleGan, space: SpaceName = "w+") -> Points:
    values = open_space(model, space).points([1, 2])
    return Points(space, values, ("a.png", "b.png"), None, {"psnr": (21.5, float("inf"))})


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_a_file_holds_all(space: SpaceName, tmp_path: Path) -> None:
    model = Painter(classes=("cat", "dog"))
    points = found(model, space)
    path = tmp_path / "new" / "points.safetensors"
    save_points(
        path, Points(points.space, points.values, points.names, (1, 0), points.scores), model
    )
    read = read_points(path, model)
    assert torch.equal(read.values, points.values)
    assert (read.space, read.names, read.labels) == (space, points.names, (1, 0))
    assert read.scores == points.scores
    assert len(read) == 2


def test_the_fingerprint_is_of_what_was_trained() -> None:
    model = tiny_stylegan("stylegan2")
    before = fingerprint(model)
    model.centre()  # kept in a buffer
    assert fingerprint(model) == before
    next(model.generator.synthesis.parameters()).add_(1e-6)
    assert fingerprint(model) != before


def test_points_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.safetensors"
    model, other = tiny_stylegan("stylegan2"), tiny_stylegan("stylegan2")
    save_points(path, found(model), model)
    with pytest.raises(DataError, match=r"points\.safetensors belong to another model"):
        read_points(path, other)


def test_files_that_hold_no_points(tmp_path: Path) -> None:
    model, path = Painter(), tmp_path / "points.safetensors"
    with pytest.raises(DataError, match="there is no file"):
        read_points(path, model)
    with pytest.raises(DataError, match="there is no file"):
        read_points(tmp_path, model)
    save_points(path, found(model), model)
    whole = path.read_bytes()
    torch_file = tmp_path / "weights.safetensors"
    save_file({"points": torch.zeros(1, 4)}, torch_file)
    for content in (b"", b"x", whole[:-9], whole[:40], b"\xff" * 100, torch_file.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataError, match="no file of points"):
            read_points(path, model)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (Points("w", torch.zeros(2, 5), ("a", "b")), "no points of w"),
        (Points("w+", torch.zeros(2, 4), ("a", "b")), r"no points of w\+"),
        (Points("w", torch.zeros(0, 4), ()), "no points of w"),
        (Points("w", torch.full((1, 4), torch.nan), ("a",)), "not finite"),
        (Points("w", torch.zeros(2, 4), ("a",)), "what each point is"),
        (Points("w", torch.zeros(1, 4), ("a",), None, {"psnr": ()}), "what each point is"),
        (Points("w", torch.zeros(1, 4), ("a",), (0,)), "classes"),
    ],
)
def test_numbers_that_are_no_points(points: Points, why: str, tmp_path: Path) -> None:
    model, path = Painter(), tmp_path / "points.safetensors"
    save_points(path, points, model)
    with pytest.raises(DataError, match=why):
        read_points(path, model)
