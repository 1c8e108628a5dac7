"""Callers look at their requests, wait, and ask whether the money is there; Redis keeps nothing of it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
import redis

from mpesa_balance import (
    AccountMissing,
    BalanceClient,
    Failure,
    Funds,
    NoAnswerYet,
    NoBalance,
    RequestRefused,
    Success,
    request_id_for,
    safely,
)
from tests.conftest import SHORTCODE
from tests.integration.answers import begin, failure, record, row, rows, success
from tests.integration.looking import looking_up
from tests.waiting import eventually
from worker.house import House
from worker.intake import open_request

UTILITY = "Working Account|KES|5.00|5.00|0.00|0.00&Utility Account|KES|1500000.50|1500000.25|0.25|0.00"


@pytest.fixture
def client(broker_url: str) -> Iterator[BalanceClient]:
    with BalanceClient(broker_url, name="payroll") as made:
        yield made


@pytest.fixture
def worker(house: House, store: redis.Redis) -> Iterator[None]:
    with looking_up(house, store):
        yield


def asked(house: House, payload: bytes | None = None, key: str | None = None) -> UUID:
    """A request, and its callback where there is one."""
    message = {"shortcode": SHORTCODE} | ({"idempotency_key": key} if key else {})
    task_id = uuid4()
    open_request(house, str(task_id), message)
    request_id = request_id_for(SHORTCODE, key) if key else task_id
    if payload is not None:
        query = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id)
        record(house, begin(house, query["query_id"]), payload)
    return request_id


def test_an_answer_holds_the_accounts_as_decimals(
    house: House, client: BalanceClient, worker: None
) -> None:
    request_id = asked(house, success(UTILITY))
    answer = client.get(request_id)
    assert (answer.request_id, answer.state, answer.is_ended) == (request_id, "completed", True)
    assert answer.account("Utility Account").available == Decimal("1500000.25")
    assert answer.completed_at is not None
    assert answer.completed_at.isoformat() == "2026-11-22T09:00:00+00:00"
    assert "1500000" not in repr(answer)


def test_redis_keeps_nothing_of_an_answer(
    house: House, client: BalanceClient, worker: None, store: redis.Redis
) -> None:
    client.get(asked(house, success(UTILITY)))
    assert list(store.scan_iter("mpesa-answers*")) == []
    assert store.pubsub_channels("mpesa-answers*") == []


def test_a_request_that_no_worker_has_taken_up_has_no_state_yet(
    house: House, client: BalanceClient, worker: None
) -> None:
    request_id = uuid4()
    answer = client.get(request_id)
    assert (answer.request_id, answer.state, answer.is_ended) == (request_id, None, False)
    assert "no worker has taken up" in answer.sentence


def test_where_no_worker_answers_it_is_said_within_the_time_given(client: BalanceClient) -> None:
    begun = time.monotonic()
    with pytest.raises(NoAnswerYet, match="check that workers run"):
        client.get(uuid4(), timeout=0.3)
    with pytest.raises(NoAnswerYet, match="it goes on"):
        client.wait(uuid4(), timeout=0.3)
    assert time.monotonic() - begun < 5


def test_waiting_ends_with_the_query(house: House, client: BalanceClient, worker: None) -> None:
    request_id = asked(house)
    with pytest.raises(NoAnswerYet):
        client.wait(request_id, timeout=0.6)
    query = row(house, "SELECT query_id FROM balance_requests WHERE id = %s", request_id)
    record(house, begin(house, query["query_id"]), success())
    assert client.wait(request_id, timeout=10).state == "completed"


def test_whether_the_money_is_there_is_said_with_what_is_missing(
    house: House, client: BalanceClient, worker: None
) -> None:
    asked(house, success(UTILITY), key="november")
    enough = client.check_funds(SHORTCODE, Decimal("1500000.25"), idempotency_key="november", timeout=10)
    assert (enough.is_enough, enough.shortfall, enough.currency) == (True, Decimal(0), "KES")
    short = client.check_funds(SHORTCODE, Decimal(1_500_001), idempotency_key="november", timeout=10)
    assert (short.is_enough, short.shortfall) == (False, Decimal("0.75"))
    assert "1500" not in repr(short)


def test_where_an_age_is_given_no_older_balance_says_that_the_money_is_there(
    house: House, client: BalanceClient, store: redis.Redis
) -> None:
    """Within the minimum interval the answer would be the balance from before the last payout."""
    asked(house, success(UTILITY))
    rows(house, "UPDATE balances SET as_of = as_of - interval '100 s' RETURNING query_id")
    patient = replace(house, settings=replace(house.settings, minimum_interval=300))

    def check() -> Funds:
        amount = Decimal(1_500_000)
        return client.check_funds(SHORTCODE, amount, max_age=60, idempotency_key="k", timeout=60)

    with looking_up(patient, store, opens=True), ThreadPoolExecutor(1) as payroll:
        checked = payroll.submit(check)
        opened = "SELECT id FROM balance_queries WHERE state = 'pending'"
        (query,) = eventually(lambda: rows(house, opened))
        record(house, begin(house, query["id"]), success(UTILITY.replace("1500000.25", "100.00")))
        assert checked.result().is_enough is False
        # The same again is the same request.
        assert check().available == Decimal("100.00")
    assert len(rows(house, "SELECT FROM balance_queries")) == 2


def test_asking_anew_takes_no_longer_than_the_time_that_was_given(
    house: House, client: BalanceClient, store: redis.Redis
) -> None:
    asked(house, success(UTILITY))
    rows(house, "UPDATE balances SET as_of = as_of - interval '100 s' RETURNING query_id")
    patient = replace(house, settings=replace(house.settings, minimum_interval=300))
    begun = time.monotonic()
    with looking_up(patient, store, opens=True), pytest.raises(NoAnswerYet):
        client.check_funds(SHORTCODE, Decimal(1), max_age=60, timeout=2)
    # Ten seconds more are what a look at an answer may take.
    assert time.monotonic() - begun < 10


def test_an_account_that_was_told_twice_says_nothing_of_the_money(
    house: House, client: BalanceClient, worker: None
) -> None:
    twice = "Utility Account|USD|9|9|0.00|0.00&Utility Account|KES|1|1|0.00|0.00"
    asked(house, success(twice), key="k")
    with pytest.raises(NoBalance, match="2 accounts 'Utility Account'"):
        client.check_funds(SHORTCODE, Decimal(1), idempotency_key="k", timeout=10)


def test_another_account_can_be_asked_for_and_one_that_is_not_there_is_said_with_those_that_are(
    house: House, client: BalanceClient, worker: None
) -> None:
    asked(house, success(UTILITY), key="k")

    def check(account: str) -> bool:
        amount = Decimal(5)
        found = client.check_funds(SHORTCODE, amount, account=account, idempotency_key="k", timeout=10)
        return found.is_enough

    assert check("Working Account")
    with pytest.raises(AccountMissing, match="'Working Account', 'Utility Account'"):
        check("Savings")


def test_a_query_that_failed_is_no_balance_and_says_what_to_do(
    house: House, client: BalanceClient, worker: None
) -> None:
    asked(house, failure("2001"), key="k")
    with pytest.raises(NoBalance, match=r"is failed: 2001.*initiator"):
        client.check_funds(SHORTCODE, Decimal(1), idempotency_key="k", timeout=10)


def test_a_refusal_is_said_as_one(house: House, client: BalanceClient, worker: None) -> None:
    open_request(house, str(uuid4()), {"shortcode": "999999", "idempotency_key": "k"})
    with pytest.raises(RequestRefused, match="not registered"):
        client.check_funds("999999", Decimal(1), idempotency_key="k", timeout=10)


@pytest.mark.parametrize("amount", [1.5, "5", -1, Decimal("NaN"), Decimal("Infinity"), None])
def test_an_amount_that_is_none_is_refused_before_anything_is_asked(
    client: BalanceClient, store: redis.Redis, amount: Decimal
) -> None:
    with pytest.raises(ValueError, match="Decimal"):
        client.check_funds(SHORTCODE, amount)
    assert not store.exists("mpesa-requests")


def test_the_safe_variant_gives_a_value_in_any_case(
    house: House, client: BalanceClient, worker: None
) -> None:
    asked(house, success(UTILITY), key="k")
    match safely(client.check_funds, SHORTCODE, Decimal(1), idempotency_key="k", timeout=10):
        case Success(funds):
            assert funds.is_enough
        case Failure(error):
            raise error
    failed = safely(client.request_balance, "6")
    assert isinstance(failed, Failure)
    assert isinstance(failed.error, RequestRefused)


def test_a_lookup_that_has_not_the_form_of_one_is_dropped(
    house: House, client: BalanceClient, worker: None, store: redis.Redis
) -> None:
    request_id = asked(house, success())
    for wrong in ({"channel": "mpesa-requests"}, {"channel": 5}, {"request_id": "x"}, {"request_id": None}):
        message = {"request_id": str(request_id), "channel": "mpesa-answers:" + "0" * 32} | wrong
        client._send("mpesa_balance.get_balance", message)
    assert client.get(request_id).state == "completed"
