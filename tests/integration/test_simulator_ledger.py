"""The ledger holds all that was received and sent, balances, and keeps no secret."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ops.simulator.courier import Callback, Courier
from ops.simulator.ledger import Ledger, Subject, without_path
from ops.simulator.server import SimulatorSettings
from tests.integration.simulator_desk import TOKEN, Desk, desk_for
from tests.waiting import eventually


@pytest.fixture(scope="module")
def simulator() -> Iterator[Desk]:
    with desk_for(SimulatorSettings(port=0, callback_delay=0.001)) as desk:
        yield desk


def test_a_query_is_followed_from_its_receipt_to_its_callback(desk: Desk) -> None:
    acknowledgement = desk.ask("600000").json()
    desk.settled()
    entries = desk.get("ledger").json()["entries"]
    assert [entry["kind"] for entry in entries] == ["token", "query", "answer", "callback"]
    token, query, answer, callback = entries
    assert (token["status"], query["shortcode"]) == (200, "600000")
    for entry in (answer, callback):
        assert entry["query"] == query["number"]
        assert (entry["scenario"], entry["status"]) == ("success", 200)
        assert entry["conversation_id"] == acknowledgement["ConversationID"]
        assert entry["originator_conversation_id"] == acknowledgement["OriginatorConversationID"]
    assert (answer["taken"], answer["reason"]) == (True, None)
    assert (callback["url_kind"], callback["url"]) == ("result", desk.callback_url)
    assert callback["body"].encode() == desk.heard[0].payload


def test_instants_are_utc_and_numbers_go_on_by_one(desk: Desk) -> None:
    desk.ask("600104")
    desk.settled()
    entries = desk.get("ledger").json()["entries"]
    instants = [datetime.fromisoformat(entry["at"]) for entry in entries]
    assert instants == sorted(instants)
    assert all(instant.tzinfo == UTC for instant in instants)
    assert datetime.now(UTC) - instants[-1] < timedelta(minutes=1)
    numbers = [entry["number"] for entry in entries]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_books_balance_over_many_queries_of_every_kind(desk: Desk) -> None:
    asked = ("600000", "600102", "600104", "600107", "600120", "600217", "600310", "600338", "600131")
    threads = [threading.Thread(target=desk.ask, args=(shortcode,)) for shortcode in asked * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.post(desk.body(Remarks=""))
    desk.post(desk.body(), "forged")
    heard = Counter(heard.kind for heard in desk.settled())
    summary = desk.get("ledger/summary").json()
    assert summary["queries"] == {
        "received": 29,
        "accepted": 20,
        "refused": {"500.003.02": 1, "405.001": 3, "400002": 3, "400.002.02": 1, "404.001.03": 1},
    }
    assert summary["callbacks"] == {"delivered": 23, "refused": 0, "lost": 0, "pending": 0}
    assert heard == Counter({"result": 17, "timeout": 6})
    assert sum(row["count"] for row in summary["counts"]) == len(desk.get("ledger").json()["entries"])


def test_what_was_heard_is_what_the_ledger_says_was_sent(desk: Desk) -> None:
    for shortcode in ("600103", "600108", "600121"):
        desk.ask(shortcode)
    sent = Counter((entry["url_kind"], entry["body"]) for entry in desk.entries("callback"))
    assert sent == Counter((heard.kind, heard.payload.decode()) for heard in desk.heard)


def test_a_callback_that_is_refused_or_that_nobody_hears_is_told_so(desk: Desk) -> None:
    desk.status = 503
    desk.ask("600000")
    desk.settled()
    desk.post(desk.body(ResultURL="http://127.0.0.1:1/c0ffee/result"))
    assert [entry["status"] for entry in desk.entries("callback")] == [503, "lost"]
    callbacks = desk.get("ledger/summary").json()["callbacks"]
    assert (callbacks["delivered"], callbacks["refused"], callbacks["lost"]) == (0, 1, 1)


def test_a_reset_is_an_answer_without_a_status(desk: Desk) -> None:
    with pytest.raises(OSError, match="reset"):
        desk.ask("600352")
    (answer,) = desk.entries("answer")
    assert (answer["scenario"], answer["status"], answer["taken"]) == ("reset", None, True)


def test_the_ledger_has_no_credential_no_token_and_no_path_of_a_callback_address(desk: Desk) -> None:
    """The echo of a query holds all of them but the access token, which 401.002.01 repeats."""
    token = desk.token()
    bodies = [desk.body(PartyA=number) for number in ("600122", "600301")]
    for body in bodies:
        desk.post(body, token)
    assert desk.settled()[0].document == bodies[0]
    kept = desk.get("ledger").text
    for secret in (token, TOKEN, "simulator-secret", "Simulated1!"):
        assert secret not in kept
    assert all(body["SecurityCredential"] not in kept for body in bodies)
    (echo,) = desk.entries("callback")
    assert json.loads(echo["body"]) == bodies[0] | {
        "SecurityCredential": "[removed]",
        "ResultURL": desk.callback_url,
        "QueueTimeOutURL": desk.callback_url,
    }


def test_names_in_a_callback_address_are_not_kept_either() -> None:
    assert without_path("https://user:word@pay.example.co.ke:8443/t0ken/result?x=1") == (
        "https://pay.example.co.ke:8443"
    )


def test_pages_follow_each_other_and_go_on_after_the_ledger_was_emptied(desk: Desk) -> None:
    desk.ask("600107")
    first = desk.get("ledger").json()
    assert desk.get(f"ledger?after={first['next']}").json()["entries"] == []
    assert desk.delete("ledger").json()["entries"] == []
    desk.ask("600107")
    later = desk.get(f"ledger?after={first['next']}").json()
    assert [entry["number"] for entry in later["entries"]] == [first["next"] + n for n in (1, 2, 3)]
    assert desk.get("ledger/summary").json()["queries"]["received"] == 1


def test_a_full_ledger_drops_its_oldest_and_says_how_many_but_counts_all() -> None:
    ledger = Ledger(size=3)
    for _ in range(5):
        ledger.write("query", Subject(shortcode="600000"))
    page = ledger.page(after=1)
    assert [entry["number"] for entry in page["entries"]] == [3, 4, 5]
    assert (page["next"], page["dropped"]) == (5, 2)
    assert ledger.summary()["queries"]["received"] == 5


def test_hundreds_of_callbacks_wait_without_a_thread_each_and_are_forgotten_at_the_end() -> None:
    def couriers() -> int:
        return sum(thread.name == "courier" for thread in threading.enumerate())

    others = couriers()
    courier = Courier(Ledger(size=10))
    before = set(threading.enumerate())
    waiting = Callback(delay=60, kind="result", url="http://127.0.0.1:1/", document={}, subject=Subject())
    for _ in range(500):
        courier.promise([waiting])()
    assert courier.pending == 500
    assert set(threading.enumerate()) <= before
    courier.close()
    courier.close()
    eventually(lambda: couriers() == others)
