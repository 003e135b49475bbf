"""Reading pickles without running them.

A pickle is a program for a stack machine that may call any function there is. This machine cannot
call anything: a name in the file stands for itself, and only the names of a given vocabulary are
taken, each with a function of this package that makes plain data of what the file says. Any other
name is refused before anything is done with it, and so is every way around names (extension codes,
persistent ids, buffers). The standard library splits the file into operations (`pickletools`, which
executes nothing); `pickle` itself is not used.

What a small file could make large is bounded: no operation allocates more than the bytes that the
file has for it, the number of operations is limited, copies count as many, and keys are texts, so
that no hash is slow.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, BinaryIO, cast

from ganvas.errors import GanvasError

MOST_OPERATIONS = 3_000_000
"""The authors' largest files have about a tenth of it."""

_LONGEST_LINE = 65_536
_SHOWN = 80


class RefusedError(GanvasError):
    """A file is not read any further; the message is a half sentence that says why."""


@dataclass(frozen=True)
class Name:
    """A class or function that a file names, such as torch.FloatStorage: a text, nothing else."""

    text: str


@dataclass(eq=False)
class Record:
    """An object as a file describes it: the name of its class and its attributes, inert."""

    kind: str
    state: dict[str, object] = field(default_factory=dict)
    source: str = ""
    """The program text that came with it: to look for a notice in, never to run."""


Constructor = Callable[[tuple[object, ...]], object]
"""Makes plain data of the arguments that a file gives to a name; raises RefusedError."""

Vocabulary = Mapping[str, Constructor]
"""The names that a file may use."""


class Stream:
    """A binary file of known size; asked for more than is left, it gives what is left.

    Args:
        file: Open for reading, at its start.
        size: Bytes in it.
        advance: Called with the number of bytes just read.
    """

    def __init__(
        self, file: BinaryIO, size: int, advance: Callable[[int], None] = lambda count: None
    ) -> None:
        self._file = file
        self._advance = advance
        self.left = size

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; memory is taken for as many as there are, not as are asked for."""
        return self._read(self._file.read(max(0, min(size, self.left))))

    def readline(self) -> bytes:
        """Up to the next line feed, or the most that a line may have."""
        return self._read(self._file.readline(min(_LONGEST_LINE, self.left)))

    def _read(self, data: bytes) -> bytes:
        self.left -= len(data)
        self._advance(len(data))
        return data


class Budget:
    """How many operations are left."""

    def __init__(self, operations: int = MOST_OPERATIONS) -> None:
        self.left = operations

    def spend(self, operations: int) -> None:
        """Raise RefusedError where that is more than is left."""
        self.left -= operations
        if self.left < 0:
            raise RefusedError(
                f"it has more than {MOST_OPERATIONS:,} operations, far beyond any of the authors' "
                "files: it may be meant to use up time and memory"
            )


def read_pickle(
    stream: Stream,
    vocabulary: Vocabulary,
    budget: Budget,
    persistent: Constructor | None = None,
) -> object:
    """The plain data that a pickle describes; reading ends after its last operation.

    Args:
        stream: Where to read from.
        vocabulary: The names that may occur, with their constructors.
        budget: How many operations there may be; what is used is taken from it.
        persistent: Makes data of the tuple that identifies an object outside of the pickle.

    Returns:
        Numbers, texts, bytes, lists, tuples, dicts and sets (of texts), `Name`s, and what the
        constructors return.

    Raises:
        RefusedError: It names something else, needs to run something, is damaged or too large.
    """
    machine = _Machine(vocabulary, budget, persistent)
    try:
        for operation, argument, _ in pickletools.genops(cast("IO[bytes]", stream)):
            budget.spend(1)
            machine.do(operation.name, argument)
    except (ValueError, UnicodeError, OverflowError) as error:  # by pickletools
        raise RefusedError(_damage(str(error))) from None
    return machine.pop()


class _Machine:
    """The stack, the marks on it and the memo."""

    def __init__(
        self, vocabulary: Vocabulary, budget: Budget, persistent: Constructor | None
    ) -> None:
        self.vocabulary, self.budget, self.persistent = vocabulary, budget, persistent
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def do(self, operation: str, argument: object) -> None:
        """One operation."""
        if operation in _IGNORED:
            return
        if operation in _VALUES:
            self.stack.append(argument)
        elif operation in _NEW:
            self.stack.append(_NEW[operation]())
        elif operation in _OPERATIONS:
            _OPERATIONS[operation](self, argument)
        else:
            raise RefusedError(
                f"it uses the pickle operation {operation}, which none of the authors' files needs "
                "and which could reach what the file has no business with"
            )

    def pop(self) -> object:
        """The topmost value."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise RefusedError(_damage("a value is missing"))
        return self.stack.pop()

    def pop_marked(self) -> list[object]:
        """The values above the last mark."""
        if not self.marks:
            raise RefusedError(_damage("a mark is missing"))
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self) -> object:
        """The topmost value, which stays."""
        self.stack.append(value := self.pop())
        return value

    def tuple_of(self, count: int) -> None:
        """Make one tuple of the topmost values."""
        values = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(values)))

    def remember(self, index: object) -> None:
        """Store the topmost value under a number."""
        if not isinstance(index, int) or index < 0:
            raise RefusedError(_damage("a stored value has no number"))
        self.memo[index] = self.top()

    def recall(self, index: object) -> None:
        """Push the value stored under a number."""
        if not isinstance(index, int) or index not in self.memo:
            raise RefusedError(_damage("it refers to a value that it never stored"))
        self.stack.append(self.memo[index])

    def append(self, values: list[object]) -> None:
        """Add to the list on top, or to the set of texts."""
        match self.top():
            case list() as target:
                target.extend(values)
            case set() as target:
                target.update(_key(value) for value in values)
            case _:
                raise RefusedError(_damage("it appends to what is no list"))

    def store(self, values: list[object]) -> None:
        """Add keys and values in turn to the dict on top."""
        target = self.top()
        if not isinstance(target, dict) or len(values) % 2:
            raise RefusedError(_damage("it stores an item in what is no dict"))
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key)] = value

    def name(self, text: str) -> None:
        """Push a name of the vocabulary."""
        if text not in self.vocabulary:
            raise RefusedError(
                f"it asks for {shown(text)}, which is none of the classes that such files are made "
                "of. Nothing of it was executed"
            )
        self.stack.append(Name(text))

    def name_on_stack(self) -> None:
        """Push the name whose module and rest are on the stack."""
        rest, module = self.pop(), self.pop()
        if not isinstance(rest, str) or not isinstance(module, str):
            raise RefusedError(_damage("a name is not a text"))
        self.name(f"{module}.{rest}")

    def construct(self) -> None:
        """Let the constructor of a name make data of its arguments."""
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise RefusedError(
                "it calls what is not one of the classes that such files are made of. Nothing of "
                "it was executed"
            )
        copied = (len(a) for a in arguments if isinstance(a, list | tuple | dict | set))
        self.budget.spend(sum(copied))
        self.stack.append(self.vocabulary[function.text](arguments))

    def build(self) -> None:
        """Give the record on top its attributes."""
        state, target = self.pop(), self.top()
        if not isinstance(target, Record) or not isinstance(state, dict | tuple):
            raise RefusedError(_damage("it gives attributes to what has none"))
        self.budget.spend(len(state))
        target.state.update(state if isinstance(state, dict) else {"": state})

    def identify(self) -> None:
        """Replace the identity on top by the object it stands for."""
        if self.persistent is None:
            raise RefusedError(
                "it refers to an object outside of the file (a persistent id), which none of the "
                "authors' files does"
            )
        identity = self.pop()
        self.stack.append(self.persistent(identity if isinstance(identity, tuple) else (identity,)))

    def global_name(self, argument: object) -> None:
        """Push the name that stands in the operation itself: module, space, rest."""
        self.name(str(argument).replace(" ", ".", 1))


