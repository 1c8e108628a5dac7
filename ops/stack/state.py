"""The state directory: who holds it, the secrets made for it, and the file that tells of the stack."""

import fcntl
import json
import os
import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from mpesa_balance.errors import MpesaBalanceError
from mpesa_balance.sealing import new_key

#: Marks every process that a stack starts, so that what a killed one left behind can be found.
#: Nobody else sets it: what carries it is ended.
MARK: Final = "MPESA_BALANCE_STACK_PROCESS"

ENV_FILE: Final = "stack.env"

#: Without these nothing that is sealed opens; the others can be made anew.
_KEYS: Final = frozenset({"SEALING_KEYS", "CALLBACK_KEYS"})

_PASSWORDS: Final = frozenset(
    {
        "FLOWER_PASSWORD",
        "REDIS_PASSWORD",
        "REDIS_WEBHOOKS_PASSWORD",
        "REDIS_CALLER_PASSWORD",
        "SIMULATOR_CONSUMER_SECRET",
        "SIMULATOR_INITIATOR_PASSWORD",
    }
)

#: Where the embedded Valkey keeps its data, below the state directory.
REDIS_FOLDER: Final = "redis"


class StateDirectory:
    """Where a stack keeps its data between runs. What is secret in it is private to its owner."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.env_file = self.path / ENV_FILE

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for this process. Raises MpesaBalanceError where another has it."""
        self._make()
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MpesaBalanceError(
                    f"A stack is running on {self.path} already: use it "
                    "(`mpesa-balance query 600000`), stop it, or choose another --state-dir"
                ) from None
            self._end_leftovers()
            self.env_file.unlink(missing_ok=True)
            os.environ[MARK] = str(self.path)
            try:
                yield
            finally:
                self.env_file.unlink(missing_ok=True)
                # A program that was told to stop while it was starting may not have heard it.
                self._end_leftovers()

    def _make(self) -> None:
        if any(sign.isspace() for sign in str(self.path)):
            raise MpesaBalanceError(
                f"The path {str(self.path)!r} contains white space, which PostgreSQL's tools do not take: "
                "choose another --state-dir"
            )
        try:
            # The embedded Postgres is another user when root starts it, and must pass through.
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as error:
            raise MpesaBalanceError(
                f"{self.path} cannot be made ({error.strerror}): choose another --state-dir"
            ) from error

    def secrets(self) -> dict[str, str]:
        """Keys and passwords of this stack, made at the first run that needs them."""
        path = self.path / "secrets.json"
        known = _keys_and_passwords(path) if path.exists() else _new_keys()
        made = {name: secrets.token_urlsafe(18) for name in sorted(_PASSWORDS)}
        made["CONSOLE_KEYS"] = new_key()
        if not path.exists() or made.keys() - known.keys():
            known = made | known
            _write_private(path, json.dumps(known, indent=1))
        return known

    def write_env(self, settings: Mapping[str, str]) -> None:
        """Tell other commands how to reach the stack: readable by a shell and by dotenv."""
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
        _write_private(self.env_file, "".join(lines))

    def _end_leftovers(self) -> None:
        """End what a stack that was killed could not end itself. Only its holder calls this.

        The programs go before their Redis: a worker that loses it first waits for it to come back.
        """
        for is_theirs in (self._is_program, self._is_redis):
            leftovers = [process for process in psutil.process_iter() if _holds(is_theirs, process)]
            _tell(psutil.Process.terminate, leftovers)
            stubborn = psutil.wait_procs(leftovers, timeout=10)[1]
            _tell(psutil.Process.kill, stubborn)
            psutil.wait_procs(stubborn, timeout=10)

    def _is_program(self, process: psutil.Process) -> bool:
        marked = process.environ().get(MARK) == str(self.path)
        # Postgres is found by its own pid file, and must not be ended before its clients are.
        return marked and process.pid != os.getpid() and process.name() != "postgres"

    def _is_redis(self, process: psutil.Process) -> bool:
        # It writes its title over its environment, and runs in its data directory.
        return process.name().startswith("valkey") and Path(process.cwd()) == self.path / REDIS_FOLDER


def _new_keys() -> dict[str, str]:
    return {"SEALING_KEYS": f"stack:{new_key()}", "CALLBACK_KEYS": new_key()}


def _keys_and_passwords(path: Path) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads(path.read_text())
    except ValueError:
        known = {}
    if not isinstance(known, dict) or not known.keys() >= _KEYS:
        raise MpesaBalanceError(
            f"{path} is damaged, and without its keys nothing in {path.parent} opens: restore it, or "
            "remove the whole directory and begin anew"
        )
    return known


def _holds(check: Callable[[psutil.Process], bool], process: psutil.Process) -> bool:
    try:
        return check(process)
    except psutil.Error:
        # It has ended meanwhile, or is another user's.
        return False


def _tell(signal: Callable[[psutil.Process], None], processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        # It may have ended meanwhile: a child does when its parent has been told.
        with suppress(psutil.NoSuchProcess):
            signal(process)


def _write_private(path: Path, text: str) -> None:
    # Written beside and moved into place, so that nobody reads half a file.
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
