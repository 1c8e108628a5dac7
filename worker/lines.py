"""The bell of a line: one that is on its way is enough for all who come until it is heard.

Whoever hears it attends the line for a while; as long as somebody does, nobody rings. Both are one key in
Redis, which is only there to save messages: without it every bell is rung, and what has lost its attendant
is rung for again a few seconds later.
"""

from typing import Final
from uuid import UUID

import redis

from mpesa_balance.contract import SUBMISSIONS_QUEUE
from worker.house import House

#: After so long without being heard a bell is taken to be lost, and an attendant too. In seconds.
_LOST_AFTER: Final = 5

_NAMES: Final = "mpesa-balance:bell:"

#: Who has come since a line was looked at, while it is attended or a bell is on its way.
_NOBODY: Final = b"nobody"
_SOMEBODY: Final = b"somebody"


def ring(house: House, app: str, query_id: UUID) -> None:
    """Somebody is in the line of an app, say this query; its row must be committed.

    An attendant looks at the key before he looks at the line: whoever has left a mark there is seen.
    """
    if _is_first(house, app):
        house.bells.submit(query_id)


def attend(house: House, app: str) -> bool:
    """Take over, or go on with, the line of an app; whether somebody may have come since the last time."""
    try:
        # A mark that has come to its end while we were held up may have been somebody's.
        return house.store.set(_NAMES + app, _NOBODY, ex=_LOST_AFTER, get=True) != _NOBODY
    except redis.RedisError:
        # Then they ring.
        return False


def leave(house: House, app: str) -> bool:
    """Attend the line no longer; whether somebody came at the last moment."""
    try:
        return house.store.getdel(_NAMES + app) == _SOMEBODY
    except redis.RedisError:
        return False


def are_bells_waiting(house: House) -> bool:
    """Whether any bell, of whatever line, is still to be heard."""
    try:
        return bool(house.store.llen(SUBMISSIONS_QUEUE))
    except redis.RedisError:
        return False


def _is_first(house: House, app: str) -> bool:
    name = _NAMES + app
    try:
        # What is lost must come to its end whoever comes, so that nobody puts it off.
        if house.store.set(name, _SOMEBODY, xx=True, keepttl=True, get=True) is not None:
            return False
        house.store.set(name, _NOBODY, ex=_LOST_AFTER)
    except redis.RedisError:
        # One bell too many does no harm.
        return True
    return True
