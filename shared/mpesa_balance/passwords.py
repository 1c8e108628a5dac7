"""How old the initiators' passwords are: M-PESA lets them live for 90 days."""

from typing import Final

from mpesa_balance import outbox
from mpesa_balance.database import Connection

#: How long an initiator's password lives, and from when on its age is told, in days (Daraja's FAQ).
PASSWORD_LIFETIME_DAYS: Final = 90
PASSWORD_WARNING_DAYS: Final = 76

FRESH: Final = "fresh"
AGEING: Final = "ageing"
EXPIRED: Final = "expired"


def outlook(days: int) -> str:
    """What a password's age in days means: "fresh", "ageing" or "expired"."""
    if days >= PASSWORD_LIFETIME_DAYS:
        return EXPIRED
    return AGEING if days >= PASSWORD_WARNING_DAYS else FRESH


def tell_of_old_passwords(connection: Connection) -> None:
    """Tell once of each password that is ageing, and once more when it has expired."""
    row = {
        "ageing_days": PASSWORD_WARNING_DAYS,
        "expired_days": PASSWORD_LIFETIME_DAYS,
        "ageing_topic": outbox.PASSWORD_AGEING,
        "expired_topic": outbox.PASSWORD_EXPIRED,
        "ageing": f"the initiator's password is {PASSWORD_WARNING_DAYS} days old or older, and M-PESA "
        f"passwords live {PASSWORD_LIFETIME_DAYS}",
        "expired": f"the initiator's password is over {PASSWORD_LIFETIME_DAYS} days old and has expired",
        "advice": ": set a new one on the M-PESA portal, then `mpesa-balance shortcodes add --replace`",
    }
    connection.execute(_TELL_OF_OLD_PASSWORDS, row)


_TELL_OF_OLD_PASSWORDS: Final = """
    WITH old AS (
        SELECT shortcode, CASE WHEN credential_set_at <= now() - make_interval(days => %(expired_days)s)
                               THEN 'expired' ELSE 'ageing' END AS age
        FROM shortcodes WHERE credential_set_at <= now() - make_interval(days => %(ageing_days)s)
    ), told AS (
        UPDATE shortcodes s SET password_told = old.age FROM old
        WHERE s.shortcode = old.shortcode AND s.password_told IS DISTINCT FROM old.age
        RETURNING s.shortcode, old.age
    )
    INSERT INTO outbox (topic, message, shortcode)
    SELECT CASE age WHEN 'expired' THEN %(expired_topic)s ELSE %(ageing_topic)s END,
           CASE age WHEN 'expired' THEN %(expired)s ELSE %(ageing)s END || %(advice)s, shortcode
    FROM told
"""
