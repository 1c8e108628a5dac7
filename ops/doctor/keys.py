"""Whether SEALING_KEYS opens what is sealed."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from mpesa_balance import apps, diagnosis, sealed_columns, shortcodes
from mpesa_balance.database import Connection
from mpesa_balance.errors import SealBroken
from mpesa_balance.sealing import Sealer
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok, warning

_ADD_KEY: Final = (
    "add the missing key at the end of SEALING_KEYS (id:key,id:key) of every program; credentials whose "
    "key is lost can be registered again: `mpesa-balance apps add` or `shortcodes add`, with --replace"
)

_ROTATE: Final = "`mpesa-balance keys rotate` seals all of it with the first key of SEALING_KEYS"

_RESTORE: Final = "`mpesa-balance keys rotate` names the rows: restore them from a backup"


def credentials(patient: Patient) -> list[Opinion]:
    """Whether every credential of every app and shortcode opens."""
    with patient.reading() as connection:
        places = list(_places(connection))
        broken = [problem for place in places if (problem := _problem(place, connection, patient.sealer))]
    if broken:
        return [error(problem, _ADD_KEY) for problem in broken]
    return [ok(f"the credentials of all {len(places)} apps and shortcodes open")]


def in_use(patient: Patient, *, table: str) -> list[Opinion]:
    """Whether SEALING_KEYS holds every key that something in this table is sealed with, and needs only
    the first."""
    columns = [column for column in sealed_columns.SEALED if column.table == table]
    with patient.reading() as connection:
        found = [sealed_columns.count(connection, patient.sealer, column) for column in columns]
    used = sum(found, sealed_columns.Census())
    if missing := [name for name in used if name not in patient.sealer.keys]:
        return [_missing(name, f"{used[name]} envelopes in {table}") for name in missing]
    named = ", ".join(f"{name} ({count})" for name, count in sorted(used.items(), key=str))
    if sealed_columns.others(used, patient.sealer):
        return [warning(f"the rotation of keys is not finished in {table}: {named}", _ROTATE)]
    return [ok(f"keys that {table} needs: {named or 'none, it is empty'}")]


def _missing(name: str | None, envelopes: str) -> Opinion:
    if name is None:
        return error(f"{envelopes} are none: they were written by something else", _RESTORE)
    return error(f"{envelopes} need key {name!r}", _ADD_KEY)


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
