"""The audit trail: who asked, who looked, who changed what. It is appended to, and never changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from mpesa_balance.answers import BalanceAnswer
from mpesa_balance.database import Connection
from mpesa_balance.texts import printable, without_amounts

#: Who a caller is that gives no name.
UNNAMED_CALLER: Final = "unnamed caller"

#: Who suspends a shortcode because its initiator was refused.
BREAKER: Final = "breaker"

#: What people and callers name is stored up to here, in characters.
_LONGEST_NAME: Final = 200
_LONGEST_DETAIL: Final = 500


class Action(StrEnum):
    """What was done. Programs of other versions may write others."""

    ASKED = "asked"  #: a balance was asked for; read from balance_requests, never added
    BALANCE_SHOWN = "balance_shown"  #: the command line, the console or its API gave amounts out
    PAYLOAD_SHOWN = "payload_shown"  #: the command line or the console gave the bytes of a callback out
    ANSWER_FETCHED = "answer_fetched"  #: a caller fetched amounts by its request's id
    REPLY_SENT = "reply_sent"  #: amounts were sent to a caller's queue, as it had asked
    APP_ADDED = "app_added"
    APP_REPLACED = "app_replaced"
    SHORTCODE_ADDED = "shortcode_added"
    SHORTCODE_REPLACED = "shortcode_replaced"
    SHORTCODE_SUSPENDED = "shortcode_suspended"
    SHORTCODE_RESUMED = "shortcode_resumed"
    SCHEDULE_ADDED = "schedule_added"
    SCHEDULE_PAUSED = "schedule_paused"
    SCHEDULE_RESUMED = "schedule_resumed"
    SCHEDULE_REMOVED = "schedule_removed"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    ALERT_RULE_ADDED = "alert_rule_added"
    ALERT_RULE_REMOVED = "alert_rule_removed"
    ALERT_CHANNEL_ADDED = "alert_channel_added"
    ALERT_CHANNEL_REPLACED = "alert_channel_replaced"
    ALERT_CHANNEL_REMOVED = "alert_channel_removed"
    CALLBACK_REPLAYED = "callback_replayed"
    TASK_DROPPED = "task_dropped"  #: taken out of quarantine, and shown
    PRUNED = "pruned"  #: what ended long ago was archived and removed
    ARCHIVE_SHOWN = "archive_shown"  #: the command line gave amounts and payloads out
    ARCHIVE_RESEALED = "archive_resealed"
    EXPORTED = "exported"  #: balances or queries were written into a file
    RECONCILED = "reconciled"  #: balances were set against a ledger, and shown
    RECONCILIATION_SHOWN = "reconciliation_shown"  #: its amounts were given out
    USER_ADDED = "user_added"
    USER_CHANGED = "user_changed"  #: another role, or other shortcodes
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    SIGN_IN_LINK_MADE = "sign_in_link_made"  #: whoever has it can set the user's password, once
    PASSWORD_SET = "password_set"  # noqa: S105 - the name of an action, not a secret
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    API_TOKEN_MADE = "api_token_made"  # noqa: S105 - the name of an action, not a secret
    API_TOKEN_REVOKED = "api_token_revoked"  # noqa: S105 - the name of an action, not a secret
    KEY_ROTATION_BEGUN = "key_rotation_begun"
    KEY_ROTATION_ENDED = "key_rotation_ended"
    KEY_DROP_ALLOWED = "key_drop_allowed"  #: nothing is sealed with it; settings are changed by hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the trail."""

    happened_at: datetime
    actor: str
    action: str
    subject: str
    detail: str

    def document(self) -> dict[str, str]:
        """The entry as JSON has it."""
        return {
            "at": self.happened_at.isoformat(),
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "detail": self.detail,
        }


def add(connection: Connection, actor: str, action: Action, subject: str, detail: str = "") -> None:
    """Add an entry, which stands or falls with the caller's transaction.

    subject: the shortcode, app, task, callback or key that it is about.
    detail: without credentials; amounts written as M-PESA writes them are left out here.
    """
    connection.execute(_ADD, _row(actor, action, subject, detail))


def look(connection: Connection, actor: str, action: Action, answer: BalanceAnswer) -> None:
    """Add that somebody is given an answer, before it is given out; nothing where it has no amounts."""
    look_at_all(connection, actor, action, [answer])