_IGNORED = {"PROTO", "FRAME", "STOP"}
_VALUES = {
    *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_NEW: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_OPERATIONS: dict[str, Callable[[_Machine, object], None]] = {
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: _forget(m.pop()),
    "POP_MARK": lambda m, _: _forget(m.pop_marked()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_marked())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "LIST": lambda m, _: m.stack.append(m.pop_marked()),
    "DICT": lambda m, _: _new_dict(m),
    "APPEND": lambda m, _: m.append([m.pop()]),
    "APPENDS": lambda m, _: m.append(m.pop_marked()),
    "ADDITEMS": lambda m, _: m.append(m.pop_marked()),
    "SETITEM": lambda m, _: m.store([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, _: m.store(m.pop_marked()),
    "FROZENSET": lambda m, _: m.stack.append({_key(value) for value in m.pop_marked()}),
    "PUT": lambda m, index: m.remember(index),
    "BINPUT": lambda m, index: m.remember(index),
    "LONG_BINPUT": lambda m, index: m.remember(index),
    "MEMOIZE": lambda m, _: m.remember(len(m.memo)),
    "GET": lambda m, index: m.recall(index),
    "BINGET": lambda m, index: m.recall(index),
    "LONG_BINGET": lambda m, index: m.recall(index),
    "GLOBAL": lambda m, name: m.global_name(name),
    "STACK_GLOBAL": lambda m, _: m.name_on_stack(),
    "REDUCE": lambda m, _: m.construct(),
    "NEWOBJ": lambda m, _: m.construct(),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.identify(),
}


def _forget(value: object) -> None:
    """Nothing."""


def _new_dict(machine: _Machine) -> None:
    values = machine.pop_marked()
    machine.stack.append({})
    machine.store(values)


def _key(value: object) -> str:
    if not isinstance(value, str):
        raise RefusedError("it has a dict or a set with keys that are no texts")
    return value


def _damage(reason: str) -> str:
    if "exhausted" in reason or "remain" in reason or "not enough data" in reason:
        return "it ends in the middle: it was cut off on its way, so fetch it again"
    return f"it is damaged or no pickle ({shown(reason)})"


def shown(text: str) -> str:
    """A text of a file, fit for a terminal: short, on one line, without control characters."""
    printable = ascii(text)[1:-1]
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}..."
