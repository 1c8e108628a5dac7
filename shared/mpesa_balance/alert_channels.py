"""The channels for alerts in Postgres: the ways to the people on call, sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mpesa_balance import alert_checks
from mpesa_balance.alert_checks import QuietHours
from mpesa_balance.database import Connection
from mpesa_balance.errors import NotFound, RequestRefused
from mpesa_balance.sealing import Sealer

DEFAULT_TIME_ZONE: Final = "Africa/Nairobi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A way to the people on call. Its address, as apprise reads it, holds credentials."""

    name: str
    url: str = field(repr=False)
    with_amounts: bool = False
    quiet: QuietHours | None = None
    time_zone: str = DEFAULT_TIME_ZONE


def add(
    connection: Connection,
    sealer: Sealer,
    channel: Channel,
    *,
    replace: bool = False,
    wrong: Sequence[str] = (),
) -> None:
    """Add a channel. Raises RequestRefused with everything that is wrong with it.

    wrong: what is known to be wrong already; of the URL, nothing else is looked at here.
    """
    wrong = [*wrong, *(problem for problem in (alert_checks.check_name(channel.name),) if problem)]
    if not connection.execute(_ZONE, {"zone": channel.time_zone}).fetchone():
        wrong.append(f"there is no time zone {channel.time_zone!r}: write it as in {DEFAULT_TIME_ZONE}")
    if wrong:
        raise RequestRefused(wrong)
    row = {
        "name": channel.name,
        "url": sealer.seal_text(channel.url, url_place(channel.name)),
        "with_amounts": channel.with_amounts,
        "quiet_from": channel.quiet and channel.quiet.begins,
        "quiet_until": channel.quiet and channel.quiet.ends,
        "time_zone": channel.time_zone,
    }
    if not connection.execute(_REPLACE if replace else _ADD, row).rowcount:
        raise RequestRefused([f"channel {channel.name} is there already: --replace changes it"])


def every(connection: Connection, sealer: Sealer) -> list[Channel]:
    """All channels, by name. Raises SealBroken."""
    return [_channel(row, sealer) for row in connection.execute(_CHANNELS, {"name": None})]


def named(connection: Connection, sealer: Sealer, name: str) -> Channel:
    """One channel. Raises NotFound or SealBroken."""
    row = connection.execute(_CHANNELS, {"name": name}).fetchone()
    if row is None:
        raise NotFound(unknown(name))
    return _channel(row, sealer)


def remove(connection: Connection, name: str) -> None:
    """Remove a channel, and what waits to be told through it. Raises NotFound or RequestRefused."""
    naming = [str(row["id"]) for row in connection.execute(_NAMING, {"name": name})]
    if naming:
        listed = ", ".join(naming)
        raise RequestRefused([f"channel {name} is named by rules: remove them first ({listed})"])
    if not connection.execute(_REMOVE, {"name": name}).rowcount:
        raise NotFound(unknown(name))


def url_place(name: str) -> str:
    """What a channel's URL is sealed for."""
    return f"alert_channels/{name}/url"


def unknown(name: str) -> str:
    """What is said of a name that no channel has."""
    return f"there is no channel {name}: see `mpesa-balance alerts channels list`"


def _channel(row: Mapping[str, Any], sealer: Sealer) -> Channel:
    return Channel(
        name=row["name"],
        url=sealer.open_text(row["url"], url_place(row["name"])),
        with_amounts=row["with_amounts"],
        quiet=QuietHours(row["quiet_from"], row["quiet_until"]) if row["quiet_from"] else None,
        time_zone=row["time_zone"],
    )


_ZONE: Final = "SELECT name FROM pg_timezone_names WHERE name = %(zone)s"

_ADD: Final = """
    INSERT INTO alert_channels (name, url, with_amounts, quiet_from, quiet_until, time_zone)
    VALUES (%(name)s, %(url)s, %(with_amounts)s, %(quiet_from)s, %(quiet_until)s, %(time_zone)s)
    ON CONFLICT (name) DO NOTHING
"""

_REPLACE: Final = """
    INSERT INTO alert_channels (name, url, with_amounts, quiet_from, quiet_until, time_zone)
    VALUES (%(name)s, %(url)s, %(with_amounts)s, %(quiet_from)s, %(quiet_until)s, %(time_zone)s)
    ON CONFLICT (name) DO UPDATE SET
        url = excluded.url, with_amounts = excluded.with_amounts, quiet_from = excluded.quiet_from,
        quiet_until = excluded.quiet_until, time_zone = excluded.time_zone
"""

_CHANNELS: Final = """
    SELECT name, url, with_amounts, quiet_from, quiet_until, time_zone FROM alert_channels
    WHERE name = coalesce(%(name)s, name) ORDER BY name
"""

_NAMING: Final = """
    SELECT id FROM alert_rules WHERE removed_at IS NULL AND %(name)s = ANY(channels) ORDER BY id
"""

_REMOVE: Final = """
    WITH given_up AS (
        UPDATE alert_messages SET given_up_at = now(), last_error = 'the channel was removed'
        WHERE channel = %(name)s AND delivered_at IS NULL AND given_up_at IS NULL
    )
    DELETE FROM alert_channels WHERE name = %(name)s
"""
