"""Classes of real pictures against those of a model."""

import pytest

from ganvas.errors import DataError
from ganvas.evaluation.classes import class_numbers


@pytest.mark.parametrize(("classes", "of_model", "expected"), [
    (("cat", "dog"), ("cat", "dog"), [0, 1]),
    (("dog", "cat"), ("cat", "dog"), [1, 0]),
    (("dog",), ("cat", "dog"), [1]),
    (("cat", "dog"), ("0", "1"), [0, 1]),  # imported
    (("1",), ("0", "1"), [1]),
])  # fmt: skip
def test_the_class_of_its_name(
    classes: tuple[str, ...], of_model: tuple[str, ...], expected: list[int]
) -> None:
    assert class_numbers(classes, of_model, "pictures").tolist() == expected


@pytest.mark.parametrize(("classes", "of_model"), [
    (("cat", "dog", "hen"), ("cat", "dog")),
    (("cat", "cow"), ("cat", "dog")),
    (("cat", "dog", "hen"), ("0", "1")),
])  # fmt: skip
def test_classes_that_the_model_lacks(classes: tuple[str, ...], of_model: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=f"pictures has the class .* {of_model[0]}, {of_model[1]}"):
        class_numbers(classes, of_model, "pictures")


def test_a_message_stays_short() -> None:
    with pytest.raises(DataError) as caught:
        class_numbers(("cat",), tuple(map(str, range(1_000))), "pictures")
    assert len(str(caught.value)) < 300
