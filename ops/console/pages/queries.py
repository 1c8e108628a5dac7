"""Queries: the newest of them, and one whole: its timeline, attempts, callbacks, code and advice."""

from typing import Final
from uuid import UUID

from flask import Blueprint, render_template, request

from mpesa_balance import happened, history, query_lists, received
from mpesa_balance.people.roles import Right
from mpesa_balance.states import QueryState
from ops.console.asked_for import identity
from ops.console.desk import person, query, scope, transaction
from ops.console.gate import demands

blueprint = Blueprint("queries", __name__)

_PAGE: Final = 50


@blueprint.get("/queries")
@demands(Right.LOOK)
def listed() -> str:
    """The newest queries, of all shortcodes that he may see or of one, in any state or in one."""
    shortcode, state = request.args.get("shortcode", "").strip(), request.args.get("state", "")
    wanted = QueryState(state) if state in list(QueryState) else None
    if shortcode:
        person().demand_shortcode(shortcode)
    with transaction() as connection:
        found = query_lists.newest(
            connection,
            shortcodes=[shortcode] if shortcode else scope(),
            state=wanted,
            before=identity("before"),
            limit=_PAGE + 1,
        )
    following = found[_PAGE - 1].id if len(found) > _PAGE else None
    return render_template(
        "queries.html",
        queries=found[:_PAGE],
        shortcode=shortcode,
        state=wanted,
        states=list(QueryState),
        following=following,
    )


@blueprint.get("/queries/<uuid:query_id>")
@demands(Right.LOOK)
def page(query_id: UUID) -> str:
    """A query whole; the id of a request will do."""
    with transaction() as connection:
        mark = happened.newest(connection)
        answer = query(connection, query_id)
        own = answer.query_id
        events = history.timeline(connection, own) if own else []
        attempts = query_lists.attempts_of(connection, own) if own else []
        callbacks = received.of_query(connection, own) if own else []
    return render_template(
        "query.html", answer=answer, mark=mark, events=events, attempts=attempts, callbacks=callbacks
    )
