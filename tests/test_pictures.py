import base64
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.errors import RunError
from ganvas.pictures import data_uri, grid, save_png, scatter, to_uint8


def noise(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_default_columns_do_not_part_what_belongs_together() -> None:
    for count, height, width in ((128, 40, 64), (20, 32, 32), (36, 64, 64), (2, 16, 90)):
        sheet = grid(np.zeros((count, height, width, 3), np.uint8), padding=0, scale=1, together=2)
        assert sheet.width // width % 2 == 0


def test_every_byte_survives_the_round_trip_through_floats() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    back = to_uint8(every.float() / 127.5 - 1)
    assert back.dtype == np.uint8
    assert np.array_equal(back[0, :, :, 0], every[0, 0].numpy())


@pytest.mark.parametrize(
    ("value", "byte"),
    [
        (-1.0, 0),
        (1.0, 255),
        (-7.0, 0),
        (1.1, 255),
        (99.51 / 127.5 - 1, 100),
        (99.49 / 127.5 - 1, 99),
    ],
)
def test_values_are_rounded_and_clipped(value: float, byte: int) -> None:
    assert to_uint8(np.full((1, 1, 1, 1), value, np.float32)).item() == byte


def test_channels_move_last_and_half_precision_with_gradients_is_accepted() -> None:
    images = torch.stack([torch.full((2, 5), v) for v in (-1.0, 0.0, 1.0)])[None]
    result = to_uint8(images.bfloat16().requires_grad_())
    assert result.shape == (1, 2, 5, 3)
    assert result[0, 1, 4].tolist() == [0, 128, 255]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_images_that_are_not_finite_are_refused(bad: float) -> None:
    images = torch.zeros(3, 1, 2, 2)
    images[1, 0, 0, 1] = bad
    with pytest.raises(RunError, match="1 of 3 generated images"):
        to_uint8(images)


@pytest.mark.parametrize(
    ("channels", "mode", "gap"),
    [(1, "L", 255), (3, "RGB", (255, 255, 255)), (4, "RGBA", (0, 0, 0, 0))],
)
def test_a_sheet_shows_every_pixel_where_it_belongs(
    channels: int, mode: str, gap: int | tuple[int, ...]
) -> None:
    images = noise(5, 2, 3, channels)
    sheet = grid(images, columns=2, padding=1, scale=2)
    assert sheet.mode == mode
    assert sheet.size == (2 * 6 + 3, 3 * 4 + 4)
    pixels = np.asarray(sheet).reshape(sheet.height, sheet.width, channels)
    for index, image in enumerate(images):
        top, left = 1 + index // 2 * 5, 1 + index % 2 * 7
        for dy in (0, 1):
            for dx in (0, 1):
                assert np.array_equal(
                    pixels[top + dy : top + 4 : 2, left + dx : left + 6 : 2], image
                )
    assert {sheet.getpixel((0, y)) for y in range(sheet.height)} == {gap}
    assert (pixels[11:15, 8:14] == np.array(gap)).all()  # the sixth place is empty


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((64, 32, 32, 3), (8 * 96 + 18, 8 * 96 + 18)),
        ((10, 28, 28, 1), (4 * 196 + 10, 3 * 196 + 8)),
        ((64, 64, 64, 3), (8 * 128 + 18, 8 * 128 + 18)),
        ((16, 64, 16, 1), (8 * 96 + 18, 2 * 384 + 6)),  # tall images stand side by side
        ((2, 32, 32, 1), (2 * 384 + 6, 384 + 4)),
        ((1, 32, 32, 1), (804, 804)),
        ((1, 1000, 1000, 3), (1004, 1004)),
    ],
)
def test_the_default_sheet_is_comfortable_to_look_at(
    shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    assert grid(np.zeros(shape, np.uint8)).size == size


@pytest.mark.parametrize(
    ("images", "options"),
    [
        (np.zeros((2, 4, 4, 2), np.uint8), {}),
        (np.zeros((2, 4, 4, 3), np.float32), {}),
        (np.zeros((4, 4, 3), np.uint8), {}),
        (np.zeros((0, 4, 4, 3), np.uint8), {}),
        (np.zeros((2, 4, 4, 3), np.uint8), {"columns": 0}),
        (np.zeros((2, 4, 4, 3), np.uint8), {"padding": -1}),
        (np.zeros((2, 4, 4, 3), np.uint8), {"scale": 0}),
    ],
)
def test_a_sheet_of_something_else_is_refused(
    images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], options: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="a grid"):
        grid(images, **options)


def inked(picture: Image.Image, left: float, right: float) -> int:
    """Bluish pixels between two shares of the width, away from the frame."""
    area = picture.crop((int(picture.width * left), 60, int(picture.width * right), 720))
    pixels = np.asarray(area).astype(int)
    return int((pixels[..., 2] - pixels[..., 0] > 40).sum())


def test_points_are_drawn_at_fixed_limits_and_those_outside_are_counted() -> None:
    right = torch.tensor([[1.0, 0.0], [1.2, 0.4]])
    inside = scatter(right, torch.zeros(10, 2))
    assert (inside.mode, inside.size) == ("RGB", (800, 800))
    assert inked(inside, 0.1, 0.6) == 0
    assert inked(inside, 0.6, 0.95) > 20
    beyond = scatter(np.array([[1.0, 0.0], [1.2, 0.4], [40.0, 0.0], [np.nan, 0.0]]))
    assert inked(beyond, 0.6, 0.95) == inked(inside, 0.6, 0.95)
    corner = np.asarray(beyond.crop((60, 700, 400, 755))).astype(int)
    assert (corner[..., 0] - corner[..., 2] > 60).sum() > 50  # the red line of text


def test_a_png_keeps_its_pixels_and_its_description(tmp_path: Path) -> None:
    image = grid(noise(4, 8, 8, 4), scale=1)
    path = tmp_path / "new" / "sheet.png"
    save_png(image, path, {"seed": "7", "Löwe": "猫 & 犬"})
    with Image.open(path) as read:
        assert np.array_equal(np.asarray(read), np.asarray(image))
        assert read.info == {"seed": "7", "Löwe": "猫 & 犬"}
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]


def test_a_png_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"not a folder|already there"):
        save_png(Image.new("L", (1, 1)), tmp_path / "file" / "sheet.png")


def test_a_small_picture_is_embedded_without_loss() -> None:
    image = Image.fromarray(noise(20, 30, 3))
    uri = data_uri(image, side=100, limit=10_000)
    assert uri.startswith("data:image/png;base64,")
    assert np.array_equal(np.asarray(decoded(uri)), np.asarray(image))


@pytest.mark.parametrize(("channels", "kind"), [(1, "JPEG"), (3, "JPEG"), (4, "PNG")])
def test_an_embedded_picture_keeps_to_its_limits(channels: int, kind: str) -> None:
    pixels = noise(400, 600, channels)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    uri = data_uri(image, side=300, limit=20_000)
    small = decoded(uri)
    assert small.format == kind
    assert small.mode == image.mode
    assert max(small.size) <= 300
    assert small.width / small.height == pytest.approx(1.5, rel=0.02)
    assert len(base64.b64decode(uri.partition(",")[2])) <= 20_000
    assert image.size == (600, 400)  # the caller's picture is as it was


def test_importing_it_loads_neither_torch_nor_matplotlib() -> None:
    code = "import sys, ganvas.pictures; print({'torch', 'matplotlib'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
