"""The API operator of the organisation: whether a query is from it, and when M-PESA locks it."""

import hmac
import threading
from enum import Enum, auto

from ops.simulator.keys import KeyPair
from ops.simulator.payloads import Document


class Standing(Enum):
    """What M-PESA thinks of who asks."""

    ACCEPTED = auto()
    REFUSED = auto()  #: nobody of that name, or a wrong password
    LOCKED = auto()  #: too many wrong passwords in a row; the right one does not help any more


class Initiator:
    """One operator. `lock_after` wrong passwords in a row lock it until somebody unlocks it."""

    def __init__(self, name: str, password: str, keys: KeyPair, lock_after: int) -> None:
        self._name = name
        self._password = password
        self._keys = keys
        self._lock_after = lock_after
        self._wrong_in_a_row = 0
        self._lock = threading.Lock()

    def judge(self, query: Document) -> Standing:
        """Look at the name and the credential of a query, and remember a wrong password."""
        if query["Initiator"] != self._name:
            # A name that nobody has can lock nobody out.
            return Standing.REFUSED
        password = self._keys.password_in(str(query["SecurityCredential"]))
        is_right = password is not None and hmac.compare_digest(password.encode(), self._password.encode())
        with self._lock:
            if self._wrong_in_a_row >= self._lock_after:
                return Standing.LOCKED
            self._wrong_in_a_row = 0 if is_right else self._wrong_in_a_row + 1
        return Standing.ACCEPTED if is_right else Standing.REFUSED

    def unlock(self) -> None:
        """What a business administrator does on the M-PESA portal."""
        with self._lock:
            self._wrong_in_a_row = 0
