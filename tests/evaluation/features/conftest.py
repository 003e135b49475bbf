"""One set of each network's weights for all tests here."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ganvas.evaluation.features import inception
from tests.evaluation.features.seeded import GOLDEN, inception_state, tiny_dinov2


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of seeded weights that stands for the published one, its hash included."""
    if not GOLDEN.exists():
        pytest.skip("shared/golden is not there")
    path = tmp_path_factory.mktemp("weights") / inception.NAME
    torch.save(inception_state(), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
        yield path


@pytest.fixture(scope="session")
def dinov2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dinov2(tmp_path_factory.mktemp("dinov2"))
