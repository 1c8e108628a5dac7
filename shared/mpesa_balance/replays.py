"""Looking at a callback again after a fix: what can be applied is, once, and who did it is on record."""

from typing import Final

from mpesa_balance import inbox
from mpesa_balance.database import Connection
from mpesa_balance.errors import RequestRefused
from mpesa_balance.inbox import Disposition
from mpesa_balance.judgement import Verdict, judge
from mpesa_balance.retries import NO_RETRIES
from mpesa_balance.sealing import Sealer


def replay(connection: Connection, sealer: Sealer, callback_id: int, by: str) -> Verdict:
    """Judge a callback again. Raises NotFound, and RequestRefused where `by` names nobody.

    One that was applied stays so. Nothing is asked of Daraja because of it.
    """
    if not (by.isprintable() and 0 < len(by.strip()) <= 200):
        raise RequestRefused(["who replays must be named, in 1 to 200 printable characters: --by NAME"])
    kept = inbox.find(connection, callback_id)
    if kept.disposition is Disposition.APPLIED:
        verdict = Verdict(Disposition.APPLIED, "it was applied before")
    else:
        verdict = judge(connection, sealer, kept, NO_RETRIES, by)
    row = {
        "callback_id": callback_id,
        "by": by,
        "before": kept.disposition,
        "disposition": verdict.disposition,
        "reason": verdict.reason,
    }
    connection.execute(_ADD, row)
    return verdict


_ADD: Final = """
    INSERT INTO callback_replays (callback_id, replayed_by, disposition_before, disposition, reason)
    VALUES (%(callback_id)s, %(by)s, %(before)s, %(disposition)s, %(reason)s)
"""
