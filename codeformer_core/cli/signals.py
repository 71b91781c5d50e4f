"""Signals that end a command: all of them as Ctrl-C does, with nothing left half-written."""

import contextlib
import signal
from collections.abc import Iterator

#: Beside SIGINT: what `kill`, a service manager and a container send; and a terminal that is closed. Windows lacks the second.
_NAMES = ("SIGTERM", "SIGHUP")


@contextlib.contextmanager
def signals_interrupt() -> Iterator[list[int]]:
    """SIGTERM and SIGHUP raise a KeyboardInterrupt with their number; yields the list of those that have come."""
    received: list[int] = []

    def interrupt(number: int, _: object) -> None:
        received.append(number)
        for one in previous:  # often both come, and the second must not disturb the cleaning up
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    handlers = {one: signal.getsignal(one) for name in _NAMES if (one := getattr(signal, name, None))}
    previous = {one: handler for one, handler in handlers.items() if handler != signal.SIG_IGN}  # nohup ignores SIGHUP
    with contextlib.suppress(ValueError):  # not in the main thread: the host program handles signals
        for one in previous:
            signal.signal(one, interrupt)
    try:
        yield received
    finally:
        with contextlib.suppress(ValueError):
            for one, handler in previous.items():
                signal.signal(one, handler or signal.SIG_DFL)


def interrupted_status(stop: KeyboardInterrupt) -> int:
    """The exit status after a signal, as shells have it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (stop.args or (signal.SIGINT,))[0]
