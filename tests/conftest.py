"""What all tests share: a cache of their own, and tiny configurations of every model."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run: a change is judged by what it changes, not by luck. For a search
# with fresh ones: pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

os.environ["OMP_NUM_THREADS"] = "1"  # the suite runs in several processes


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's cache of packs out of the tests."""
    cache = tmp_path_factory.mktemp("cache")
    previous = os.environ.get("GANVAS_CACHE")
    os.environ["GANVAS_CACHE"] = str(cache)
    yield cache
    if previous is None:
        del os.environ["GANVAS_CACHE"]
    else:
        os.environ["GANVAS_CACHE"] = previous


@pytest.fixture(autouse=True)
def same_numbers_every_time() -> None:
    """Random numbers that do not depend on which tests ran before in this process."""
    import torch

    torch.manual_seed(0)
