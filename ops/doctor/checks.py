"""Every check of the doctor, in the order in which they are carried out: one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Final

from mpesa_balance.sealed_columns import SEALED
from ops.doctor import broker, callbacks, daraja, database, keys, queries, settings, shortcodes, spool
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion

_APPS: Final = attrgetter("apps")
_SHORTCODES: Final = attrgetter("shortcodes")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    needs: the names of checks that must have found no error, or nobody can tell about this one.
    each: what it is carried out for, by name, such as every app; None for the installation as a whole.
    """

    area: str
    name: str
    examine: Callable[..., list[Opinion]]
    needs: tuple[str, ...] = ()
    each: Callable[[Patient], Mapping[str, Any]] | None = None


_TABLES: Final = ("database", "migrations")
_SEALED: Final = tuple(dict.fromkeys(column.table for column in SEALED))
_REGISTERED: Final = (*_TABLES, "registrations")

CHECKS: Final = (
    Check("settings", "settings", settings.readable),
    Check("database", "database", database.reachable),
    Check("database", "version of Postgres", database.version, ("database",)),
    Check("database", "role of Postgres", database.role, ("database",)),
    Check("database", "clock of Postgres", database.clock, ("database",)),
    Check("database", "migrations", database.migrations, ("database",)),
    Check("registrations", "registrations", shortcodes.registered, _TABLES),
    Check("broker", "broker", broker.reachable),
    Check("broker", "connection to the broker", broker.connection, ("broker",)),
    Check("broker", "version of the broker", broker.version, ("broker",)),
    Check("broker", "persistence", broker.persistence, ("broker",)),
    Check("broker", "memory policy", broker.memory_policy, ("broker",)),
    Check("broker", "clock of the broker", broker.clock, ("broker",)),
    Check("broker", "unroutable messages", broker.unroutable, ("broker",)),
    Check("broker", "lengths of the queues", broker.lengths, ("broker",)),
    Check("broker", "workers", broker.workers, ("broker",)),
    Check("keys", "credentials", keys.credentials, _TABLES),
    *(Check("keys", f"keys in {table}", partial(keys.in_use, table=table), _TABLES) for table in _SEALED),
    Check("app", "host", daraja.host, _REGISTERED, _APPS),
    Check("app", "certificate", daraja.certificate, _REGISTERED, _APPS),
    Check("app", "token", daraja.token, _REGISTERED, _APPS),
    Check("callbacks", "callback address", callbacks.rules, ("settings", *_TABLES)),
    Check("callbacks", "reachability", callbacks.alive, ("settings",)),
    Check("callbacks", "forged tokens", callbacks.guarded, ("settings",)),
    Check("callbacks", "spool", spool.state, ("settings",)),
    Check("inbox", "inbox", queries.inbox, _TABLES),
    Check("shortcode", "place", shortcodes.place, _REGISTERED, _SHORTCODES),
    Check("shortcode", "suspension", shortcodes.suspension, _REGISTERED, _SHORTCODES),
    Check("shortcode", "age of the password", shortcodes.password_age, _REGISTERED, _SHORTCODES),
    Check("shortcode", "signs of the password", shortcodes.password_signs, _REGISTERED, _SHORTCODES),
    Check("shortcode", "last callback", queries.last_callback, _REGISTERED, _SHORTCODES),
    Check("shortcode", "last day", queries.last_day, _REGISTERED, _SHORTCODES),
    Check("shortcode", "last failure", queries.last_failure, _REGISTERED, _SHORTCODES),
    Check("shortcode", "newest balance", queries.newest_balance, _REGISTERED, _SHORTCODES),
)
