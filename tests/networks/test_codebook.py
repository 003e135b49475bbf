import pytest
import torch
from torch import Tensor

from ganvas.networks.layers.codebook import Codebook


def observe(book: Codebook, maps: Tensor, rows: slice, total: int, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    book.observe(maps, book(maps)[1], rows, total, generator)


def trained(book: Codebook, maps: Tensor, steps: int = 1) -> Codebook:
    for step in range(steps):
        observe(book, maps, slice(0, len(maps)), len(maps), step)
        book.learn()
    return book


def test_each_vector_gets_the_nearest_code_in_float32() -> None:
    torch.manual_seed(0)
    book = Codebook(50, 6, decay=0.9, revive_below=0.1)
    book.codes.normal_()
    maps = torch.randn(3, 6, 4, 5)
    vectors = maps.permute(0, 2, 3, 1).reshape(-1, 6)
    expected = torch.cdist(vectors.double(), book.codes.double()).argmin(1).view(3, 4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        codes, indices = book(maps)
    assert torch.equal(indices, expected)
    assert codes.dtype == torch.float32
    assert torch.equal(codes[1, :, 2, 3], book.codes[indices[1, 2, 3]])
    torch.testing.assert_close(book.look_up(indices), codes)


def test_codes_become_moving_averages_of_their_vectors() -> None:
    """Equations 6 to 8, by hand."""
    book = Codebook(2, 1, decay=0.75, revive_below=1e-9)
    book.codes.copy_(torch.tensor([[0.0], [10.0]]))
    book.uses.copy_(torch.tensor([2.0, 1.0]))
    book.sums.copy_(book.codes * book.uses[:, None])
    trained(book, torch.tensor([1.0, 3.0, 2.0, 8.0]).view(4, 1, 1, 1))
    torch.testing.assert_close(book.uses, torch.tensor([0.75 * 2 + 0.25 * 3, 1.0]))
    torch.testing.assert_close(book.codes[:, 0], torch.tensor([1.5 / 2.25, 7.5 + 2.0]))


def test_a_dead_code_takes_the_place_of_a_vector() -> None:
    book = Codebook(3, 2, decay=0.5, revive_below=0.1)
    near = torch.randn(8, 2, 2, 2)
    book.codes.copy_(torch.tensor([[0.0, 0.0], [900.0, 0.0], [0.0, 900.0]]))
    book.uses.fill_(10.0)
    book.sums.copy_(book.codes * 10)
    trained(book, near, steps=2)
    assert book.codes.max() > 800  # unused for a while is not dead
    trained(book, near, steps=8)
    assert book.codes.abs().max() < 10
    assert book.used() > 0.3


def test_the_first_update_puts_codes_among_the_vectors() -> None:
    torch.manual_seed(0)
    maps = 5 + torch.randn(16, 4, 8, 8)
    book = trained(Codebook(64, 4, decay=0.99, revive_below=0.05), maps)
    assert abs(book.codes.mean() - 5) < 0.5
    trained(book, maps, steps=3)
    assert book.perplexity() > 20


@pytest.mark.parametrize("parts", [2, 4])
def test_the_parts_of_a_batch_teach_what_the_whole_does(parts: int) -> None:
    torch.manual_seed(0)
    maps = torch.randn(8, 3, 4, 4)
    whole, split = (Codebook(16, 3, decay=0.9, revive_below=0.2) for _ in range(2))
    split.load_state_dict(whole.state_dict())
    for step in range(3):
        observe(whole, maps, slice(0, 8), 8, step)
        whole.learn()
        for part in torch.arange(8).chunk(parts):
            rows = slice(int(part[0]), int(part[-1]) + 1)
            observe(split, maps[rows], rows, 8, step)
        split.learn()
    torch.testing.assert_close(dict(split.state_dict()), dict(whole.state_dict()))


def test_perplexity_counts_codes_that_are_used_alike() -> None:
    book = Codebook(8, 2, decay=0.9, revive_below=0.1)
    assert book.perplexity() == 1
    assert book.used() == 0
    book.lately.copy_(torch.tensor([3.0, 3, 3, 3, 0, 0, 0, 0]))
    torch.testing.assert_close(book.perplexity(), torch.tensor(4.0))
    assert book.used() == 0.5


def test_what_is_under_way_is_not_saved() -> None:
    saved = Codebook(4, 2, decay=0.9, revive_below=0.1).state_dict()
    assert set(saved) == {"codes", "uses", "sums", "lately"}
