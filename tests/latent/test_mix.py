from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ganvas.errors import ConfigError
from ganvas.latent.mix import choose_layers, mix, named_layers, written
from ganvas.latent.points import Points
from ganvas.latent.space import SpaceName, open_space
from ganvas.models.gan import Gan
from ganvas.models.gan_config import GanConfig
from ganvas.networks import StyleKind
from tests.latent.painter import RESOLUTIONS, Painter, tiny_stylegan

SHADES = slice(0, len(RESOLUTIONS))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("coarse", (0, 1, 2)),
        ("middle", (3, 4, 5, 6)),
        ("fine", (7,)),
        ("all", tuple(range(8))),
        ("0-3", (0, 1, 2, 3)),
        (" 2, 5 ", (2, 5)),
        ("5,2,2-3", (2, 3, 5)),
        ("7", (7,)),
        ([4, 1], (1, 4)),
    ],
)
def test_layers_by_name_and_number(asked: str | list[int], expected: tuple[int, ...]) -> None:
    assert choose_layers(asked, RESOLUTIONS) == expected


@pytest.mark.parametrize(
    "asked",
    ["", "8", "0-8", "3-1", "-1", "1-", "a", "1,,2", "0-1-2", "²", "9" * 5000, "Coarse", [], [-1]],
)
def test_layers_that_are_none(asked: str | list[int]) -> None:
    with pytest.raises(ConfigError, match=r"coarse \(0-2\), middle \(3-6\), fine \(7\), all \(0-7"):
        choose_layers(asked, RESOLUTIONS)


def test_a_name_without_layers_is_explained() -> None:
    with pytest.raises(ConfigError, match=r"no fine layers \(64 px and up\).*middle \(1-2\)") as no:
        choose_layers("fine", (8, 16, 32))
    assert "fine (" not in str(no.value).split("It has")[1]


def test_every_layer_has_one_name_also_at_odd_sizes() -> None:
    named = named_layers((3, 6, 12, 24, 48, 7, 14, 28))
    assert named == {
        "coarse": (0, 1, 5),
        "middle": (2, 3, 6, 7),
        "fine": (4,),
        "all": tuple(range(8)),
    }


@pytest.mark.parametrize(
    ("layers", "text"),
    [((0, 1, 2, 3), "0-3"), ((0, 1), "0-1"), ((2, 5), "2,5"), ((0, 2, 3, 4, 7), "0,2-4,7")],
)
def test_layers_are_written_as_they_are_read(layers: tuple[int, ...], text: str) -> None:
    assert written(layers) == text
    assert choose_layers(text, RESOLUTIONS) == layers


def test_a_cell_has_the_rows_styles_but_for_the_columns_layers() -> None:
    painter = Painter()
    mixed = mix(painter, [1, 2, 2], [7, 9], "2-3")
    assert mixed.cells.shape == (3, 2, 3, 16, 16)
    assert mixed.layers == (2, 3)
    torch.testing.assert_close(mixed.rows[:2], painter.sample(2, seed=1))
    torch.testing.assert_close(mixed.columns[:1], painter.sample(1, seed=7))
    assert torch.equal(mixed.cells[1], mixed.cells[2])
    for i in range(3):
        for j in range(2):
            expected = mixed.rows[i].clone()
            expected[:, :, 2:4] = mixed.columns[j][:, :, 2:4]
            assert torch.equal(mixed.cells[i, j], expected)
            assert not torch.equal(expected, mixed.rows[i])


def test_all_layers_show_the_column() -> None:
    mixed = mix(Painter(), [1, 2], [3, 4, 5], "all")
    assert torch.equal(mixed.cells, mixed.columns[None].expand(2, -1, -1, -1, -1))


def test_many_cells_are_made_in_small_batches() -> None:
    painter = Painter()
    mixed = mix(painter, range(5), range(10, 19), [0])
    assert sum(painter.batches) == 14 + 45
    assert max(painter.batches) <= 16
    assert torch.equal(mixed.cells[4, 8, :, :, 0], mixed.columns[8, :, :, 0])
    assert torch.equal(mixed.cells[4, 8, :, :, 1:], mixed.rows[4, :, :, 1:])


def test_classes_are_those_of_the_rows_then_of_the_columns() -> None:
    painter = Painter(classes=("cat", "dog", "owl"))
    mixed = mix(painter, [1, 1], [1, 1], labels=["cat", "owl", 1])
    plain = painter.sample_latents(1, 1)[0, 0]
    for image, label in ((mixed.rows[0], 0), (mixed.rows[1], 2), (mixed.columns[0], 1)):
        assert image[0, 0, 0] == (plain + label).tanh()
    assert torch.equal(mixed.columns[1], mixed.rows[0])
    with pytest.raises(ConfigError, match="no class 'cow'"):
        mix(painter, [1], [2], labels=["cow"])
    with pytest.raises(ConfigError, match="without classes"):
        mix(Painter(), [1], [2], labels=["cat"])


