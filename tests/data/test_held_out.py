"""What is held out is never trained on, does not depend on the training, and is judged by."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ganvas.data.builtin import avatars
from ganvas.data.config import DataConfig
from ganvas.data.held_out import (
    MOST_TEST,
    MOST_VALIDATION,
    SplitName,
    count_held_out,
    held_out_examples,
    held_out_pairs,
    known_attributes,
    training_rows,
    training_target_rows,
)
from ganvas.data.loader import Loader
from ganvas.data.pack import Pack, open_pack
from ganvas.data.sources import open_source
from ganvas.errors import ConfigError

SPLITS: tuple[SplitName, ...] = ("validation", "test")


def numbered(count: int, *, labels: bool = True) -> Pack:
    """A pack whose pictures all carry their own number, in two bytes."""
    images: NDArray[Any] = np.zeros((count, 1, 2, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(count), 256)
    codes = np.arange(count) * 3 if labels else None
    return Pack(images, codes, (), "", (), Path(), {})


def numbers(images: NDArray[Any]) -> list[int]:
    wide = images.reshape(len(images), 2).astype(int)
    found: list[int] = (wide[:, 0] * 256 + wide[:, 1]).tolist()
    return found


def stored(held_out: Any = "auto") -> DataConfig:
    return DataConfig.parse({"source": "pictures", "held_out": held_out})


@given(
    count=st.integers(4, 700),
    share=st.floats(0, 1),
    batch=st.integers(1, 40),
    seed=st.integers(0, 2**63),
    start=st.integers(0, 10**9),
)
def test_no_batch_holds_a_picture_that_is_held_out(
    count: int, share: float, batch: int, seed: int, start: int
) -> None:
    pack, config = numbered(count), stored(round(share * (count - 2)))
    kept_back = [
        number
        for split in SPLITS
        for number in numbers(held_out_examples(pack, config, split, None).images)
    ]
    assert len(kept_back) == len(set(kept_back)) == config.held_out
    rows = training_rows(pack, config)
    loader = Loader(pack, batch=batch, seed=seed, rows=rows)
    images = np.concatenate([loader.fetch(start + i * batch)[0].numpy() for i in range(3)])
    assert not set(numbers(images.transpose(0, 2, 3, 1))) & set(kept_back)
    shown = count - len(kept_back)
    epoch = Loader(pack, batch=shown, seed=seed, rows=rows).fetch(shown * (start // shown))[0]
    assert sorted(numbers(epoch.numpy()) + kept_back) == list(range(count))


@pytest.mark.parametrize(
    ("count", "held_out", "validation"),
    [
        *[(2, 0, 0), (199, 0, 0), (200, 20, 5), (1797, 179, 44), (39_999, 3999, 999)],
        *[(60_000, 6000, 1000), (65_000, 6000, 1000)],
    ],
)
def test_how_many_are_held_out_by_default(count: int, held_out: int, validation: int) -> None:
    pack = numbered(count)
    assert count_held_out(pack, stored()) == held_out
    sizes = [len(held_out_examples(pack, stored(), split, None).indices) for split in SPLITS]
    assert sizes == [validation, held_out - validation]
    rows = training_rows(pack, stored())
    assert (len(rows) if rows is not None else count) == count - held_out
    assert (rows is None) == (held_out == 0)


def test_the_decided_number_gives_the_same_split() -> None:
    pack = numbered(500)
    by_default, decided = stored(), stored(count_held_out(numbered(500), stored()))
    for split in SPLITS:
        first, second = (held_out_examples(pack, c, split, None) for c in (by_default, decided))
        assert np.array_equal(first.indices, second.indices)


@pytest.mark.parametrize("split", SPLITS)
def test_examples_belong_together_and_fewer_are_the_first_of_more(split: SplitName) -> None:
    pack = numbered(600)
    whole = held_out_examples(pack, stored(100), split, None)
    assert numbers(whole.images) == whole.indices.tolist()
    assert whole.labels is not None
    assert whole.labels.tolist() == [3 * number for number in whole.indices.tolist()]
    assert whole.indices.tolist() != sorted(whole.indices.tolist())
    few = held_out_examples(pack, stored(100), split, 7)
    assert few.indices.tolist() == whole.indices[:7].tolist()
    assert np.array_equal(few.images, whole.images[:7])
    assert held_out_examples(numbered(600, labels=False), stored(100), split, 7).labels is None
    assert len(held_out_examples(pack, stored(0), split, 7).images) == 0


@pytest.mark.parametrize("held_out", [39, 40, 1000])
def test_too_many_held_out(held_out: int) -> None:
    with pytest.raises(ConfigError, match=rf"held_out={held_out:,} leaves [01] of the 40 pictures"):
        training_rows(numbered(40), stored(held_out))
    rows = training_rows(numbered(40), stored(38))
    assert rows is not None
    assert len(rows) == 2


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_more_avatars_are_drawn_as_the_pack_has_them(channels: int) -> None:
    config, larger = (
        DataConfig.parse({"images": n, "resolution": "16x20", "channels": channels})
        for n in (20, 50)
    )
    pack, more = open_pack(config, progress=False), open_pack(larger, progress=False)
    found = held_out_examples(pack, config, "validation", 30)
    assert found.images.dtype == np.uint8
    assert np.array_equal(found.images, more.images[20:])
    assert more.labels is not None
    assert found.labels is not None
    assert np.array_equal(found.labels, more.labels[20:])
    assert found.indices.tolist() == list(range(20, 50))
    assert training_rows(pack, config) is None
    assert count_held_out(pack, config) == 0


def test_the_splits_of_avatars_follow_each_other() -> None:
    config = DataConfig.parse({"source": "avatars:glasses", "images": 20, "resolution": 16})
    pack = open_pack(config, progress=False)
    validation = held_out_examples(pack, config, "validation", None)
    assert validation.indices.tolist() == list(range(20, 20 + MOST_VALIDATION))
    assert len(held_out_examples(pack, config, "validation", 5000).images) == MOST_VALIDATION
    test = held_out_examples(pack, config, "test", 300)
    start = 20 + MOST_VALIDATION
    assert test.indices.tolist() == list(range(start, start + 300))
    source: Any = open_source(config.source)
    assert np.array_equal(test.images, source.draw(range(start, start + 300), (16, 16)))
    assert test.labels is not None
    assert np.array_equal(test.labels, source.labels(range(start, start + 300)))


@pytest.mark.parametrize("toy", ["ring", "swiss-roll"])
def test_more_points_are_drawn(toy: str) -> None:
    config, larger = (DataConfig.parse({"source": toy, "images": n}) for n in (20, 7000))
    pack, more = open_pack(config, progress=False), open_pack(larger, progress=False)
    found = {split: held_out_examples(pack, config, split, None) for split in SPLITS}
    assert [len(examples.images) for examples in found.values()] == [MOST_VALIDATION, MOST_TEST]
    for examples in found.values():
        assert np.array_equal(examples.images, more.images[examples.indices])
        assert (examples.labels is None) == (pack.labels is None)
        if examples.labels is not None and more.labels is not None:
            assert np.array_equal(examples.labels, more.labels[examples.indices])
    assert found["test"].indices[0] == 20 + MOST_VALIDATION


def test_none_of_the_drawn_ones_can_be_asked_for() -> None:
    config = DataConfig.parse({"source": "ring", "images": 20})
    pack = open_pack(config, progress=False)
    assert len(held_out_examples(pack, config, "test", 0).images) == 0


def test_drawn_pictures_are_not_held_out() -> None:
    config = DataConfig.parse({"source": "ring", "images": 300, "held_out": 30})
    pack = open_pack(config, progress=False)
    with pytest.raises(ConfigError, match=r"held_out=30 does not apply to 'ring'"):
        training_rows(pack, config)
    assert training_rows(pack, config.model_copy(update={"held_out": 0})) is None


def test_the_pack_is_the_same_whatever_is_held_out() -> None:
    configs = [
        DataConfig.parse({"source": "digits", "images": 20, "held_out": n}) for n in ("auto", 0, 5)
    ]
    assert len({open_pack(config, progress=False).folder for config in configs}) == 1


def two_domains(first: int, second: int, *, paired: bool) -> Pack:
    return replace(numbered(first), target=numbered(second), paired=paired)


def test_pairs_are_held_out_together() -> None:
    pack = two_domains(400, 400, paired=True)
    config = DataConfig.parse({"source": "pictures", "pair": "AB"})
    rows = training_rows(pack, config)
    assert rows is not None
    of_target = training_target_rows(pack, config)
    assert of_target is not None
    assert np.array_equal(rows, of_target)
    seen: list[int] = rows.tolist()
    for split in SPLITS:
        ours, theirs = held_out_pairs(pack, config, split, None)
        assert numbers(ours.images) == numbers(theirs.images) == ours.indices.tolist()
        seen += numbers(ours.images)
    assert sorted(seen) == list(range(400))


@pytest.mark.parametrize(
    ("first", "second", "count"), [(400, 300, 30), (400, 150, 0), (50, 900, 0)]
)
def test_the_smaller_domain_decides_how_many_are_held_out(
    first: int, second: int, count: int
) -> None:
    pack = two_domains(first, second, paired=False)
    config = DataConfig.parse({"source": "pictures", "target": "others"})
    assert count_held_out(pack, config) == count
    decided = config.model_copy(update={"held_out": count})
    assert count_held_out(pack, decided) == count
    for total, rows, domain in (
        (first, training_rows(pack, config), 0),
        (second, training_target_rows(pack, config), 1),
    ):
        kept = [*range(total)] if rows is None else rows.tolist()
        for split in SPLITS:
            kept += numbers(held_out_pairs(pack, config, split, None)[domain].images)
        assert sorted(kept) == list(range(total))


def test_a_domain_too_small_for_what_should_be_held_out_is_named() -> None:
    pack = two_domains(400, 20, paired=False)
    config = DataConfig.parse({"source": "pictures", "target": "others", "held_out": 19})
    with pytest.raises(ConfigError, match=r"leaves 1 of the 20 pictures of others"):
        training_target_rows(pack, config)


@pytest.mark.parametrize("domains", ["segmentation,image", "none,round"])
def test_more_of_drawn_domains_is_drawn_and_its_truth_known(domains: str) -> None:
    config = DataConfig.parse(
        {"source": "avatars:glasses", "domains": domains, "images": 30, "resolution": 16}
    )
    pack = open_pack(config, progress=False)
    assert training_rows(pack, config) is training_target_rows(pack, config) is None
    test = held_out_pairs(pack, config, "test", 5)
    validation = held_out_pairs(pack, config, "validation", 5)
    assert validation[0].indices.tolist() == list(range(30, 35))
    truth = known_attributes(config, test)
    assert truth is not None
    for examples, attributes, view in zip(
        test, truth, ("segmentation" if "seg" in domains else "image", "image"), strict=True
    ):
        drawn = avatars.render(attributes, (16, 16), view)  # type: ignore[arg-type]
        assert np.array_equal(examples.images, drawn)
    same = all(np.array_equal(truth[0][name], truth[1][name]) for name in truth[0])
    assert same == pack.paired


def test_one_domain_may_be_drawn_and_the_other_stored() -> None:
    config = DataConfig.parse(
        {"source": "avatars", "target": "digits", "images": 300, "resolution": 16}
    )
    pack = open_pack(config, progress=False)
    assert count_held_out(pack, config) == 30
    assert training_rows(pack, config) is None
    rows = training_target_rows(pack, config)
    assert rows is not None
    assert len(rows) == 270
    ours, theirs = held_out_pairs(pack, config, "validation", 4)
    assert ours.indices.tolist() == [300, 301, 302, 303]
    assert not {*theirs.indices.tolist()} & {*rows.tolist()}
    assert known_attributes(config, (ours, theirs)) is None
