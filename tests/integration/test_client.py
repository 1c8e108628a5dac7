"""The client of other services: an id at once, and a clear error soon where the broker is away."""

from uuid import UUID

import pytest
import redis

from mpesa_balance import BalanceClient, BrokerUnavailable, RequestRefused, request_id_for
from tests.fakes import silent_server
from tests.integration.queued import arguments, messages
from tests.waiting import quickest


def test_a_request_is_on_its_queue_under_its_id(broker_url: str, store: redis.Redis) -> None:
    with BalanceClient(broker_url) as client:
        request_id = client.request_balance("600000", remarks="Payroll", requested_by="payroll")
    (message,) = messages(store, "mpesa-requests")
    assert message["headers"]["task"] == "mpesa_balance.request_balance"
    assert message["headers"]["id"] == str(request_id)
    assert arguments(message) == {
        "shortcode": "600000",
        "remarks": "Payroll",
        "requested_by": "payroll",
    }


def test_how_old_an_answer_may_be_and_whether_to_ask_even_so_travel_with_the_request(
    broker_url: str, store: redis.Redis
) -> None:
    with BalanceClient(broker_url) as client:
        client.request_balance("600000", max_age=0)
        client.request_balance("600000", force=True)
    sent = [arguments(message) for message in messages(store, "mpesa-requests")]
    assert [(one.get("max_age"), one.get("force")) for one in sent] == [(0, None), (None, True)]


def test_one_key_gives_one_id(broker_url: str) -> None:
    with BalanceClient(broker_url) as client:
        asked = {client.request_balance("600000", idempotency_key="k") for _ in range(2)}
    assert asked == {request_id_for("600000", "k")}


def test_what_would_be_refused_is_refused_before_it_is_sent(broker_url: str, store: redis.Redis) -> None:
    with BalanceClient(broker_url) as client, pytest.raises(RequestRefused) as refused:
        client.request_balance("6", remarks="x" * 101)
    assert len(refused.value.violations) == 2
    assert not store.exists("mpesa-requests")


@pytest.mark.parametrize("broker", ["refused", "silent"])
@pytest.mark.parametrize(("call", "given"), [("request_balance", "600000"), ("get", UUID(int=1))])
def test_a_broker_that_is_away_is_said_within_two_seconds(broker: str, call: str, given: object) -> None:
    with silent_server() as silent:
        port = silent if broker == "silent" else 1
        with BalanceClient(f"redis://:hunter2@127.0.0.1:{port}/0") as client:

            def ask() -> None:
                with pytest.raises(BrokerUnavailable, match="Check that Redis runs") as raised:
                    getattr(client, call)(given)
                assert "hunter2" not in str(raised.value)

            assert quickest(ask, 2) < 2
