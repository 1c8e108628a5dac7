"""The machine in Postgres is the machine in states.py, held there by Postgres itself."""

from itertools import product
from uuid import UUID, uuid4

import psycopg
import pytest

from mpesa_balance import queries
from mpesa_balance.database import Connection, Database
from mpesa_balance.queries import Ending
from mpesa_balance.states import MOVES, Moved, QueryState
from tests.conftest import open_query
from worker.house import House

AFTER_PENDING = [state for state in QueryState if state is not QueryState.PENDING]

#: How each state is reached from pending.
PATHS: dict[QueryState, tuple[QueryState, ...]] = {
    QueryState.PENDING: (),
    QueryState.ACKNOWLEDGED: (QueryState.ACKNOWLEDGED,),
    QueryState.COMPLETED: (QueryState.COMPLETED,),
    QueryState.FAILED: (QueryState.FAILED,),
    QueryState.TIMED_OUT: (QueryState.TIMED_OUT,),
}


def put(database: Database, query_id: UUID, state: QueryState) -> None:
    """Write a state by hand, as somebody at psql would."""
    with database.transaction() as connection:
        connection.execute("UPDATE balance_queries SET state = %s WHERE id = %s", (state, query_id))


def move(database: Database, query_id: UUID, to: QueryState) -> Moved:
    """Make a move as the house makes it."""
    verbs = {
        QueryState.COMPLETED: queries.complete,
        QueryState.FAILED: queries.fail,
        QueryState.TIMED_OUT: queries.time_out,
    }
    with database.transaction() as connection:
        if to is QueryState.ACKNOWLEDGED:
            if queries.acknowledge(connection, {query_id: uuid4()}):
                return Moved.NOW
            return Moved.BEFORE if stands(connection, query_id) is to else Moved.NOT
        return verbs[to](connection, query_id, Ending(cause="test"))


def stands(connection: Connection, query_id: UUID) -> QueryState:
    (found,) = connection.execute("SELECT state FROM balance_queries WHERE id = %s", (query_id,)).fetchall()
    return QueryState(found["state"])


def reached(database: Database, state: QueryState) -> UUID:
    query_id = open_query(database)
    for step in PATHS[state]:
        put(database, query_id, step)
    return query_id


@pytest.mark.parametrize(("origin", "to"), list(product(QueryState, QueryState)))
def test_a_hand_at_psql_can_make_the_moves_of_the_table_and_no_other(
    house: House, origin: QueryState, to: QueryState
) -> None:
    query_id = reached(house.database, origin)
    if to is origin or to in MOVES[origin]:
        put(house.database, query_id, to)
    else:
        with pytest.raises(psycopg.errors.CheckViolation, match=f"from {origin} to {to}"):
            put(house.database, query_id, to)


@pytest.mark.parametrize("state", AFTER_PENDING)
def test_a_query_cannot_be_born_anywhere_but_pending(house: House, state: QueryState) -> None:
    with (
        pytest.raises(psycopg.errors.CheckViolation, match="must begin as pending"),
        house.database.transaction() as connection,
    ):
        connection.execute(
            "INSERT INTO balance_queries (id, shortcode, remarks, state, deadline_at) "
            "VALUES (%s, '600000', 'ok', %s, now())",
            (uuid4(), state),
        )


@pytest.mark.parametrize(("origin", "to"), list(product(QueryState, AFTER_PENDING)))
def test_a_move_says_what_became_of_it(house: House, origin: QueryState, to: QueryState) -> None:
    query_id = reached(house.database, origin)
    expected = Moved.NOW if to in MOVES[origin] else Moved.BEFORE if to is origin else Moved.NOT
    assert move(house.database, query_id, to) is expected


def test_every_move_is_in_the_history_and_what_was_no_move_is_not(house: House, query_id: UUID) -> None:
    for to in ("acknowledged", "timed_out", "acknowledged", "completed"):
        move(house.database, query_id, QueryState(to))
    with house.database.transaction() as connection:
        rows = connection.execute(
            "SELECT state FROM query_events WHERE query_id = %s ORDER BY id", (query_id,)
        ).fetchall()
    assert [row["state"] for row in rows] == ["pending", "acknowledged", "timed_out", "completed"]


def test_what_comes_after_a_timeout_is_marked_late(house: House, query_id: UUID) -> None:
    move(house.database, query_id, QueryState.TIMED_OUT)
    move(house.database, query_id, QueryState.COMPLETED)
    with house.database.transaction() as connection:
        row = connection.execute("SELECT late FROM balance_queries WHERE id = %s", (query_id,)).fetchone()
    assert row == {"late": True}
