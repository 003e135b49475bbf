import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganvas.data.decoding import (
    Geometry,
    NotGreyError,
    PictureError,
    decode,
    examine,
    quiet_pillow,
)
from ganvas.data.fitting import crop_box, pad_size
from tests.data.making import bomb, encode, picture

SMALL = Geometry((30, 40), 3, "stretch", "white")
sizes = st.tuples(st.integers(1, 90), st.integers(1, 90))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_modes_survive_as_the_picture_that_they_show(mode: str, channels: Any) -> None:
    data = encode(picture(mode))
    shown = Image.new("RGBA", (40, 30), "white")
    source = picture(mode) if mode != "I;16" else picture("L")
    shown.alpha_composite(source.convert("RGBA"))
    pixels = decode(data, Geometry((30, 40), channels, "crop", "white"))
    if channels == 4:
        expected = np.asarray(source.convert("RGBA"))
    else:
        expected = np.asarray(shown.convert("L" if channels == 1 else "RGB")).reshape(30, 40, -1)
    assert pixels.shape == (30, 40, channels)
    assert np.abs(pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("mode", "form"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "JPEG")])
def test_rare_colour_modes_are_converted(mode: str, form: str) -> None:
    pixels = decode(encode(picture(mode), form), SMALL)
    difference = pixels.astype(int) - np.asarray(picture(mode).convert("RGB"))
    assert np.abs(difference).mean() < 5


def test_transparency_of_a_palette_is_seen() -> None:
    image = picture("RGBA").quantize(64)
    shown = Image.new("RGBA", image.size, "white")
    shown.alpha_composite(image.convert("RGBA"))
    assert np.array_equal(decode(encode(image), SMALL), np.asarray(shown.convert("RGB")))


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    for form in ("PNG", "TIFF"):
        pixels = decode(
            encode(Image.fromarray(ramp), form), Geometry((4, 256), 1, "stretch", "white")
        )
        assert np.array_equal(pixels[0, :, 0], np.arange(256))


def test_sixteen_bits_are_rounded() -> None:
    values = np.array([[128, 129, 65406, 65407]], np.uint16)  # 257 levels make one of 8 bits
    pixels = decode(encode(Image.fromarray(values)), Geometry((1, 4), 1, "stretch", "white"))
    assert pixels.ravel().tolist() == [0, 1, 254, 255]


def test_a_transparent_grey_level_of_sixteen_bits_is_transparent() -> None:
    values = np.full((4, 4), 30_000, np.uint16)
    values[0, 0] = 500
    data = encode(Image.fromarray(values), transparency=500)
    pixels = decode(data, Geometry((4, 4), 4, "stretch", "white"))
    assert pixels[0, 0, 3] == 0
    assert (pixels.reshape(-1, 4)[1:, 3] == 255).all()


def test_floats_are_refused_because_their_white_is_unknown() -> None:
    data = encode(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    with pytest.raises(PictureError, match="floats"):
        decode(data, SMALL)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_rotation_is_undone(orientation: int, form: str) -> None:
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :16] = 255  # white at the top left
    inverse = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(np.ascontiguousarray(inverse)), form, exif=exif)
    pixels = decode(data, Geometry((32, 64), 3, "crop", "white"))
    assert np.abs(pixels.astype(int) - upright).mean() < 6
    assert examine(data).size == (64, 32)


def test_the_first_frame_of_an_animation_is_used() -> None:
    frames = [picture("RGB", seed=seed) for seed in range(3)]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encode(frames[0], form, save_all=True, append_images=frames[1:])
        pixels = decode(data, SMALL)
        assert np.abs(pixels.astype(int) - np.asarray(frames[0])).mean() < 8
        assert "animated" in {kind for kind, _ in examine(data).changes}


def test_alpha_is_composited_on_the_named_colour_or_kept() -> None:
    clear = encode(Image.new("RGBA", (8, 8), (10, 20, 30, 0)))
    red = decode(clear, Geometry((8, 8), 3, "crop", "#ff0000"))
    assert (red == [255, 0, 0]).all()
    assert (decode(clear, Geometry((8, 8), 4, "crop", "red"))[..., 3] == 0).all()


def test_transparent_pixels_do_not_bleed_into_their_neighbours() -> None:
    half = Image.new("RGBA", (64, 64), (0, 255, 0, 0))
    half.paste((255, 0, 0, 255), (0, 0, 32, 64))
    pixels = decode(encode(half), Geometry((8, 8), 3, "stretch", "white"))
    assert (pixels[..., 0] >= 250).all()  # red or white, never the hidden green