def look_at_all(
    connection: Connection, actor: str, action: Action, answers: Iterable[BalanceAnswer], also: str = ""
) -> None:
    """Add that somebody is given answers, an entry for each that has amounts; and what else of each."""
    shown = [answer for answer in answers if answer.accounts]
    _add_all(connection, [_row(actor, action, one.shortcode or "", _told(one, also)) for one in shown])


def add_for_each(
    connection: Connection, actor: str, action: Action, subjects: Iterable[str], detail: str
) -> None:
    """Add an entry for each subject, so that it is found by any of them."""
    _add_all(connection, [_row(actor, action, subject, detail) for subject in subjects])


def _add_all(connection: Connection, rows: list[dict[str, str]]) -> None:
    if rows:
        connection.cursor().executemany(_ADD, rows)


def entries(
    connection: Connection,
    *,
    since: datetime | None = None,
    actor: str | None = None,
    action: Action | None = None,
    subject: str | None = None,
    limit: int = 50,
) -> list[Entry]:
    """The newest entries and asks that fit, newest first.

    actor: any part of the name. subject: the whole of it, or the id of a request or a query, which
    finds its asks and looks.
    """
    # Names that nobody bears are looked for among everything, which may be years.
    connection.execute("SET LOCAL statement_timeout = '60s'")
    row = {
        "since": since,
        "actor": actor,
        "action": action,
        "subject": subject,
        "id": _uuid(subject),
        "limit": limit,
        "asked": Action.ASKED,
        "unnamed": UNNAMED_CALLER,
    }
    return [Entry(**found) for found in connection.execute(_ENTRIES, row)]


def _row(actor: str, action: Action, subject: str, detail: str) -> dict[str, str]:
    return {
        "actor": printable(actor)[:_LONGEST_NAME],
        "action": action,
        "subject": printable(subject)[:_LONGEST_NAME],
        "detail": printable(without_amounts(detail))[:_LONGEST_DETAIL],
    }


def _told(answer: BalanceAnswer, also: str) -> str:
    ids = {"request": answer.request_id, "query": answer.query_id}
    named = [f"{name} {one}" for name, one in ids.items() if one]
    return ", ".join(filter(None, (*named, also)))


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


_ADD: Final = """
    INSERT INTO audit (actor, action, subject, detail)
    VALUES (%(actor)s, %(action)s, %(subject)s, %(detail)s)
"""

#: Each half ends at the limit by an index of its own. A filter that is NULL is no condition to the planner.
_ENTRIES: Final = """
    SELECT happened_at, actor, action, subject, detail FROM (
        (SELECT happened_at, id, actor, action, subject, detail FROM audit
         WHERE (%(since)s::timestamptz IS NULL OR happened_at >= %(since)s::timestamptz)
           AND (%(actor)s::text IS NULL OR strpos(actor, %(actor)s::text) > 0)
           AND (%(action)s::text IS NULL
                OR (%(action)s::text <> %(asked)s::text AND action = %(action)s::text))
           AND (%(subject)s::text IS NULL OR subject = %(subject)s::text
                OR (%(id)s::uuid IS NOT NULL AND strpos(detail, %(id)s::uuid::text) > 0))
         ORDER BY happened_at DESC, id DESC LIMIT %(limit)s)
        UNION ALL
        (SELECT requested_at, 0, coalesce(requested_by, %(unnamed)s::text), %(asked)s::text,
                coalesce(shortcode, ''),
                concat_ws(', ', 'request ' || id, 'query ' || query_id,
                          CASE WHEN refusal IS NULL THEN replace(answered_by, '_', ' ') ELSE 'refused' END)
         FROM balance_requests
         WHERE (%(since)s::timestamptz IS NULL OR requested_at >= %(since)s::timestamptz)
           AND (%(actor)s::text IS NULL
                OR strpos(coalesce(requested_by, %(unnamed)s::text), %(actor)s::text) > 0)
           AND (%(action)s::text IS NULL OR %(action)s::text = %(asked)s::text)
           AND (%(subject)s::text IS NULL
                OR (%(id)s::uuid IS NULL AND shortcode = %(subject)s::text)
                OR (%(id)s::uuid IS NOT NULL AND (id = %(id)s::uuid OR query_id = %(id)s::uuid)))
         ORDER BY requested_at DESC LIMIT %(limit)s)
    ) found ORDER BY happened_at DESC, id DESC LIMIT %(limit)s
"""