def test_points_that_were_found_are_mixed_with_seeds() -> None:
    painter = Painter()
    mixed = mix(painter, [3, found(painter, "w+")], [found(painter, "w"), 4], "2-3")
    assert mixed.cells.shape[:2] == (3, 3)
    drawn = open_space(painter, "w+").draw(found(painter, "w+").values)
    torch.testing.assert_close(mixed.rows[1:], drawn)
    torch.testing.assert_close(mixed.rows[:1], painter.sample(1, seed=3))
    torch.testing.assert_close(mixed.columns[2:], painter.sample(1, seed=4))
    expected = drawn[0].clone()
    expected[:, :, 2:4] = mixed.columns[0][:, :, 2:4]
    torch.testing.assert_close(mixed.cells[1, 0], expected)
    only = mix(painter, [found(painter, "w")], [found(painter, "w")], truncation=0.0)
    torch.testing.assert_close(only.rows, mixed.columns[:2])


def found(painter: Painter, space: SpaceName) -> Points:
    """What `invert` might have found: two points."""
    shape = open_space(painter, space).shape
    values = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    return Points(space, values, ("a", "b"))


def test_truncation_pulls_sources_and_cells_to_the_centre() -> None:
    painter = Painter()
    mixed = mix(painter, [1], [2], truncation=0.0)
    centre = torch.tensor(0.25).tanh()
    for images in (mixed.rows, mixed.columns, mixed.cells):
        assert torch.equal(images[..., SHADES], centre.expand_as(images[..., SHADES]))
    assert torch.equal(mix(painter, [1], [2], truncation=1.0).cells, mix(painter, [1], [2]).cells)


def test_what_cannot_be_mixed() -> None:
    gan = Gan(GanConfig(width=4, latent_size=8), (3, 16, 16)).eval()
    with pytest.raises(ConfigError, match=r"no styles.*stylegan, stylegan2, stylegan3"):
        mix(gan, [1], [2])
    for rows, columns in (([], [1]), ([1], [])):
        with pytest.raises(ConfigError, match="rows and for its columns"):
            mix(Painter(), rows, columns)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_the_sheet_sets_the_sources_apart(channels: int, mode: str) -> None:
    mixed = mix(Painter(channels=channels), [1, 2], [3, 4, 5], "0-3")
    sheet = mixed.sheet()
    assert sheet.mode == mode
    filled = _filled(sheet)
    down, across = _bands(filled.any(1)), _bands(filled.any(0))
    assert len(down) == 3
    assert len(across) == 4
    for bands in (down, across):
        gaps = [start - end for (_, end), (start, _) in pairwise(bands)]
        assert gaps[0] > 5 * gaps[1]
        assert len(set(gaps[1:])) == 1
        assert len({end - start for start, end in bands}) == 1
    corner = filled[slice(*down[0]), slice(*across[0])]
    assert not corner.any()


def _filled(sheet: Image.Image) -> NDArray[np.bool_]:
    """Where the sheet is not paper; the painter's pictures have no white."""
    pixels = np.asarray(sheet).reshape(sheet.height, sheet.width, -1)
    filled: NDArray[np.bool_] = np.any(pixels != pixels[0, 0], axis=2)
    return filled


def _bands(filled: Any) -> list[tuple[int, int]]:
    """Where runs of True start and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], filled, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


@pytest.mark.parametrize("networks", ["stylegan", "stylegan2", "stylegan3-t"])
def test_a_stylegan(networks: StyleKind) -> None:
    model = tiny_stylegan(networks)
    mixed = mix(model, [1, 2], [3, 4], range(model.layers // 2), truncation=0.7)
    torch.testing.assert_close(mixed.rows, model.sample(2, 1, truncation=0.7))
    torch.testing.assert_close(mixed.columns, model.sample(2, 3, truncation=0.7))
    apart = (mixed.rows[0] - mixed.rows[1]).abs().max()
    for sources in (mixed.rows[:, None], mixed.columns[None]):
        assert (mixed.cells - sources).abs().amax((2, 3, 4)).min() > 0.01 * apart > 0
    whole = mix(model, [1, 2], [3, 4], "all", truncation=0.7)
    torch.testing.assert_close(whole.cells, mixed.columns[None].expand_as(whole.cells))
    with pytest.raises(ConfigError, match="from -2 to 2"):
        mix(model, [1], [2], truncation=7.0)
