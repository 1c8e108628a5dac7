"""Callbacks that plainly bring balances, judged together: nearly all of them are such.

Whatever else a callback may be is left to `judgement`, which looks at one at a time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from mpesa_balance import attempts, inbox, queries, stored_balances
from mpesa_balance.attempts import Heard, Submitted
from mpesa_balance.callback_urls import RESULT
from mpesa_balance.database import Connection
from mpesa_balance.errors import CallbackUnreadable, SealBroken
from mpesa_balance.inbox import Disposition, Kept
from mpesa_balance.judgement import ending_by
from mpesa_balance.results import Result, read_result
from mpesa_balance.sealing import Sealer
from mpesa_balance.stored_balances import Brought


class _Plain(NamedTuple):
    kept: Kept
    result: Result
    brought: Brought

    @property
    def heard(self) -> Heard:
        ids = self.result.originator_conversation_id, self.result.conversation_id
        return Heard(self.kept.attempt_id, *ids)


def complete(connection: Connection, sealer: Sealer, callback_ids: Sequence[int]) -> Mapping[int, UUID]:
    """Complete the queries of those callbacks that plainly bring balances: queries by callbacks."""
    plain = _plain_ones(connection, sealer, callback_ids)
    if not plain:
        return {}
    attempts.heard_of(connection, (one.heard for one in plain.values()))
    endings = {query_id: ending_by("result", one.kept, one.result) for query_id, one in plain.items()}
    moved = queries.complete_all(connection, endings)
    completed = {one.kept.id: query_id for query_id, one in plain.items() if query_id in moved}
    if completed:
        stored_balances.store(connection, sealer, [plain[query_id].brought for query_id in moved])
        inbox.settle(connection, list(completed), Disposition.APPLIED)
    return completed


def _plain_ones(connection: Connection, sealer: Sealer, callback_ids: Sequence[int]) -> dict[UUID, _Plain]:
    kept = inbox.find_waiting(connection, callback_ids)
    if not kept:
        return {}
    submitted = attempts.find(connection, [one.attempt_id for one in kept])
    answers = Counter(found.query_id for one in kept if (found := submitted.get(one.attempt_id)))
    read = (
        _read(sealer, one, found)
        for one in kept
        # What comes first counts, so that several of one query are judged one after the other.
        if (found := submitted.get(one.attempt_id)) and answers[found.query_id] == 1
    )
    return {one.brought.query_id: one for one in read if one is not None}


def _read(sealer: Sealer, kept: Kept, submitted: Submitted) -> _Plain | None:
    """What a callback brings; None where that is not plainly a balance."""
    if kept.kind != RESULT:
        return None
    try:
        result = read_result(sealer.open(kept.payload, kept.place))
        if result.has_ids_other_than(*submitted.ids) or not (result.is_final and result.is_success):
            return None
        brought = Brought(submitted.query_id, kept.id, result.balance(), result.raw_balance)
    except (CallbackUnreadable, SealBroken):
        return None
    return _Plain(kept, result, brought)
