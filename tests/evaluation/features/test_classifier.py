"""Features of a classifier trained on the data: what it learns, what is kept, what is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from ganvas.data.builtin.avatars import ATTRIBUTES, draw_attributes
from ganvas.data.config import DataConfig
from ganvas.data.pack import Pack, cache_folder, open_pack
from ganvas.errors import DataError
from ganvas.evaluation.features import classifier
from ganvas.evaluation.features.classifier import ClassifierFeatures, train_or_load_classifier
from ganvas.evaluation.features.classifier_training import Trained, fit_projection
from ganvas.evaluation.features.known import find_task, truth_of
from ganvas.networks.classifier import Classifier
from tests.data.making import fill_folder

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


def kept(pack: Pack) -> Path:
    key = classifier._key(pack, find_task(pack, AVATARS), None)
    return cache_folder() / "classifiers" / f"{key}.safetensors"


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
    assert avatars.accuracy["skin"] > 0.45
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
    kept(pack).unlink()
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


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_file_is_trained_anew(
    avatars: ClassifierFeatures, pack: Pack, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    train_or_load_classifier(pack, AVATARS, CPU, progress=False)
    path = kept(pack)
    whole, good = path.read_bytes(), classifier._read(path, find_task(pack, AVATARS))
    assert good is not None
    path.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "changed": whole[:-9] + bytes([whole[-9] ^ 64]) + whole[-8:],
            "empty": b"",
            "other": save({"weight": torch.zeros(2)}),
        }[damage]
    )
    calls = []

    def train(*args: object) -> Trained:
        calls.append(args)
        return good

    monkeypatch.setattr(classifier, "train_classifier", train)
    again = train_or_load_classifier(pack, AVATARS, CPU, progress=False)
    assert len(calls) == 1
    assert again.identity == avatars.identity
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_failure(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, avatars: ClassifierFeatures
) -> None:
    train_or_load_classifier(pack, AVATARS, CPU, progress=False)
    good = classifier._read(kept(pack), find_task(pack, AVATARS))
    (tmp_path / "classifiers").write_text("a file where the folder should be")
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path))
    monkeypatch.setattr(classifier, "train_classifier", lambda *args: good)
    said: list[str] = []
    again = train_or_load_classifier(pack, AVATARS, CPU, progress=False, say=said.append)
    assert again.identity == avatars.identity
    assert "GANVAS_CACHE" in said[-1]


def test_other_rows_are_another_classifier(pack: Pack) -> None:
    task = find_task(pack, AVATARS)
    keys = {
        classifier._key(pack, task, None),
        classifier._key(pack, task, np.arange(300)),
        classifier._key(pack, task, np.arange(1, 301)),
    }
    assert len(keys) == 3


def test_pictures_of_another_size_are_refused(avatars: ClassifierFeatures) -> None:
    with pytest.raises(DataError, match=r"16x16 .* 3 channels.* 20x16 .* 1 channel"):
        avatars.extract(torch.zeros(2, 1, 20, 16))
    with pytest.raises(DataError, match="points"):
        avatars.extract(torch.zeros(2, 2))


def test_data_without_labels_are_refused(tmp_path: Path) -> None:
    fill_folder(tmp_path / "flat", [f"{index}.png" for index in range(4)])
    fill_folder(tmp_path / "one" / "class", [f"{index}.png" for index in range(4)])
    for name, reason in (("flat", "has none"), ("one", "only one class|has none")):
        config = DataConfig(source=str(tmp_path / name), resolution=(16, 16))
        with pytest.raises(DataError, match=reason) as caught:
            train_or_load_classifier(open_pack(config, progress=False), config, CPU)
        assert "sub-folder" in str(caught.value)
        assert "--features random" in str(caught.value)


@pytest.mark.parametrize("config", [DataConfig(source="ring", images=50), AVATARS])
def test_what_no_network_could_see_is_refused(config: DataConfig, pack: Pack) -> None:
    pack = open_pack(config, progress=False)
    if config is AVATARS:
        pack = dataclasses.replace(pack, images=pack.images[:, :7])
    with pytest.raises(DataError, match=r"at least 8x8 pixels.*--features random"):
        train_or_load_classifier(pack, config, CPU)


def test_grey_pictures_in_folders_of_any_shape(tmp_path: Path) -> None:
    """Gradients down and across, 12 x 17: sides that do not halve, one channel."""
    rng = np.random.default_rng(0)
    for name, ramp in {"down": np.mgrid[:12, :17][0], "across": np.mgrid[:12, :17][1]}.items():
        (tmp_path / name).mkdir()
        for index in range(110):
            pixels = (10 * ramp + rng.uniform(0, 50, (12, 17))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    config = DataConfig(source=str(tmp_path), resolution=(12, 17))
    features = train_or_load_classifier(open_pack(config, progress=False), config, CPU)
    assert features.accuracy == {"class": 1.0}
    assert not features.knows_attributes
    with pytest.raises(DataError, match="Only of avatars"):
        features.attributes(torch.zeros(2, 1, 12, 17))


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((3, 8, 8), 4), ((4, 16, 31), 4), ((1, 28, 28), 7), ((3, 96, 96), 6), ((3, 150, 200), 5)],
)
def test_the_network_takes_any_size(shape: tuple[int, int, int], grid: int) -> None:
    network = Classifier(shape, outputs=5).eval()
    seen: list[Tensor] = []
    network.stages[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    vectors, outputs = network.describe(torch.rand(2, *shape) * 2 - 1)
    assert vectors.shape == (2, sum(network.sizes))
    assert outputs.shape == (2, 5)
    assert seen[0].shape[2] == grid


def test_the_projection_makes_distances_even() -> None:
    """Parts of very different scale get their shares; a dead number does no harm."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(4_000, 150, generator=generator)
    vectors[:, :50] *= 1_000
    vectors[:, 149] = 3
    centre, matrix = fit_projection(vectors, (50, 100))
    projected = (vectors - centre) @ matrix
    assert projected.shape == (4_000, 128)
    assert projected.mean(0).abs().max() < 1e-3
    covariance = torch.cov(projected.T)
    off_diagonal = covariance - covariance.diag().diag()
    assert off_diagonal.abs().max() < 1e-3 * covariance.max()
    first = (vectors[:, :50] - centre[:50]) @ matrix[:50]
    assert (first.var(0).sum() / projected.var(0).sum()).item() == pytest.approx(0.45, abs=0.1)
    few_centre, few = fit_projection(vectors[:40], (50, 100))  # fewer pictures than directions
    assert torch.isfinite((vectors - few_centre) @ few).all()


@pytest.mark.slow
def test_mnist_is_learnt_on_held_out_digits() -> None:
    if not MNIST.exists():
        pytest.skip("shared/data/mnist is not beside this checkout")
    config = DataConfig(source=str(MNIST), images=1_000)
    pack = open_pack(config, progress=False)
    features = train_or_load_classifier(pack, config, CPU, progress=False)
    assert features.accuracy["class"] > 0.85
