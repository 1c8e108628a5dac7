"""Crash points: the places where the fault suite ends a process, each named here once. Pure.

They do nothing unless CRASH_POINTS_DIR names a directory, which no deployment sets. There, a file
`<point>.<anything>` arms its point once: the process that passes it next removes the file and is
killed as `kill -9` would do it.
"""

import os
import signal
from enum import StrEnum
from pathlib import Path
from typing import Final


class CrashPoint(StrEnum):
    """Where a process may end, in the order in which a balance passes them."""

    REQUEST_NOT_COMMITTED = "request-not-committed"
    REQUEST_NOT_RUNG = "request-not-rung"
    SCHEDULE_NOT_COMMITTED = "schedule-not-committed"
    TOKEN_NOT_STORED = "token-not-stored"  # noqa: S105 - the name of a place, not a secret
    ATTEMPT_NOT_COMMITTED = "attempt-not-committed"
    ATTEMPT_NOT_SENT = "attempt-not-sent"
    ANSWER_NOT_RECORDED = "answer-not-recorded"
    ANSWER_NOT_COMMITTED = "answer-not-committed"
    NEXT_NOT_RUNG = "next-not-rung"
    CALLBACK_NOT_SPOOLED = "callback-not-spooled"
    CALLBACK_NOT_ANSWERED = "callback-not-answered"
    CALLBACK_NOT_PUBLISHED = "callback-not-published"
    PUBLISHING_NOT_NOTED = "publishing-not-noted"
    CALLBACKS_NOT_COMMITTED = "callbacks-not-committed"
    RECEIPT_NOT_SENT = "receipt-not-sent"
    JUDGEMENT_NOT_BEGUN = "judgement-not-begun"
    COMPLETIONS_NOT_COMMITTED = "completions-not-committed"
    COMPLETIONS_NOT_TOLD = "completions-not-told"
    JUDGEMENT_NOT_COMMITTED = "judgement-not-committed"
    JUDGEMENT_NOT_TOLD = "judgement-not-told"
    REPLIES_NOT_COMMITTED = "replies-not-committed"
    RECEIPT_NOT_APPLIED = "receipt-not-applied"
    TIMEOUTS_NOT_COMMITTED = "timeouts-not-committed"
    BELLS_NOT_RUNG = "bells-not-rung"
    NOTICES_NOT_COMMITTED = "notices-not-committed"


_DIRECTORY: Final = os.environ.get("CRASH_POINTS_DIR")


def crash_at(point: CrashPoint) -> None:
    """End this process if the point is armed. Off, this is one comparison."""
    if _DIRECTORY is None:
        return
    for armed in Path(_DIRECTORY).glob(f"{point}.*"):
        try:
            # Whoever removes the file has the crash; there is one for each file.
            armed.unlink()
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)
