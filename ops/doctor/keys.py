"""Whether SEALING_KEYS opens what is sealed."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from mpesa_balance import apps, diagnosis, shortcodes
from mpesa_balance.database import Connection
from mpesa_balance.errors import SealBroken
from mpesa_balance.sealing import Sealer
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok

_ADD_KEY: Final = (
    "add the missing key at the end of SEALING_KEYS (id:key,id:key) of every program; credentials whose "
    "key is lost can be registered again: `mpesa-balance apps add` or `shortcodes add`, with --replace"
)


def credentials(patient: Patient) -> list[Opinion]:
    """Whether every credential of every app and shortcode opens."""
    with patient.reading() as connection:
        places = list(_places(connection))
        broken = [problem for place in places if (problem := _problem(place, connection, patient.sealer))]
    if broken:
        return [error(problem, _ADD_KEY) for problem in broken]
    return [ok(f"the credentials of all {len(places)} apps and shortcodes open")]


def in_use(patient: Patient, *, table: str) -> list[Opinion]:
    """Whether SEALING_KEYS holds every key that something in this table is sealed with."""
    with patient.reading() as connection:
        used = diagnosis.keys_in(connection, table)
    missing = [name for name in used if name not in patient.sealer.keys]
    if missing:
        return [error(f"{used[name]} envelopes in {table} need key {name!r}", _ADD_KEY) for name in missing]
    named = ", ".join(f"{name} ({count})" for name, count in sorted(used.items()))
    return [ok(f"keys that {table} needs: {named or 'none, it is empty'}")]


def _places(connection: Connection) -> Iterator[Callable[[Connection, Sealer], object]]:
    for app in diagnosis.registered_apps(connection):
        yield partial(apps.named, name=app.name)
    for entry in diagnosis.registered_shortcodes(connection, None):
        yield partial(shortcodes.named, shortcode=entry.shortcode)


def _problem(
    place: Callable[[Connection, Sealer], object], connection: Connection, sealer: Sealer
) -> str | None:
    try:
        place(connection, sealer)
    except SealBroken as broken:
        return str(broken)
    return None
