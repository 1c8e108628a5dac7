"""Whether Postgres is there, new enough, migrated, writable, and right about the time."""

from typing import Final

from mpesa_balance import diagnosis
from mpesa_balance.database import connect
from mpesa_balance.diagnosis import Server
from mpesa_balance.errors import DatabaseUnavailable, SettingsInvalid
from ops.doctor import clocks
from ops.doctor.patient import Patient
from ops.doctor.verdicts import Opinion, error, ok
from ops.migrate import waiting

#: The oldest whose SQL is all that ours needs (NULLS NOT DISTINCT), as Postgres counts versions.
OLDEST: Final = 150_000

_START: Final = (
    "start Postgres and correct DATABASE_URL; without a Postgres, `mpesa-balance up` brings its own"
)


def reachable(patient: Patient) -> list[Opinion]:
    """Whether a connection can be had."""
    address = patient.database_url
    try:
        connect(address, "mpesa-balance-doctor").close()
    except (DatabaseUnavailable, SettingsInvalid) as away:
        return [error(str(away), _START)]
    return [ok("Postgres answers")]


def version(patient: Patient) -> list[Opinion]:
    """Whether it is new enough."""
    return [judge_version(_server(patient))]


def judge_version(server: Server) -> Opinion:
    """What to say of a server of this version."""
    shown = f"{server.version // 10_000}.{server.version % 10_000}"
    if server.version < OLDEST:
        return error(
            f"Postgres is version {shown}, and {OLDEST // 10_000} is the oldest that is supported",
            "upgrade the server with pg_upgrade, or point DATABASE_URL to a newer one",
        )
    return ok(f"Postgres is version {shown}")


def role(patient: Patient) -> list[Opinion]:
    """Whether it takes writes."""
    return [judge_role(_server(patient))]


def judge_role(server: Server) -> Opinion:
    """What to say of a server in this role."""
    if server.is_standby:
        return error(
            "this Postgres is a standby: it can be read and not written",
            "name the primary in DATABASE_URL, or all of them with ?target_session_attrs=read-write",
        )
    if server.is_read_only:
        return error(
            "transactions are read-only here: nothing can be asked or recorded",
            "ALTER DATABASE (or ROLE) ... RESET default_transaction_read_only, as its owner in psql",
        )
    return ok("Postgres can be written to")


def migrations(patient: Patient) -> list[Opinion]:
    """Whether every migration of this program was applied."""
    if missing := waiting(patient.database_url):
        return [error(f"migrations are waiting: {', '.join(missing)}", "`mpesa-balance migrate`")]
    return [ok("every migration is applied")]


def clock(patient: Patient) -> list[Opinion]:
    """Whether its clock, which deadlines are kept by, shows the time that is shown here."""
    with patient.reading() as connection:
        before = patient.clock()
        there = diagnosis.server(connection).now
        return [clocks.compare("Postgres", there, before, patient.clock())]


def _server(patient: Patient) -> Server:
    with patient.reading() as connection:
        return diagnosis.server(connection)
