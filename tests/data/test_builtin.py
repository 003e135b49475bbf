"""The built-in data sets: avatars, 2-D toys, digits."""

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ganvas.data.builtin import avatar_layers, avatars, counter, digits, toys
from ganvas.data.builtin.counter import uniform
from ganvas.errors import ConfigError, DataError

DISCRETE = [a for a in avatars.ATTRIBUTES if a.kind == "discrete"]
CONTINUOUS = [a for a in avatars.ATTRIBUTES if a.kind == "continuous"]
VIEWS: tuple[avatars.View, ...] = ("image", "lines", "segmentation")

Values = dict[str, NDArray[Any]]


def codes(values: Values) -> dict[str, list[str]]:
    return {a.name: [a.values[c] for c in values[a.name]] for a in DISCRETE}


def where(values: Values, name: str, value: str) -> NDArray[np.intp]:
    return np.flatnonzero(np.array(codes(values)[name]) == value)


def edited(values: Values, name: str, value: str | float) -> Values:
    attribute = next(a for a in avatars.ATTRIBUTES if a.name == name)
    code = attribute.values.index(value) if isinstance(value, str) else np.float32(value)
    return values | {name: np.full_like(values[name], code)}


def chosen(values: Values, rows: NDArray[np.intp]) -> Values:
    return {name: value[rows] for name, value in values.items()}


# --- counter --------------------------------------------------------------------------------


def test_uniform_is_uniform_and_streams_are_independent() -> None:
    a, b = uniform(range(20_000), 0, "a"), uniform(range(20_000), 0, "b")
    c = uniform(range(20_000), 1, "a")
    for sample in (a, b, c):
        assert 0 <= sample.min() < 0.001
        assert 0.999 < sample.max() < 1
        counts = np.histogram(sample, 20, (0, 1))[0]
        assert np.sum((counts - 1000) ** 2 / 1000) < 45  # chi-squared, 19 degrees: p = 0.0007
    for other in (b, c, np.roll(a, 1)):
        assert abs(np.corrcoef(a, other)[0, 1]) < 0.03


def test_uniform_never_changes() -> None:
    """Golden values: another sequence would silently be another data set."""
    golden = [0.04124011, 0.71671863, 0.14785719]
    assert uniform(np.array([0, 1, 10**12]), 3, "golden") == pytest.approx(golden, abs=1e-8)


def test_hash_is_splitmix64() -> None:
    """The first output of the published generator from state 0."""
    assert counter._mix(np.zeros(1, np.uint64))[0] == 0xE220A8397B1DCDAF


# --- avatars: attributes --------------------------------------------------------------------


def test_there_are_ten_attributes_of_both_kinds() -> None:
    assert len(DISCRETE) >= 10
    assert len(CONTINUOUS) >= 5
    for attribute in DISCRETE:
        assert sum(attribute.probabilities) == pytest.approx(1)
        assert min(attribute.probabilities) >= 0.1  # every value is seen in a few thousand faces


def test_attributes_follow_the_table() -> None:
    count = 20_000
    drawn = avatars.draw_attributes(range(count))
    assert list(drawn) == [a.name for a in avatars.ATTRIBUTES]
    for attribute in DISCRETE:
        assert drawn[attribute.name].dtype == np.int64
        shares = np.bincount(drawn[attribute.name], minlength=len(attribute.values)) / count
        assert shares == pytest.approx(np.array(attribute.probabilities), abs=0.015)
    for attribute in CONTINUOUS:
        low, high = attribute.limits
        values = (drawn[attribute.name] - low) / (high - low)
        assert values.dtype == np.float32
        quantiles = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        assert quantiles == pytest.approx(np.linspace(0, 1, 5), abs=0.015)


def test_attributes_are_independent() -> None:
    drawn = avatars.draw_attributes(range(20_000))
    correlation = np.asarray(np.corrcoef(np.stack(list(drawn.values())).astype(np.float64)))
    assert np.abs(correlation - np.eye(len(drawn))).max() < 0.035


def test_attributes_depend_on_seed_and_index_alone() -> None:
    everyone = avatars.draw_attributes(range(1000), seed=7)
    some = np.array([999, 3, 500])
    few, others = (
        avatars.draw_attributes(some, seed=7),
        avatars.draw_attributes(range(1000), seed=8),
    )
    for name, values in everyone.items():
        assert np.array_equal(few[name], values[some])
        assert not np.array_equal(others[name], values)


# --- avatars: pictures ----------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_a_face_does_not_depend_on_its_batch(view: avatars.View) -> None:
    together = avatars.generate(range(300), (32, 32), view=view)  # three chunks
    assert np.array_equal(avatars.generate(range(130, 170), (32, 32), view=view), together[130:170])
    for index in range(0, 300, 23):
        alone = avatars.generate(range(index, index + 1), (32, 32), view=view)
        assert np.array_equal(alone[0], together[index])


