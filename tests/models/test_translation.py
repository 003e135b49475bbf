"""What models that translate share: one way through, whatever the size and the batch."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganvas import api
from ganvas.errors import ConfigError
from ganvas.models import build_model
from ganvas.models.translation import Direction, TranslationModel, Uniform, answers, side_by_side
from ganvas.networks.layers.reflection import reflected
from ganvas.networks.patchgan import patchgan
from ganvas.pictures import grid, to_uint8
from tests.tiny import TRANSLATING, tiny, train_quietly

SHAPE = (3, 16, 16)


def make(recipe: str, *settings: str) -> TranslationModel:
    torch.manual_seed(0)
    model = build_model(tiny(recipe, *settings).model, SHAPE, (), SHAPE)
    assert isinstance(model, TranslationModel)
    return model


def pictures(n: int, height: int = 16, width: int = 16) -> Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(n)) * 2 - 1


@pytest.mark.parametrize("recipe", TRANSLATING)
@pytest.mark.parametrize("sides", [(16, 16), (23, 50)])
def test_a_picture_alone_is_what_it_is_among_others(recipe: str, sides: tuple[int, int]) -> None:
    """Bit for bit: previews, files and evaluation come in other batches."""
    model, images = make(recipe), pictures(5, *sides)
    together = model.translate(images, seed=3)
    alone = [model.translate(images[i : i + 1].contiguous(), seed=3 + i) for i in range(5)]
    assert torch.equal(together, torch.cat(alone))
    torch.testing.assert_close(model.translate(images, seed=3, batch=2), together)
    layout = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(together, model.translate(layout, seed=3))


@pytest.mark.parametrize("recipe", TRANSLATING)
def test_pictures_of_another_size_do_not_move(recipe: str) -> None:
    """Padding is cropped off where it was added: what comes out lies where it went in."""
    model = make(recipe)
    model._generate = lambda images, direction, uniform: images.clone()  # type: ignore[method-assign]
    for sides in ((4, 4), (5, 40), (16, 16), (33, 17)):
        images = pictures(1, *sides)
        assert torch.equal(model.translate(images), images)


@pytest.mark.parametrize("recipe", TRANSLATING)
def test_generators_get_sides_that_they_can_take(recipe: str) -> None:
    model = make(recipe)
    seen: list[torch.Size] = []
    generate = model._generate

    def watched(images: Tensor, direction: Direction, uniform: Uniform) -> Tensor:
        seen.append(images.shape[2:])
        return generate(images, direction, uniform)

    model._generate = watched  # type: ignore[method-assign]
    for side in (4, 7, 9, 100):
        model.translate(pictures(1, side, 2 * side))
    for height, width in seen:
        assert height % model.multiple == width % model.multiple == 0
        assert min(height, width) >= 8


def test_seeds_are_of_pictures() -> None:
    """Picture i has the noise of seed + i; another seed is another picture."""
    model, image = make("pix2pix"), pictures(1)
    three = model.translate(image.expand(3, -1, -1, -1), seed=5)
    assert torch.equal(three[2:], model.translate(image, seed=7))
    assert not torch.equal(three[0], three[1])
    quiet = make("pix2pix", "model.dropout=0")
    assert torch.equal(quiet.translate(image, seed=1), quiet.translate(image, seed=2))


@pytest.mark.parametrize(
    ("recipe", "shape", "direction", "message"),
    [
        ("pix2pix", (1, 3, 16, 16), "BA", "translates AB, not BA.*cyclegan learns both"),
        ("pix2pix", (1, 1, 16, 16), "AB", r"RGB pictures \(3 channels\) in domain A.*ones of 1"),
        ("cyclegan", (1, 4, 16, 16), "BA", "in domain B.*ones of 4"),
        ("cyclegan", (1, 3, 16, 3), "AB", "3x16 pixels are too small"),
    ],
)
def test_refuses_what_it_cannot_translate(
    recipe: str, shape: tuple[int, ...], direction: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(recipe).translate(torch.zeros(shape), direction)  # type: ignore[arg-type]


def slopes(pad: Callable[[Tensor], Tensor]) -> Tensor:
    """Derivatives by the picture of a sum in which every pixel has another weight."""
    images = pictures(2, 5, 6).requires_grad_()
    padded = pad(images)
    weights = torch.arange(padded.numel(), dtype=torch.float32).view_as(padded)
    (gradient,) = torch.autograd.grad((weights * padded).sum(), images)
    return gradient


def test_reflected_is_torchs_and_goes_on_beyond_it() -> None:
    images = pictures(2, 5, 6)
    torch.testing.assert_close(
        reflected(images, 2, 3, 4), F.pad(images, (0, 0, 3, 4), mode="reflect"), rtol=0, atol=0
    )
    assert torch.equal(slopes(lambda x: reflected(x, 2, 3, 4)),
                       slopes(lambda x: F.pad(x, (0, 0, 3, 4), mode="reflect")))  # fmt: skip
    row = torch.tensor([0.0, 1, 2]).view(1, 1, 1, 3)
    assert reflected(row, 3, 5, 6).flatten().tolist() == [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0]


def test_side_by_side() -> None:
    grey, rgb, rgba = torch.full((2, 1, 1, 1), 0.5), pictures(2, 1, 1), torch.zeros(2, 4, 1, 1)
    rgba[:, 3] = torch.tensor([1.0, -1.0])[:, None, None]  # opaque, and nothing at all
    sheet = side_by_side(grey, rgb, rgba)
    assert sheet.shape == (6, 3, 1, 1)
    assert sheet[0].flatten().tolist() == [0.5] * 3
    assert torch.equal(sheet[4], rgb[1])
    assert sheet[2].flatten().tolist() == [0] * 3
    assert sheet[5].flatten().tolist() == [1] * 3
    assert side_by_side(grey, grey).shape == (4, 1, 1, 1)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("size", [(24, 24), (31, 40)])
def test_answers_are_those_of_the_discriminator(layers: int, size: tuple[int, int]) -> None:
    shape = (3, *size)
    logits = patchgan(shape, 4, layers, affine=False)(torch.zeros(1, *shape))
    assert answers(shape, layers) == logits.numel()


@pytest.mark.parametrize("recipe", TRANSLATING)
def test_sheets_of_a_training_are_what_its_model_translates(recipe: str, tmp_path: Path) -> None:
    """Bit for bit, from the saved weights, out of another process's memory layout."""
    from PIL import Image

    from ganvas.data.loader import to_model_range
    from ganvas.data.pack import open_pack
    from ganvas.training.run_folder import RunFolder

    run = train_quietly(tiny(recipe, "training.images=16"), tmp_path / "run")
    model = api.load_translator(run, device="cpu")
    config = RunFolder(run).read()
    pack = open_pack(config.data, needs_pairs=config.model.needs_pairs)
    assert pack.target is not None
    images, targets = (
        to_model_range(torch.from_numpy(part.images[:12].copy()).permute(0, 3, 1, 2))
        for part in (pack, pack.target)
    )
    cells = [images, model.translate(images)]
    if recipe == "pix2pix":
        cells += [targets]
    else:
        cells += [model.translate(cells[1], "BA"), targets, model.translate(targets, "BA")]
        cells += [model.translate(cells[4], "AB")]
    sheet = grid(to_uint8(side_by_side(*cells)), together=len(cells))
    with Image.open(run / "samples" / "000000016.png") as drawn:
        assert drawn.tobytes() == sheet.tobytes()
