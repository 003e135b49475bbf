"""Files that say what their numbers are: safetensors, with JSON in their metadata.

Such a file can hold nothing else, and so cannot do anything when it is read.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganvas.errors import DataError
from ganvas.files import atomic_write

SUFFIX = ".safetensors"
_KEY = "ganvas"
_LONGEST_NAME = 80

Facts = TypeVar("Facts", bound=BaseModel)


@dataclass(frozen=True)
class Form(Generic[Facts]):
    """One kind of file.

    Attributes:
        facts: What is said of the numbers.
        tensor: What they are called in the file.
        what: What it holds, in words: "points".
        advice: What to do about a file that is none, a sentence.
        largest: Bytes of a file that is still read.
    """

    facts: type[Facts]
    tensor: str
    what: str
    advice: str
    largest: int

    def write(self, path: Path, values: Tensor, facts: Facts) -> None:
        """Write numbers and what they are, atomically; raises RunError where that cannot be."""
        numbers = {self.tensor: values.detach().float().cpu().contiguous()}
        with atomic_write(path) as stream:
            stream.write(save(numbers, {_KEY: facts.model_dump_json()}))

    def read(self, path: Path) -> tuple[Facts, Tensor]:
        """The parts of a file, not yet compared with a model.

        Raises:
            DataError: There is no such file, it holds something else or is damaged.
        """
        if not path.is_file():
            raise DataError(f"there is no file {path}. {self.advice}")
        try:
            if path.stat().st_size > self.largest:
                raise self.refused(path, f"it is larger than any of {self.what}")
            with safe_open(path, framework="pt") as file:
                written = (file.metadata() or {})[_KEY]
                return self.facts.model_validate_json(written), file.get_tensor(self.tensor)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
        except (SafetensorError, ValidationError, KeyError, UnicodeDecodeError):
            raise self.refused(path, "its content is another") from None

    def refused(self, path: Path, why: str) -> DataError:
        """What to say of a file that is not of this kind."""
        return DataError(
            f"{path} is no file of {self.what}, or a damaged one: {why}. {self.advice}"
        )


def slug(text: str) -> str:
    """Words as the name of a file, which cannot leave the folder that it is put in."""
    return re.sub(r"[^\w+]+", "-", text)[:_LONGEST_NAME].strip("-") or "unnamed"
