"""The simulator's gateway answers as Daraja does: tokens, validation in its words, who may ask."""

import base64
import re
from collections.abc import Iterator

import pytest
import requests

from mpesa_balance.balances import parse_balance
from mpesa_balance.results import read_result
from ops.simulator.bank import Bank
from ops.simulator.server import SimulatorSettings
from tests.integration.simulator_desk import Desk, desk_for
from tests.waiting import eventually


@pytest.fixture(scope="module")
def simulator() -> Iterator[Desk]:
    with desk_for(SimulatorSettings(port=0, callback_delay=0, token_seconds=1, lock_after=3)) as desk:
        yield desk


@pytest.fixture
def desk(desk: Desk) -> Iterator[Desk]:
    yield desk
    # Every wrong password counts, in whichever test it was sent.
    desk.trigger("initiator/unlock")


def test_a_query_is_acknowledged_and_its_balances_come_by_callback(desk: Desk) -> None:
    acknowledgement = desk.post(desk.body()).json()
    assert acknowledgement["ResponseCode"] == "0"
    (heard,) = desk.settled()
    result = read_result(heard.payload)
    assert result.is_success
    assert result.conversation_id == acknowledgement["ConversationID"]
    assert result.originator_conversation_id == acknowledgement["OriginatorConversationID"]
    assert result.completed_at is not None
    assert result.balance().warnings == ()
    assert len(result.balance().accounts) == 4


@pytest.mark.parametrize(
    "changes", [{"password": "wrong"}, {"Initiator": "nobody"}, {"SecurityCredential": "x"}]
)
def test_wrong_credentials_are_acknowledged_and_refused_by_callback(
    desk: Desk, changes: dict[str, str]
) -> None:
    assert desk.post(desk.body(**changes)).json()["ResponseCode"] == "0"
    assert desk.result()["ResultCode"] == 2001


def test_three_wrong_passwords_lock_the_initiator_until_somebody_unlocks_it(desk: Desk) -> None:
    def code_after(password: str) -> int:
        desk.post(desk.body(password))
        code: int = desk.result()["ResultCode"]
        return code

    assert [code_after("wrong") for _ in range(3)] == [2001, 2001, 2001]
    assert code_after("wrong") == 8006
    assert code_after("Simulated1!") == 8006
    desk.trigger("initiator/unlock")
    assert code_after("Simulated1!") == 0


def test_only_wrong_passwords_in_a_row_lock_and_a_name_that_nobody_has_locks_nobody(desk: Desk) -> None:
    wrong = {"password": "wrong"}
    for changes in (wrong, wrong, {"Initiator": "nobody"}, {}, wrong, wrong, {}):
        desk.post(desk.body(**changes))
    codes = [heard.document["Result"]["ResultCode"] for heard in desk.settled()]
    assert sorted(codes) == [0, 0, 2001, 2001, 2001, 2001, 2001]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Initiator", ""),
        ("CommandID", "Balance"),
        ("PartyA", "x"),
        ("IdentifierType", "3"),
        ("Remarks", ""),
        ("Remarks", "   "),
        ("Remarks", "x" * 101),
        ("ResultURL", "nowhere"),
        ("ResultURL", "http://[x/result"),
        ("QueueTimeOutURL", ""),
    ],
)
def test_a_wrong_field_is_named_in_darajas_words(desk: Desk, name: str, value: str) -> None:
    answer = desk.post(desk.body(**{name: value}))
    assert answer.status_code == 400
    assert answer.json()["errorCode"] == "400.002.02"
    assert answer.json()["errorMessage"] == f"Bad Request - Invalid {name}"


@pytest.mark.parametrize("name", ["ResultURL", "QueueTimeOutURL"])
@pytest.mark.parametrize("word", ["mpesa", "Safaricom", "exe", "exec", "cmd", "SQL", "query"])
def test_a_callback_address_with_a_forbidden_word_is_refused(desk: Desk, name: str, word: str) -> None:
    """Daraja's FAQ lists the words; it looks for them in any case and anywhere in the address."""
    answer = desk.post(desk.body(**{name: f"https://pay.example.co.ke/{word}-results/1"}))
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "400.002.02")
    assert answer.json()["errorMessage"] == f"Bad Request - Invalid {name}"


def test_the_field_initiatorname_is_not_initiator(desk: Desk) -> None:
    body = desk.body()
    body["InitiatorName"] = body.pop("Initiator")
    assert desk.post(body).json()["errorMessage"] == "Bad Request - Invalid Initiator"


@pytest.mark.parametrize("body", [[], "text", None])
def test_a_body_that_is_no_object_is_an_invalid_payload(desk: Desk, body: object) -> None:
    answer = desk.post(body)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "400.002.05")


def test_an_unknown_or_ended_token_is_a_404_with_its_code(desk: Desk) -> None:
    token = desk.token()
    assert desk.post(desk.body(), token).status_code == 200
    assert desk.post(desk.body(), "forged").json()["errorCode"] == "404.001.03"
    eventually(lambda: desk.post(desk.body(), token).status_code == 404)
    assert desk.post(desk.body(), token).json()["errorMessage"] == "Invalid Access Token"


def test_revoking_ends_every_token_and_new_ones_are_good(desk: Desk) -> None:
    first, second = desk.token(), desk.token()
    assert desk.trigger("tokens/revoke").json()["revoked"] >= 2
    for token in (first, second):
        answer = desk.post(desk.body(), token)
        assert (answer.status_code, answer.json()["errorCode"]) == (404, "404.001.03")
    assert desk.post(desk.body()).status_code == 200


def test_a_wrong_consumer_key_is_a_400_without_a_body(desk: Desk) -> None:
    basic = base64.b64encode(b"simulator-key:wrong").decode()
    answer = requests.get(
        f"{desk.url}/oauth/v1/generate", headers={"Authorization": f"Basic {basic}"}, timeout=5
    )
    assert (answer.status_code, answer.content) == (400, b"")


def test_the_expiry_of_a_token_is_text_as_in_every_live_answer(desk: Desk) -> None:
    answer = requests.get(
        f"{desk.url}/oauth/v1/generate", auth=("simulator-key", "simulator-secret"), timeout=5
    )
    assert answer.json()["expires_in"] == "1"


def test_balances_move_and_available_is_current_less_reserved() -> None:
    bank = Bank(seed=1)
    seen = [bank.balance("600000") for _ in range(50)]
    assert len(set(seen)) > 40
    assert all(parse_balance(text).warnings == () for text in seen)
    assert any(re.search(r"Charges Paid Account\|KES\|[-0-9.]+\|[-0-9.]+\|[1-9]", text) for text in seen)


def test_one_seed_tells_each_shortcode_its_own_story_again() -> None:
    assert Bank(1).balance("600000") == Bank(1).balance("600000")
    assert Bank(1).balance("600000") != Bank(1).balance("600001")
