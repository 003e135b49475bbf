import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from ganvas.data.augment import BGC, Ada, Group
from ganvas.errors import ConfigError
from tests.data.augment.drawing import GROUPS, Seeded, ada, everything, pictures

SHAPES = [(c, *size) for c in (1, 3, 4) for size in ((16, 16), (16, 24), (19, 17))]
NAMES = tuple(everything())


class Rows(Seeded):
    """A part of the rows of a larger batch."""

    def __init__(self, n: int, rows: slice) -> None:
        super().__init__(n)
        self.rows = rows

    def normal(self, *shape: int) -> Tensor:
        return super().normal(*shape)[self.rows]

    def uniform(self, *shape: int) -> Tensor:
        return super().uniform(*shape)[self.rows]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_strength_0_changes_no_bit(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    images = pictures(3, *shape, dtype=dtype)
    result = Ada(shape, GROUPS, strength=0)(images, Seeded(3))
    assert result.dtype == dtype
    assert torch.equal(result, images)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_strength_1_changes_every_shape(shape: tuple[int, int, int], group: Group) -> None:
    images = pictures(8, *shape)
    result = Ada(shape, (group,), strength=1)(images, Seeded(8))
    assert result.shape == images.shape
    assert result.isfinite().all()
    assert (result != images).flatten(1).any(1).sum() >= 7  # a blit may come to nothing


def test_the_paper_s_choice_is_the_default_and_the_order_is_the_pipeline_s() -> None:
    images = pictures(4, 3, 16, 16)
    default = Ada((3, 16, 16), strength=0.8)(images, Seeded(4))
    backwards = Ada((3, 16, 16), BGC[::-1], strength=0.8)(images, Seeded(4))
    assert torch.equal(default, backwards)
    assert set(BGC) == {"blit", "geometry", "colour"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_done_does_not_depend_on_the_picture(name: str) -> None:
    """With the same numbers the same is done to reals as to fakes: an affine map of the pixels."""
    augment = everything()[name]
    reals, fakes = pictures(16, 3, 16, 16).double(), pictures(16, 3, 16, 16).flip(0, 3).double()
    between, *ends = (
        augment(images, Seeded(16, seed=5))
        for images in (0.25 * reals + 0.75 * fakes, reals, fakes)
    )
    torch.testing.assert_close(between, 0.25 * ends[0] + 0.75 * ends[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_the_same_in_any_split_of_the_batch(name: str) -> None:
    augment, images = everything()[name], pictures(6, 3, 16, 16)
    whole = augment(images, Seeded(6))
    parts = [augment(images[rows], Rows(6, rows)) for rows in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-6, rtol=1e-5)


def test_what_is_drawn_does_not_depend_on_values() -> None:
    asked = []
    for strength, seed, value in ((0.0, 0, 1.0), (0.5, 1, -1.0), (1.0, 2, 0.0)):
        draws = Seeded(4, seed)
        Ada((3, 16, 16), GROUPS, strength=strength)(torch.full((4, 3, 16, 16), value), draws)
        asked.append(draws.calls)
    assert asked[0] == asked[1] == asked[2]


@pytest.mark.parametrize("name", NAMES)
def test_no_value_is_waited_for(name: str) -> None:
    """A fake tensor has no values: reading one (`.item()`, `if`, a mask as index) is an error."""
    with FakeTensorMode():
        augment = everything()[name]

        class Fake(Seeded):
            def normal(self, *shape: int) -> Tensor:
                return torch.empty(self.n, *shape)

            uniform = normal

        assert augment(torch.empty(4, 3, 16, 16), Fake(4)).shape == (4, 3, 16, 16)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_images_are_computed_in_float32(name: str) -> None:
    augment, images = everything()[name], pictures(8, 3, 16, 16, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        result = augment(images, Seeded(8))
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, augment(images.float(), Seeded(8)).bfloat16())


@pytest.mark.parametrize("group", ["colour", "filter", "noise"])
def test_alpha_has_no_colours(group: Group) -> None:
    images = pictures(8, 4, 16, 16)
    result = ada((group,), (4, 16, 16))(images, Seeded(8))
    assert torch.equal(result[:, 3], images[:, 3])
    in_colour = ada((group,))(images[:, :3], Seeded(8))
    torch.testing.assert_close(result[:, :3], in_colour)


@pytest.mark.parametrize("group", ["blit", "geometry", "cutout"])
def test_alpha_moves_with_its_picture(group: Group) -> None:
    images = pictures(8, 1, 16, 16).expand(-1, 4, -1, -1)
    result = ada((group,), (4, 16, 16))(images, Seeded(8))
    torch.testing.assert_close(result, result[:, :1].expand_as(result))


@pytest.mark.parametrize("shape", [(2,), (2, 32, 32), (3, 8, 16)])
def test_other_data_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="cannot work on data of shape"):
        Ada(shape)


def test_strength_rises_when_d_overfits_and_falls_when_it_does_not() -> None:
    augment = Ada((3, 16, 16), strength=0.5)
    augment.adapt(torch.tensor(0.61), 500)
    assert augment.strength.item() == pytest.approx(0.501)
    augment.adapt(torch.tensor(-0.2), 1000)
    assert augment.strength.item() == pytest.approx(0.499)


def test_strength_moves_on_the_average_over_256_images() -> None:
    """Of the signs, weighed by images: here (100 * 1 + 56 * 1 + 100 * 0) / 256 = 0.609."""
    augment = Ada((3, 16, 16), strength=0.5)
    for signs, images in ((1.0, 100), (1.0, 56)):
        augment.adapt(torch.tensor(signs), images)
        assert augment.strength == 0.5
    augment.adapt(torch.tensor(0.0), 100)
    assert augment.strength.item() == pytest.approx(0.5 + 256 / 500_000, abs=1e-7)
    augment.adapt(torch.tensor(-1.0), 255)
    assert augment.strength > 0.5  # begun anew


def test_it_takes_500_000_images_from_0_to_1_and_stays_within() -> None:
    augment = Ada((3, 16, 16))
    for _ in range(2490):
        augment.adapt(torch.tensor(1.0), 200)
    assert augment.strength.item() == pytest.approx(0.996, abs=1e-4)
    for _ in range(20):
        augment.adapt(torch.tensor(1.0), 200)
    assert augment.strength == 1
    for _ in range(2510):
        augment.adapt(torch.tensor(-1.0), 200)
    assert augment.strength == 0


@pytest.mark.parametrize("batch", [4, 16, 100, 256])
def test_strength_settles_where_d_meets_the_target(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A discriminator that overfits as r_t = 1 - p is at 0.6 where p = 0.4, for any batch."""
    monkeypatch.setattr("ganvas.data.augment.ada.IMAGES_TO_FULL_STRENGTH", 10_000)
    augment, generator = Ada((3, 16, 16)), torch.Generator().manual_seed(0)
    settled = []
    for shown in range(0, 40_000, batch):
        positive = torch.rand(batch, generator=generator) < 1 - augment.strength / 2
        augment.adapt(torch.where(positive, 1.0, -1.0).mean(), batch)
        if shown > 10_000:
            settled.append(augment.strength.item())
    assert sum(settled) / len(settled) == pytest.approx(0.4, abs=0.02)


def test_the_state_comes_back_to_the_bit() -> None:
    before, after = Ada((3, 16, 16), GROUPS), Ada((3, 16, 16), GROUPS)
    for _ in range(20):
        before.adapt(torch.tensor(0.9), 37)
    state = before.state_dict()
    assert {name: t.dtype for name, t in state.items()} == dict.fromkeys(
        ("strength", "shown", "signs"), torch.float32
    )
    after.load_state_dict(state)
    for _ in range(20):
        for augment in (before, after):
            augment.adapt(torch.tensor(0.7), 41)
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value)
    images = pictures(4, 3, 16, 16)
    assert torch.equal(after(images, Seeded(4)), before(images, Seeded(4)))


def test_its_filters_move_with_the_module() -> None:
    assert {b.device.type for b in Ada((3, 16, 16), GROUPS).to("meta").buffers()} == {"meta"}
