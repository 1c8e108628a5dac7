"""What people do with a callback, on record: look at its bytes, and have it judged again."""

from mpesa_balance import audit, received, replays
from mpesa_balance.audit import Action
from mpesa_balance.database import Connection
from mpesa_balance.judgement import Verdict
from mpesa_balance.sealing import Sealer


def payload(connection: Connection, sealer: Sealer, number: int, actor: str) -> bytes:
    """The bytes of a callback, which hold balances. Raises NotFound or SealBroken."""
    found = received.payload(connection, sealer, number)
    # By its shortcode, so that all who saw the amounts of one are found together.
    about = received.shown(connection, number).shortcode or _subject(number)
    audit.add(connection, actor, Action.PAYLOAD_SHOWN, about, _subject(number))
    return found


def replay(connection: Connection, sealer: Sealer, number: int, by: str, actor: str) -> Verdict:
    """Judge a callback again. Raises NotFound, and RequestRefused where `by` names nobody."""
    verdict = replays.replay(connection, sealer, number, by)
    detail = f"{verdict.disposition}, by {by}"
    audit.add(connection, actor, Action.CALLBACK_REPLAYED, _subject(number), detail)
    return verdict


def _subject(number: int) -> str:
    """A callback in the audit trail: its number alone might be a shortcode's."""
    return f"callback {number}"