@given(size=sizes, target=sizes)
def test_crop_takes_the_largest_centred_box_of_the_target_shape(
    size: tuple[int, int], target: tuple[int, int]
) -> None:
    left, top, right, bottom = crop_box(size, target)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert (right - left) * target[1] == pytest.approx((bottom - top) * target[0])
    assert left + right == pytest.approx(size[0])
    assert top + bottom == pytest.approx(size[1])
    assert right - left == pytest.approx(size[0]) or bottom - top == pytest.approx(size[1])


@given(size=sizes, target=sizes)
def test_pad_fits_inside_and_touches_two_sides(
    size: tuple[int, int], target: tuple[int, int]
) -> None:
    width, height = pad_size(size, target)
    assert 1 <= width <= target[0]
    assert 1 <= height <= target[1]
    assert width == target[0] or height == target[1]


@given(
    size=sizes,
    resolution=sizes,
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    fit=st.sampled_from(["crop", "pad", "stretch"]),
    channels=st.sampled_from([1, 3, 4]),
)
def test_any_picture_gets_the_form_of_the_pack(
    size: tuple[int, int], resolution: tuple[int, int], mode: str, fit: Any, channels: Any
) -> None:
    data = encode(picture(mode, size))
    pixels = decode(data, Geometry(resolution, channels, fit, "black"))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (*resolution, channels)


@given(
    size=sizes,
    fit=st.sampled_from(["crop", "pad", "stretch"]),
    mode=st.sampled_from(["L", "RGB", "RGBA"]),
)
def test_a_picture_of_the_right_size_is_not_touched(
    size: tuple[int, int], fit: Any, mode: str
) -> None:
    image = picture(mode, size)
    channels: Any = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    pixels = decode(encode(image), Geometry((size[1], size[0]), channels, fit, "black"))
    assert np.array_equal(pixels, np.asarray(image).reshape(pixels.shape))


def test_padding_has_the_background_and_the_picture_is_in_the_middle() -> None:
    data = encode(Image.new("RGB", (20, 10), "black"))
    pixels = decode(data, Geometry((40, 40), 3, "pad", "lime"))
    assert (pixels[10:30] == 0).all()
    assert (pixels[:10] == [0, 255, 0]).all()
    assert (pixels[30:] == [0, 255, 0]).all()


def test_shrinking_is_antialiased() -> None:
    board = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)
    for form in ("PNG", "JPEG"):
        pixels = decode(
            encode(Image.fromarray(board), form), Geometry((32, 32), 1, "crop", "white")
        )
        assert np.abs(pixels.astype(int) - 127).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_a_file_cut_short_anywhere_is_refused_or_whole(form: str) -> None:
    """Never grey at the bottom: what decodes at all has the pixels of the whole file."""
    data = encode(picture(size=(64, 48)), form)
    geometry = Geometry((48, 64), 3, "stretch", "white")
    whole = decode(data, geometry)
    refused, kinds = 0, set()
    for length in range(0, len(data), max(1, len(data) // 60)):
        try:
            pixels = decode(data[:length], geometry)
        except PictureError as error:
            kinds.add(error.kind)
            refused += 1
            with pytest.raises(PictureError):
                examine(data[:length])
        else:
            assert np.array_equal(pixels, whole)
    assert refused >= 55
    assert kinds <= {"empty", "truncated", "not an image"}


@given(st.binary(max_size=300))
def test_noise_never_raises_anything_else(content: bytes) -> None:
    with quiet_pillow(), pytest.raises(PictureError):
        decode(content, SMALL)


@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
def test_flipped_bytes_never_raise_anything_else(form: str, data: st.DataObject) -> None:
    content = bytearray(encode(picture(size=(24, 16)), form))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with quiet_pillow(), contextlib.suppress(PictureError):
        assert decode(bytes(content), SMALL).shape == (30, 40, 3)


def test_bombs_are_refused_by_their_header() -> None:
    with pytest.raises(PictureError) as caught:
        decode(bomb(), SMALL)
    assert caught.value.kind == "bomb"


def test_postscript_is_not_handed_to_an_interpreter() -> None:
    with pytest.raises(PictureError, match="known format"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", SMALL)


def test_colour_is_refused_where_only_grey_was_expected() -> None:
    grey = Geometry((30, 40), 1, "crop", "white")
    with pytest.raises(NotGreyError):
        decode(encode(picture("RGB")), grey, only_grey=True)
    for mode in ("1", "L", "LA", "I;16"):
        decode(encode(picture(mode)), grey, only_grey=True)