@pytest.mark.parametrize("view", VIEWS)
def test_no_shape_leaves_its_box(view: avatars.View, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every continuous attribute at one of its limits, where shapes reach farthest."""
    faces = avatars.draw_attributes(range(1000), seed=4)
    for attribute in CONTINUOUS:
        upper = uniform(range(1000), 0, attribute.name) < 0.5
        faces[attribute.name] = np.where(upper, *attribute.limits)
    monkeypatch.setattr(avatars, "_CHUNK", 1)  # few faces at once: tight boxes
    boxed = avatars.render(faces, (32, 32), view)
    everywhere = (-99.0, -99.0, 99.0, 99.0)
    unboxed = tuple(replace(shape, box=everywhere) for shape in avatar_layers.LAYERS)
    monkeypatch.setattr(avatars, "LAYERS", unboxed)
    assert np.array_equal(avatars.render(faces, (32, 32), view), boxed)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("resolution", [(16, 16), (24, 40), (96, 64), (256, 256)])
def test_shapes_and_ranges(view: avatars.View, resolution: tuple[int, int]) -> None:
    pictures = avatars.generate(range(3), resolution, view=view)
    assert pictures.shape == (3, *resolution, 1 if view == "lines" else 3)
    assert pictures.dtype == np.uint8
    assert len(np.unique(pictures[0].reshape(-1, pictures.shape[-1]), axis=0)) > 5
    assert not np.array_equal(pictures[0], pictures[1])


def test_no_faces_at_all() -> None:
    assert avatars.generate(range(0), (32, 32)).shape == (0, 32, 32, 3)
    assert avatars.captions(avatars.draw_attributes(range(0))) == []


@pytest.mark.parametrize("view", ["image", "lines"])
def test_the_same_face_at_every_resolution(view: avatars.View) -> None:
    large = avatars.generate(range(24), (256, 256), view=view).astype(np.float32)
    for size, tolerance in ((128, 1), (64, 3), (32, 16)):
        factor = 256 // size
        shrunk = large.reshape(24, size, factor, size, factor, -1).mean((2, 4))
        drawn = avatars.generate(range(24), (size, size), view=view)
        error = np.abs(shrunk - drawn).mean((1, 2, 3))
        strangers = np.abs(np.roll(shrunk, 1, axis=0) - drawn).mean((1, 2, 3))
        assert error.max() < tolerance
        assert error.max() < strangers.min()


def test_beside_a_square_there_is_only_background_and_shirt() -> None:
    square = avatars.generate(range(20), (64, 64))
    wide, tall = avatars.generate(range(20), (64, 100)), avatars.generate(range(20), (100, 64))
    assert np.array_equal(wide[:, :, 18:82], square)
    assert np.array_equal(tall[:, 18:82], square)
    assert np.all(wide[:, :, :18] == wide[:, :1, :1])
    assert np.all(tall[:, :18] == tall[:, :1, :1])
    assert np.all(tall[:, -1] == tall[:, -8])  # the shirt goes on to the lower edge


@pytest.mark.parametrize("attribute", DISCRETE, ids=lambda a: a.name)
def test_every_value_changes_the_picture(attribute: avatars.Attribute) -> None:
    """Seen at 32x32 on every face, whatever else it wears, and plainly on nearly all."""
    faces = avatars.draw_attributes(range(200), seed=1)
    if attribute.name == "hat_colour":  # the documented exceptions to "every face"
        faces = chosen(faces, np.flatnonzero(faces["hat"]))
    if attribute.name == "eye_colour":
        sunny = np.isin(np.arange(len(faces["tilt"])), where(faces, "glasses", "sunglasses"))
        faces = chosen(faces, np.flatnonzero(~sunny))
    drawn = [
        avatars.render(edited(faces, attribute.name, value), (32, 32)).astype(np.int64)
        for value in attribute.values
    ]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            pixels = (np.abs(one - other).max(axis=3) >= 24).sum((1, 2))
            assert pixels.min() >= 1
            assert np.quantile(pixels, 0.05) >= 3


@pytest.mark.parametrize("attribute", CONTINUOUS, ids=lambda a: a.name)
def test_every_continuous_attribute_changes_the_picture(attribute: avatars.Attribute) -> None:
    faces = avatars.draw_attributes(range(100), seed=1)
    low, middle, high = (
        avatars.render(edited(faces, attribute.name, value), (64, 64)).astype(np.int64)
        for value in (attribute.limits[0], sum(attribute.limits) / 2, attribute.limits[1])
    )
    far, near = (np.abs(high - x).mean((1, 2, 3)) for x in (low, middle))
    assert far.min() > 0.04
    assert np.mean(far > near) > 0.95  # monotonic, as a direction in latent space should be


def test_hair_colour_shows_under_every_hat() -> None:
    faces = avatars.draw_attributes(range(300), seed=2)
    for hat in ("cap", "beanie"):
        black = edited(edited(faces, "hat", hat), "hair_colour", "black")
        pink = edited(black, "hair_colour", "pink")
        difference = avatars.render(black, (32, 32)).astype(int) - avatars.render(pink, (32, 32))
        seen = (np.abs(difference).max(axis=3) > 60).sum((1, 2))
        hairy = np.flatnonzero(faces["hair_style"])
        assert seen[hairy].min() >= 8


def test_segmentation_knows_what_is_worn() -> None:
    faces = avatars.draw_attributes(range(400), seed=3)
    maps = avatars.segment(faces, (64, 64))
    assert maps.shape == (400, 64, 64)
    names = codes(faces)
    classes = list(avatars.CLASSES)
    for part in ("glasses", "hat", "beard", "earrings"):
        worn = np.array(names[part]) != "none"
        area = (maps == classes.index(part)).sum((1, 2))
        assert np.array_equal(area > 0, worn)
        assert area[worn].min() >= 6
    for part in ("background", "skin", "shirt", "eyes", "brows", "nose", "mouth"):
        faces_seen = np.isin(np.arange(400), where(faces, "glasses", "sunglasses"), invert=True)
        area = (maps == classes.index(part)).sum((1, 2))
        assert area[faces_seen].min() >= 1, part
    bald = np.array(names["hair_style"]) == "bald"
    assert np.array_equal((maps == classes.index("hair")).any((1, 2)), ~bald)


def test_segmentation_picture_is_the_map_in_the_palette() -> None:
    faces = avatars.draw_attributes(range(10))
    palette = np.array([tuple(bytes.fromhex(c[1:])) for c in avatars.CLASSES.values()], np.uint8)
    assert len(np.unique(palette, axis=0)) == len(avatars.CLASSES)
    picture = avatars.render(faces, (48, 48), "segmentation")
    assert np.array_equal(picture, palette[avatars.segment(faces, (48, 48))])


def test_lines_are_black_on_white_and_do_not_tell_colours() -> None:
    faces = avatars.draw_attributes(range(50))
    lines = avatars.render(faces, (128, 128), "lines")
    assert np.all(np.median(lines, axis=(1, 2, 3)) == 255)
    assert np.all(lines.min((1, 2, 3)) == 0)
    recoloured = faces | {a.name: np.zeros_like(faces[a.name]) for a in COLOURS}
    assert np.array_equal(avatars.render(recoloured, (128, 128), "lines"), lines)


COLOURS = [a for a in DISCRETE if a.name.endswith("_colour") or a.name in ("skin", "background")]


def test_pictures_never_change_much() -> None:
    """Golden statistics, loose enough for the last bit of another platform's arithmetic."""
    pictures = avatars.generate(range(500), (32, 32)).astype(np.float64)
    assert pictures.mean((0, 1, 2)) == pytest.approx(GOLDEN_MEAN, abs=0.05)
    assert pictures.std(0).mean() == pytest.approx(GOLDEN_STD, abs=0.05)


GOLDEN_MEAN = [179.833, 167.966, 158.375]
GOLDEN_STD = 48.582


# --- avatars: captions ----------------------------------------------------------------------


def test_captions_name_what_is_there() -> None:
    faces = avatars.draw_attributes(range(500))
    names = codes(faces)
    for i, caption in enumerate(avatars.captions(faces)):
        face = {name: values[i] for name, values in names.items()}
        assert caption.startswith(f"a {face['expression']} ")
        assert ("bald" in caption) == (face["hair_style"] == "bald")
        assert ("glasses" in caption) == (face["glasses"] != "none")
        assert ("sunglasses" in caption) == (face["glasses"] == "sunglasses")
        assert ("full" in caption) == (face["beard"] == "full")
        assert ("moustache" in caption) == (face["beard"] == "moustache")
        assert (" earrings" in caption or " ear studs" in caption) == (face["earrings"] != "none")
        assert (f"{face['hat_colour']} {face['hat']}" in caption) == (face["hat"] != "none")
        assert f"{face['shirt_colour']} shirt" in caption
        assert caption.endswith(f"on a {face['background']} background")
        if face["hair_style"] != "bald" or face["beard"] != "none":
            assert f"{face['hair_colour']} " in caption
        assert "  " not in caption


def test_a_caption_word_for_word() -> None:
    face = avatars.draw_attributes(range(1))
    words = {
        "expression": "smiling",
        "hair_style": "long",
        "hair_colour": "red",
        "glasses": "round",
        "beard": "full",
        "hat": "cap",
        "hat_colour": "blue",
        "earrings": "none",
        "shirt_colour": "white",
        "background": "green",
    }
    for name, value in words.items():
        face = edited(face, name, value)
    assert avatars.captions(face) == [
        "a smiling person with long red hair, round glasses and a full beard, "
        "wearing a blue cap and a white shirt, on a green background"
    ]


# --- avatars: errors ------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [(15, 64), (64, 257), (0, 0)])
def test_resolutions_out_of_range(resolution: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="16 to 256"):
        avatars.generate(range(1), resolution)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"glases": np.zeros(4)}, "Did you mean 'glasses'"),
        ({"glasses": np.full(4, 4)}, r"0 \(none\), 1 \(round\)"),
        ({"glasses": np.full(4, 0.5)}, "integer codes"),
        ({"glasses": np.zeros(3, np.int64)}, r"shape \(3,\), not \(4,\)"),
        ({"tilt": np.full(4, np.nan)}, "from -9 to 9"),
        ({"tilt": np.array(["a"] * 4)}, "from -9 to 9"),
    ],
)
def test_attributes_that_cannot_be_drawn(change: Values, message: str) -> None:
    faces = avatars.draw_attributes(range(4))
    with pytest.raises(ConfigError, match=message):
        avatars.render(faces | change)
    with pytest.raises(ConfigError, match=message):
        avatars.captions(faces | change)


