from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.data.binarising import binarise
from ganvas.data.config import DataConfig
from ganvas.data.held_out import held_out_examples
from ganvas.data.pack import open_pack
from ganvas.errors import ConfigError


@pytest.mark.parametrize("level", [1, 64, 128, 200, 254])
def test_a_level_is_white_as_often_as_it_says(level: int) -> None:
    drawn = binarise(np.full((300, 300), level, np.uint8))
    assert set(np.unique(drawn)) == {0, 255}
    share = level / 255
    assert abs((drawn == 255).mean() - share) < 5 * (share * (1 - share) / drawn.size) ** 0.5


def test_black_and_white_stay_and_the_draw_depends_on_the_picture_alone() -> None:
    pure = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (9, 7, 3))
    assert (binarise(pure) == pure).all()
    grey = np.random.default_rng(1).integers(0, 256, (16, 16, 1), np.uint8)
    assert (binarise(grey) == binarise(grey.copy())).all()
    other = grey.copy()
    other[0, 0] ^= 1
    assert (binarise(other) != binarise(grey)).any()


def test_values_are_drawn_each_by_itself() -> None:
    drawn = binarise(np.full((400, 400), 128, np.uint8)).astype(float) / 255 - 128 / 255
    for a, b in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1])):
        assert abs((a * b).mean()) < 5 * 0.25 / a.size**0.5


def test_training_and_held_out_pictures_are_binarised_alike(tmp_path: Path) -> None:
    for config in (
        DataConfig(source="avatars", resolution=(16, 16), images=20, binarise=True),
        DataConfig(source=str(_greys(tmp_path)), binarise=True, held_out=8),
    ):
        pack = open_pack(config, cache=tmp_path / "cache", progress=False)
        unseen = held_out_examples(pack, config, "test", 8)
        assert len(unseen.images) >= 6
        for images in (pack.images, unseen.images):
            assert set(np.unique(images)) == {0, 255}


def test_a_pack_is_another_one_when_binarised(tmp_path: Path) -> None:
    config = DataConfig(source="digits", resolution=(8, 8))
    grey = open_pack(config, cache=tmp_path, progress=False)
    drawn = open_pack(config.model_copy(update={"binarise": True}), cache=tmp_path, progress=False)
    assert grey.folder != drawn.folder
    assert grey.fingerprint != drawn.fingerprint
    expected = np.stack([binarise(image) for image in grey.images])
    assert (drawn.images == expected).all()
    assert "binarise" not in grey.settings


def test_points_and_pairs_cannot_be_binarised(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="points of the plane"):
        open_pack(DataConfig(source="ring", binarise=True), cache=tmp_path, progress=False)
    with pytest.raises(ConfigError, match="one domain"):
        DataConfig.parse({"source": "x", "pair": "AB", "binarise": True})


def _greys(folder: Path) -> Path:
    random = np.random.default_rng(0)
    (folder / "greys").mkdir()
    for index in range(20):
        image = Image.fromarray(random.integers(0, 256, (16, 16), np.uint8))
        image.save(folder / "greys" / f"{index}.png")
    return folder / "greys"
