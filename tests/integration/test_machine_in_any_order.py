"""Any order of any multiset of events ends in the same state and the same balances: over real SQL."""

from typing import ClassVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mpesa_balance import breaker, history, queries
from mpesa_balance.callback_urls import TIMEOUT
from mpesa_balance.states import ENDINGS, MOVES, QueryState
from tests.conftest import SHORTCODE, open_query
from tests.integration.answers import begin, failure, record, success
from worker.house import House


class Query(RuleBasedStateMachine):
    """One query to which everything happens that can, again and again, in any order.

    `expected` is the machine worked by hand: what each event would do to a query that stands there.
    """

    house: ClassVar[House]
    expected: QueryState
    late: bool

    @initialize()
    def opened(self) -> None:
        # A refusal of the query before this one may have suspended its shortcode.
        with self.house.database.transaction() as connection:
            breaker.resume(connection, SHORTCODE)
        self.query_id: UUID = open_query(self.house.database)
        self.attempt_id = begin(self.house, self.query_id)
        self.expected, self.late = QueryState.PENDING, False
        self.moves = 0

    def expect(self, to: QueryState) -> None:
        if to in MOVES[self.expected]:
            self.late = self.expected is QueryState.TIMED_OUT
            self.expected = to
            self.moves += 1

    @rule()
    def acknowledgement(self) -> None:
        with self.house.database.transaction() as connection:
            queries.acknowledge(connection, {self.query_id: self.attempt_id})
        self.expect(QueryState.ACKNOWLEDGED)

    @rule(times=st.integers(1, 3))
    def balances(self, times: int) -> None:
        for _ in range(times):
            record(self.house, self.attempt_id, success())
        self.expect(QueryState.COMPLETED)

    @rule(code=st.sampled_from(["2001", "17"]))
    def refusal(self, code: str) -> None:
        record(self.house, self.attempt_id, failure(code))
        self.expect(QueryState.FAILED)

    @rule(body=st.sampled_from([b"{}", b'{"ConversationID": "x"}', b"<html>"]))
    def queue_timeout(self, body: bytes) -> None:
        record(self.house, self.attempt_id, body, TIMEOUT)
        self.expect(QueryState.TIMED_OUT)

    @rule(body=st.sampled_from([b"", b"[]", success("|"), success(ResultType=1)]))
    def what_moves_nothing(self, body: bytes) -> None:
        record(self.house, self.attempt_id, body)

    @rule()
    def deadline(self) -> None:
        with self.house.database.transaction() as connection:
            pass_deadline = "UPDATE balance_queries SET deadline_at = now() - interval '1 s' WHERE id = %s"
            connection.execute(pass_deadline, (self.query_id,))
            queries.time_out_overdue(connection)
        self.expect(QueryState.TIMED_OUT)

    @invariant()
    def stands_where_the_machine_says(self) -> None:
        with self.house.database.transaction() as connection:
            standing = history.of_query(connection, self.house.database.sealer, self.query_id)
            events = connection.execute(
                "SELECT state FROM query_events WHERE query_id = %s ORDER BY id", (self.query_id,)
            ).fetchall()
        assert standing.state is self.expected
        assert standing.late is self.late
        assert bool(standing.accounts) is (self.expected is QueryState.COMPLETED)
        assert (standing.ended_at is None) is (self.expected not in ENDINGS | {QueryState.TIMED_OUT})
        assert len(events) == self.moves + 1


def test_a_query_stands_where_the_machine_says_after_every_event_in_any_order(house: House) -> None:
    machine = type("QueryOfThisTest", (Query,), {"house": house})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_order_of_one_set_of_events_ends_alike(house: House) -> None:
    """The events of one query whose result says one thing: only `late` may tell the order."""
    from itertools import permutations

    def acknowledge(query_id: UUID, attempt_id: UUID) -> None:
        with house.database.transaction() as connection:
            queries.acknowledge(connection, {query_id: attempt_id})

    events = (
        acknowledge,
        lambda _, attempt_id: record(house, attempt_id, success()),
        lambda _, attempt_id: record(house, attempt_id, success()),
        lambda _, attempt_id: record(house, attempt_id, b"{}", TIMEOUT),
    )
    endings = set()
    for order in permutations(events):
        query_id = open_query(house.database)
        attempt_id = begin(house, query_id)
        for event in order:
            event(query_id, attempt_id)
        with house.database.transaction() as connection:
            standing = history.of_query(connection, house.database.sealer, query_id)
        endings.add((standing.state, standing.accounts, standing.result_code, standing.completed_at))
    assert len(endings) == 1
    assert endings.pop()[0] is QueryState.COMPLETED