def test_limits_are_valid_in_double_precision() -> None:
    faces = avatars.draw_attributes(range(2))
    for attribute in CONTINUOUS:
        faces[attribute.name] = np.array(attribute.limits, np.float64)
    assert avatars.render(faces, (16, 16)).shape == (2, 16, 16, 3)


def test_missing_attributes_and_unknown_views() -> None:
    faces = avatars.draw_attributes(range(1))
    with pytest.raises(ConfigError, match="view 'depth'"):
        avatars.render(faces, (32, 32), "depth")  # type: ignore[arg-type]
    del faces["hat"]
    with pytest.raises(ConfigError, match="without hat"):
        avatars.render(faces)


# --- toys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(toys.MODES))
def test_points_are_stable(name: str) -> None:
    points, component = toys.sample_points(name, 1000, seed=5)
    assert points.shape == (1000, 2)
    assert points.dtype == np.float32
    assert component.dtype == np.int64
    first, first_component = toys.sample_points(name, 10, seed=5)
    assert np.array_equal(first, points[:10])
    assert np.array_equal(first_component, component[:10])
    assert not np.array_equal(toys.sample_points(name, 1000, seed=6)[0], points)
    assert 0.85 < np.abs(points).max() < 1.02


@pytest.mark.parametrize(("name", "count"), [("ring", 8), ("grid", 25)])
def test_points_lie_at_their_modes(name: str, count: int) -> None:
    modes = toys.MODES[name]
    assert modes is not None
    assert modes.centres.shape == (count, 2)
    points, component = toys.sample_points(name, 20_000)
    nearest = np.linalg.norm(points[:, None] - modes.centres, axis=2).argmin(1)
    assert np.array_equal(nearest, component)
    assert np.bincount(component) == pytest.approx(20_000 / count, rel=0.15)
    offset = (points - modes.centres[component]) / modes.std
    assert offset.mean(0) == pytest.approx(0, abs=0.03)
    assert np.cov(offset.T) == pytest.approx(np.eye(2), abs=0.04)


