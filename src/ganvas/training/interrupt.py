"""Ctrl-C and SIGTERM end a training after the step at hand, not in the middle of one."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def graceful_stop(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether to stop; a second Ctrl-C stops at once.

    Does nothing outside the main thread, where Python delivers no signals.
    """
    asked = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        say("Stopping after this step and saving; press Ctrl-C again to stop at once.")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: asked
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, on_signal) for number in signals}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
