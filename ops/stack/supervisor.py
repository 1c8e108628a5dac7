"""Running the programs: started together, restarted when they die, one log, all ended together."""

import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any, Final, TextIO

from circus import get_arbiter

from ops.stack.programs import CHECKOUT, Program

_INSIST_SECONDS: Final = 0.5


class _Prefixed:
    """Writes what a program prints, line by line, behind its name."""

    def __init__(self, name: str, width: int, output: TextIO) -> None:
        self._prefix = f"{name:{width}} | "
        self._output = output
        self._rest = b""

    def __call__(self, message: Mapping[str, Any]) -> None:
        *lines, self._rest = (self._rest + message["data"]).split(b"\n")
        for line in lines:
            print(self._prefix + line.decode(errors="replace"), file=self._output, flush=True)

    def close(self) -> None:
        if self._rest:
            self({"data": b"\n"})


def supervise(
    programs: Iterable[Program], environment: Mapping[str, str], when_started: Callable[[], bool]
) -> bool:
    """Run the programs until SIGINT or SIGTERM, or until `when_started` gives False.

    `when_started` runs beside them, in a thread; what it gave last is returned.
    """
    listed = list(programs)
    width = max(len(program.name) for program in listed)
    arbiter = get_arbiter(
        [_watcher(program, environment, width) for program in listed],
        # Control by other processes is not wanted: the endpoints stay inside this one.
        controller="inproc://controller",
        pubsub_endpoint="inproc://events",
        multicast_endpoint="",
        # How often it looks for programs that have ended: nobody listens for callbacks meanwhile.
        check_delay=0.5,
    )
    # Its own timer can find it stopping, and remarks on that with a traceback.
    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)
    logging.getLogger("circus").setLevel(logging.CRITICAL)
    _insist_on_stopping()
    outcome = _Outcome()
    threading.Thread(target=outcome.decide, args=(when_started,), daemon=True).start()
    try:
        arbiter.start()
    finally:
        outcome.is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
    return outcome.good


def _insist_on_stopping() -> None:
    """Repeat what a signal asks for until it is heeded: circus drops it while it starts programs."""
    stop = signal.getsignal(signal.SIGTERM)
    if not callable(stop):
        raise TypeError("circus no longer handles SIGTERM by a function")

    def insist(_: int, frame: FrameType | None) -> None:
        stop(signal.SIGTERM, frame)
        signal.setitimer(signal.ITIMER_REAL, _INSIST_SECONDS)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, insist)


class _Outcome:
    def __init__(self) -> None:
        self.good = True
        self.is_over = False

    def decide(self, when_started: Callable[[], bool]) -> None:
        good = False
        try:
            good = when_started()
        finally:
            # Once everything is being stopped, nobody needs to be told to stop.
            if not good and not self.is_over:
                self.good = False
                os.kill(os.getpid(), signal.SIGTERM)


def _watcher(program: Program, environment: Mapping[str, str], width: int) -> dict[str, Any]:
    stream = {"stream": _Prefixed(program.name, width, sys.stdout)}
    executable, *arguments = program.command
    return {
        "name": program.name,
        "cmd": executable,
        "args": arguments,
        "working_dir": str(CHECKOUT),
        "env": {**os.environ, **environment, **program.environment},
        "stdout_stream": stream,
        "stderr_stream": stream,
        # Only the program itself is told to stop; it knows how to end its own children.
        "stop_children": False,
        "graceful_timeout": program.patience,
        # Tried again for as long as the stack runs, a moment apart.
        "max_retry": -1,
        "hooks": {"before_reap": (_let_go, True)},
    }


def _let_go(watcher: Any, process_pid: int, **_: Any) -> bool:
    """Let go of the pipes of a program that has ended, with what it said last, before circus closes them.

    Circus does not, and their numbers go to whatever it starts next: where that is another program, nobody
    reads what it says, and it hangs as soon as its pipe is full.
    """
    process, redirector = watcher.processes[process_pid], watcher.stream_redirector
    for name, pipe in redirector.get_process_pipes(process):
        while not pipe.closed and select.select([pipe], [], [], 0)[0]:
            if not (said := os.read(pipe.fileno(), 65_536)):
                break
            redirector.get_stream(name)({"data": said, "pid": process_pid, "name": name})
    redirector.remove_redirections(process)
    return True