def test_swiss_roll_is_one_spiral() -> None:
    points, component = toys.sample_points("swiss-roll", 5000)
    assert toys.MODES["swiss-roll"] is None
    assert not component.any()
    radius, angle = np.linalg.norm(points, axis=1) * 15.5, np.arctan2(points[:, 1], points[:, 0])
    turns = (radius - angle) / (2 * np.pi)  # t is the angle plus whole turns
    assert np.abs(turns - np.rint(turns)).max() < 0.2
    assert radius.min() > 3.5


def test_unknown_toys() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'ring'"):
        toys.sample_points("rings", 3)
    with pytest.raises(ConfigError, match="0 or more"):
        toys.sample_points("ring", -1)
    assert toys.sample_points("ring", 0)[0].shape == (0, 2)


# --- digits ---------------------------------------------------------------------------------


def test_digits() -> None:
    pytest.importorskip("sklearn")
    images, labels = digits.load_digits()
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.uint8
    assert labels.shape == (1797,)
    assert labels.dtype == np.int64
    assert (images.min(), images.max()) == (0, 255)
    assert labels[:10].tolist() == list(range(10))
    zeros, ones = (images[labels == digit].mean(0)[3:5, 3:5].mean() for digit in (0, 1))
    assert zeros < 60 < 150 < ones  # a zero is hollow, a one is not


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match=r"pip install scikit-learn"):
        digits.load_digits()
