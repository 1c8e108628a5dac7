"""Programs that say who they are, under the supervisor, several killed at once: see test_supervisor.py."""

import os
import signal
import sys
import threading
from itertools import permutations

import psutil
from circus import get_arbiter
from circus.arbiter import Arbiter

from ops.stack.programs import Program
from ops.stack.supervisor import _watcher
from tests.waiting import eventually

NAMES = ("a", "b", "c")
#: Comes before the process ids of those that are there in the end.
KILLED = "-- in the end"
#: Says who it is, and no more.
TALK = "import os, signal\nprint(os.getpid(), flush=True)\nsignal.pause()"


def main() -> None:
    """Kill two of three in each order, each time before what they said was read to its end."""
    programs = [Program(name, (sys.executable, "-c", TALK)) for name in NAMES]
    arbiter = get_arbiter(
        [_watcher(one, {}, width=1) for one in programs],
        controller="inproc://controller",
        pubsub_endpoint="inproc://events",
        multicast_endpoint="",
        check_delay=0.3,
    )
    threading.Thread(target=_kill, args=(arbiter,), daemon=True).start()
    arbiter.start()


def _kill(arbiter: Arbiter) -> None:
    for names in list(permutations(NAMES, 2)) * 2:
        pids = eventually(lambda: _all_there(arbiter))
        arbiter.loop.add_callback(_kill_at_once, [pids[name] for name in names], arbiter)
        eventually(lambda pids=pids, names=names: not {pids[name] for name in names} & _running(arbiter))
    print(KILLED, *eventually(lambda: _all_there(arbiter)).values(), flush=True)


def _kill_at_once(pids: list[int], arbiter: Arbiter) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        # Dead, and not heard of yet: the loop that would hear of it is here.
        eventually(lambda pid=pid: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    arbiter.reap_processes()


def _all_there(arbiter: Arbiter) -> dict[str, int] | None:
    found = {one.name: next(iter(one.processes), 0) for one in arbiter.watchers}
    return found if all(found.get(name) for name in NAMES) else None


def _running(arbiter: Arbiter) -> set[int]:
    return {pid for one in arbiter.watchers for pid in one.processes}


if __name__ == "__main__":
    main()
