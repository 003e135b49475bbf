"""Features of a classifier trained on the data: what it learns, what is kept, what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES, draw_attributes
from ganvas.data.config import DataConfig
from ganvas.data.pack import Pack, cache_folder, open_pack
from ganvas.errors import DataError
from ganvas.evaluation.features import classifier
from ganvas.evaluation.features.classifier import ClassifierFeatures, train_or_load_classifier
from ganvas.evaluation.features.classifier_training import fit_projection
from ganvas.evaluation.features.known import find_task, truth_of, visible
from ganvas.networks.classifier import Classifier
from tests.data.making import write_picture

CPU = torch.device("cpu")
AVATARS = DataConfig(source="avatars", images=400, resolution=(16, 16))
MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist" / "train.parquet"


@pytest.fixture(scope="module")
def pack() -> Pack:
    return open_pack(AVATARS, progress=False)


@pytest.fixture(scope="module")
def avatars(pack: Pack) -> ClassifierFeatures:
    return train_or_load_classifier(pack, AVATARS, CPU, progress=False)


def pictures(pack: Pack, count: int) -> Tensor:
    return torch.from_numpy(np.array(pack.images[:count])).permute(0, 3, 1, 2)


def kept() -> list[Path]:
    return sorted((cache_folder() / "classifiers").glob("*.safetensors"))


def test_row_i_of_a_pack_of_avatars_is_face_i(pack: Pack) -> None:
    truth = draw_attributes(range(len(pack)))
    assert pack.labels is not None
    np.testing.assert_array_equal(pack.labels, truth["hair_style"])


def test_truth_is_codes_and_standardised_numbers(pack: Pack) -> None:
    task = find_task(pack, AVATARS)
    rows = np.arange(5_000)
    truth = truth_of(task, None, rows)
    for i, attribute in enumerate(ATTRIBUTES):
        column = truth[:, i]
        if attribute.kind == "discrete":
            np.testing.assert_array_equal(column, draw_attributes(rows)[attribute.name])
        else:
            assert abs(column.mean()) < 0.05
            assert column.std() == pytest.approx(1, abs=0.02)


def test_it_learns_what_is_plain_to_see(avatars: ClassifierFeatures) -> None:
    assert list(avatars.accuracy) == [attribute.name for attribute in ATTRIBUTES]
    assert avatars.accuracy["background"] > 0.9
    assert avatars.accuracy["skin"] > 0.6
    assert avatars.accuracy["shift_y"] > 0.5


def test_attributes_are_in_their_own_units(avatars: ClassifierFeatures, pack: Pack) -> None:
    told = avatars.attributes(pictures(pack, 200))
    truth = draw_attributes(range(200))
    assert avatars.knows_attributes
    assert list(told) == [attribute.name for attribute in ATTRIBUTES]
    for attribute in ATTRIBUTES:
        values = told[attribute.name]
        assert values.shape == (200,)
        assert values.dtype == (torch.int64 if attribute.kind == "discrete" else torch.float32)
    assert np.mean(told["background"].numpy() == truth["background"]) > 0.9
    assert np.corrcoef(told["shift_y"], truth["shift_y"])[0, 1] > 0.7
    assert np.abs(told["shift_y"].numpy() - truth["shift_y"]).mean() < 0.02


def test_logits_are_those_of_the_classes(avatars: ClassifierFeatures, pack: Pack) -> None:
    images = pictures(pack, 50)
    extracted = avatars.extract(images)
    assert extracted.logits is not None
    assert extracted.logits.shape == (50, len(pack.classes))
    assert torch.equal(extracted.logits.argmax(1), avatars.attributes(images)["hair_style"])
    assert extracted.features.shape == (50, avatars.size)


def test_features_do_not_depend_on_the_batch(avatars: ClassifierFeatures, pack: Pack) -> None:
    images = pictures(pack, 300)
    one, seven, all_ = (avatars.extract(images, batch=size) for size in (1, 7, 500))
    torch.testing.assert_close(seven.features, one.features, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(all_.features, one.features, rtol=1e-5, atol=1e-5)


def test_features_notice_quality(avatars: ClassifierFeatures, pack: Pack) -> None:
    images = pictures(pack, 200)
    noise = 12 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    noisy = (images + noise).clamp(0, 255)
    blended = (images.float() + images.flip(0).float()) / 2
    clean = avatars.extract(images).features
    between = torch.cdist(clean, clean).fill_diagonal_(torch.inf).min(1).values.median()
    for worse in (noisy, blended):
        assert (avatars.extract(worse).features - clean).norm(dim=1).median() > 0.3 * between


def test_training_twice_gives_the_same_bits(avatars: ClassifierFeatures, pack: Pack) -> None:
    before = torch.get_rng_state()
    for path in kept():
        path.unlink()
    again = train_or_load_classifier(pack, AVATARS, CPU, progress=False)
    assert again.identity == avatars.identity
    assert again.accuracy == avatars.accuracy
    assert torch.equal(torch.get_rng_state(), before)


def test_what_was_trained_is_kept(
    avatars: ClassifierFeatures, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object) -> None:
        raise AssertionError("trained again")

    said: list[str] = []
    train_or_load_classifier(pack, AVATARS, CPU, progress=False)
    monkeypatch.setattr(classifier, "train_classifier", never)
    loaded = train_or_load_classifier(pack, AVATARS, CPU, progress=False, say=said.append)
    assert loaded.identity == avatars.identity
    assert loaded.accuracy == avatars.accuracy
    images = pictures(pack, 20)
    assert torch.equal(loaded.extract(images).features, avatars.extract(images).features)
    assert not said


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_trained_anew(
    avatars: ClassifierFeatures, pack: Pack, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    train_or_load_classifier(pack, AVATARS, CPU, progress=False)
    (path,) = kept()
    whole = path.read_bytes()
    broken = {
        "cut": whole[: len(whole) // 2],
        "flip": whole[:-9] + bytes([whole[-9] ^ 64]) + whole[-8:],
        "empty": b"",
    }[damage]
    path.write_bytes(broken)
    assert classifier._read(path) is None
    trained: list[bool] = []
    original = classifier.train_classifier

    def count(*args: object) -> classifier.Trained:
        trained.append(True)
        path.write_bytes(whole)
        kept_whole = classifier._read(path)
        assert kept_whole is not None
        return kept_whole

    monkeypatch.setattr(classifier, "train_classifier", count)
    again = train_or_load_classifier(pack, AVATARS, CPU, progress=False)
    assert trained
    assert again.identity == avatars.identity
    assert original is not count
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_failure(
    avatars: ClassifierFeatures, pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "classifiers").write_text("a file where the folder should be")
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))
    trained = classifier.Trained(
        {}, {}
    )  # never used: what is asked is only whether writing fails quietly
    assert not classifier._write(trained, tmp_path / "classifiers" / "x.safetensors")


def test_other_rows_are_another_classifier(pack: Pack) -> None:
    task = find_task(pack, AVATARS)
    keys = {
        classifier._key(pack, task, None),
        classifier._key(pack, task, np.arange(300)),
        classifier._key(pack, task, np.arange(1, 301)),
    }
    assert len(keys) == 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey pictures of 12 x 17 pixels, a gradient down or across, in two sub-folders."""
    root = tmp_path_factory.mktemp("gradients")
    rng = np.random.default_rng(0)
    ramps = {"down": np.linspace(0, 200, 12)[:, None], "across": np.linspace(0, 200, 17)[None]}
    for name, ramp in ramps.items():
        for index in range(110):
            pixels = np.broadcast_to(ramp, (12, 17)) + rng.uniform(0, 50, (12, 17))
            write_picture(root / name / f"{index}.png", pixels.astype(np.uint8))
    return root
